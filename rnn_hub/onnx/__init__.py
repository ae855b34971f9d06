"""Models as graphs of ONNX, and the same models run by onnxruntime.

`parts.py` says which graphs a model has, `export.py` writes and quantizes them, `session.py` runs one of them, and
`models.py` is transformers' models over sessions: their pipelines and `generate()` need not know.
"""
