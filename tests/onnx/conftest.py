"""Where a test needs one, a model trained on the tiny corpus; without the packages of ONNX all here skip."""

import pytest

from tests import tiny

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return tiny.model_folder(tmp_path_factory.getbasetemp())
