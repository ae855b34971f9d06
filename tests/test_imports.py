"""`import rnn_hub` is light, and yet the Auto classes know our models, whatever was imported first."""

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "datasets", "numpy", "yaml", "gradio", "accelerate")

USE = """
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM
small = dict(vocab_size=9, embedding_size=4)
encoder = AutoModel.from_config(AutoConfig.for_model("rnn_hub_encoder", **small))
seq2seq = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model("rnn_hub_seq2seq", **small))
causal = AutoModelForCausalLM.from_config(AutoConfig.for_model("rnn_hub_causal_lm", **small, hidden_size=4))
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification
for auto in (AutoModelForSequenceClassification, AutoModelForTokenClassification):
    assert type(auto.from_config(AutoConfig.for_model("rnn_hub_classifier", **small))).__module__.startswith("rnn_hub")
from transformers.pipelines import PIPELINE_REGISTRY
assert "rnn-translation" in PIPELINE_REGISTRY.get_supported_tasks()
print(type(encoder).__name__, type(seq2seq).__name__, type(causal).__name__)
"""

ORDERS = {
    "ours first": "import rnn_hub",
    "transformers first": "from transformers import AutoModelForSeq2SeqLM, Trainer, pipeline; import rnn_hub",
    "half of transformers first": "from transformers import AutoConfig; import rnn_hub, transformers.modeling_layers",
    "tokenizers between": "import rnn_hub; from transformers import AutoTokenizer, Trainer, pipeline",
    "a model of ours first": "import rnn_hub.models.seq2seq.modeling_seq2seq",
    "a pipeline of ours first": "import rnn_hub.pipelines.translation",
}


def run(code: str) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("first", ORDERS.values(), ids=ORDERS.keys())
def test_auto_classes_know_our_models_in_any_import_order(first: str) -> None:
    assert run(first + USE) == "RnnEncoderModel RnnForConditionalGeneration RnnForCausalLM"


@pytest.mark.parametrize("code", ["import rnn_hub", "import rnn_hub.cli; rnn_hub.cli.build_parser().format_help()"])
def test_the_package_and_its_help_import_nothing_heavy(code: str) -> None:
    assert run(f"{code}\nimport sys; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_every_public_name_can_be_imported_and_is_listed() -> None:
    import rnn_hub

    for name in rnn_hub.__all__:
        assert getattr(rnn_hub, name).__name__ == name
        assert name in dir(rnn_hub)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    import rnn_hub

    with pytest.raises(AttributeError, match="no_such_name"):
        rnn_hub.no_such_name  # noqa: B018


def test_registering_again_changes_nothing() -> None:
    from transformers import CONFIG_MAPPING, AutoModelForSeq2SeqLM

    import rnn_hub

    finders = list(sys.meta_path)
    rnn_hub.register()
    assert sys.meta_path == finders
    assert CONFIG_MAPPING["rnn_hub_seq2seq"] is rnn_hub.RnnSeq2SeqConfig
    assert AutoModelForSeq2SeqLM._model_mapping[rnn_hub.RnnSeq2SeqConfig] is rnn_hub.RnnForConditionalGeneration


def test_a_model_type_that_another_package_took_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import CONFIG_MAPPING, PreTrainedConfig

    import rnn_hub

    class Theirs(PreTrainedConfig):
        model_type: str = "rnn_hub_seq2seq"

    monkeypatch.setitem(CONFIG_MAPPING._extra_content, "rnn_hub_seq2seq", Theirs)
    with pytest.raises(ValueError, match=r"'rnn_hub_seq2seq' is taken by .*Theirs"):
        rnn_hub.register()
