"""The tiny corpus, and where a test needs one, a model trained on it."""

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return tiny.write_corpus(tmp_path_factory.mktemp("corpus"))
