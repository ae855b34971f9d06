"""The tiny corpus, and where a test needs one, a model trained on it."""

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return tiny.model_folder(tmp_path_factory.getbasetemp())
