"""Models as graphs of ONNX, and the same models run by onnxruntime.

`generator_parts.py` and `reader_parts.py` say which graphs a model has, and register that in `parts.py`; `export.py`
writes and quantizes them, `session.py` runs one of them. `generators.py`, `language_models.py` and `readers.py` are
transformers' models over sessions, registered in `models.py` and loaded by `loading.py`: whatever uses a model of ours
uses these in the same way.
"""
