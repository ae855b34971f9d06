"""Models of torch and the same models in onnxruntime; without the packages of ONNX all here skip.

Tracing a graph takes seconds, so each is made once a session and networks are as small as they can be.
"""

import pytest

from tests import tiny

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A model trained on the tiny corpus."""
    return tiny.model_folder(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def exported_pair(tmp_path_factory):
    """A function of a name and a function that builds a model: the model, and the same in onnxruntime, made once."""
    from rnn_hub.onnx.export import export
    from rnn_hub.onnx.loading import load_onnx

    pairs = {}

    def make(name, build):
        if name not in pairs:
            model, folder = build(), tmp_path_factory.mktemp("model")
            model.save_pretrained(folder)
            export(model, folder, folder / "onnx")
            pairs[name] = model, load_onnx(folder / "onnx")
        return pairs[name]

    return make
