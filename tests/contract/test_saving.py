"""What every model keeps when it is saved and loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, AutoModelForSeq2SeqLM

import rnn_hub
from rnn_hub.models.encoder.configuration_encoder import RnnEncoderConfig
from rnn_hub.models.encoder.modeling_encoder import RnnEncoderModel
from tests.contract.families import Batch, auto_class

LOAD = """
import sys, torch, rnn_hub
from transformers import AutoModelForSeq2SeqLM
model = AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1]).eval()
print(model.generate(torch.tensor([[5, 6, 7]]), num_beams=2, do_sample=False, max_new_tokens=9).tolist())
"""


def test_saved_equals_loaded(model, batch: Batch, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded, info = auto_class(model).from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    labels = torch.randint(4, 35, batch["input_ids"].shape)
    torch.testing.assert_close(loaded.eval()(**batch, labels=labels).logits, model(**batch, labels=labels).logits)
    assert loaded.generation_config.decoder_start_token_id == (2 if model.config.is_encoder_decoder else None)
    assert loaded.generation_config.eos_token_id == 3
    assert loaded.generation_config.pad_token_id == 0


def test_a_fresh_process_loads_the_same_model(make, tmp_path: Path) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-c", LOAD, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=env)
    expected = model.generate(torch.tensor([[5, 6, 7]]), num_beams=2, do_sample=False, max_new_tokens=9)
    assert json.loads(done.stdout) == expected.tolist()


def test_missing_weights_are_drawn_on_their_proper_scale(model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    fresh = dict(type(model)(model.config).state_dict())
    for kept in ({}, dict(list(saved.items())[::2]), dict(list(saved.items())[1::2])):
        save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
        loaded = auto_class(model).from_pretrained(tmp_path)
        for name, value in loaded.state_dict().items():
            if name in kept:
                assert torch.equal(value, saved[name]), name
                continue
            assert value.isfinite().all(), name
            if fresh[name].numel() > 100:
                assert value.std() == pytest.approx(fresh[name].std().item(), rel=0.4, abs=1e-6), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loads_and_runs(make, batch: Batch, tmp_path: Path, dtype: torch.dtype) -> None:
    make().save_pretrained(tmp_path)
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, dtype=dtype).eval()
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    output = model(**batch, labels=batch["input_ids"], use_cache=True)
    assert output.logits.dtype == dtype
    assert output.loss.isfinite()
    assert {part.dtype for layer in output.past_key_values.state for part in layer} == {torch.float32}
    assert model.generate(**batch, num_beams=2, max_new_tokens=5).shape[0] == 3


def test_tied_weights_are_saved_once_and_stay_tied(make, tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert sum(value.shape == (40, 12) for value in saved.values()) == 1
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.embeddings.weight is loaded.encoder.embeddings.weight
    apart = make(tie_word_embeddings=False, share_embeddings=False)
    assert len({id(module.weight) for module in (apart.lm_head, apart.embeddings, apart.encoder.embeddings)}) == 3


def test_resizing_the_vocabulary_keeps_ties_and_known_tokens(make, batch: Batch) -> None:
    model = make()
    labels = torch.randint(4, 35, (3, 5))
    before = model(**batch, labels=labels).logits
    model.resize_token_embeddings(50)
    assert model.lm_head.weight is model.embeddings.weight is model.encoder.embeddings.weight
    assert model.config.vocab_size == model.lm_head.out_features == len(model.lm_head.bias) == 50
    torch.testing.assert_close(model(**batch, labels=labels).logits[..., :40], before)
    assert model.generate(**batch, max_new_tokens=4).shape[0] == 3


BERT = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
T5 = {"model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("encoder", "name", "part"),
    [(BERT, "BertModel", "encoder.layer.0.output.dense"), (T5, "T5Stack", "block.0.layer.0.SelfAttention.o")],
)
def test_another_encoder_of_transformers_trains_saves_and_generates(
    make, batch: Batch, tmp_path: Path, encoder: dict, name: str, part: str
) -> None:
    model = make(encoder={**encoder, "vocab_size": 35}, share_embeddings=False)
    assert type(model.encoder).__name__ == name
    model.train()(**batch, labels=batch["input_ids"]).loss.backward()
    assert model.encoder.get_submodule(part).weight.grad.any()
    model.eval().save_pretrained(tmp_path)
    loaded, info = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    options = {"num_beams": 2, "do_sample": False, "max_new_tokens": 6}
    assert torch.equal(loaded.eval().generate(**batch, **options), model.generate(**batch, **options))


def test_an_encoder_alone_is_a_model_of_its_own(batch: Batch, tmp_path: Path) -> None:
    model = RnnEncoderModel(RnnEncoderConfig(vocab_size=40, embedding_size=6, hidden_size=5, num_layers=2)).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    output, expected = loaded(**batch), model(**batch)
    torch.testing.assert_close(output.last_hidden_state, expected.last_hidden_state)
    assert output.pooler_output.shape == (3, 10)
    assert not output.last_hidden_state[batch["attention_mask"] == 0].any()
    assert isinstance(loaded.get_input_embeddings(), nn.Embedding)


def test_native_weights_can_be_put_into_an_encoder() -> None:
    native = nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True)
    model = RnnEncoderModel(RnnEncoderConfig(vocab_size=40, embedding_size=6, hidden_size=5, num_layers=2)).eval()
    model.stack.load_state_dict(native.state_dict())
    embedded = torch.randn(2, 7, 6)
    torch.testing.assert_close(model(inputs_embeds=embedded).last_hidden_state, native(embedded)[0])


def test_a_corrupt_checkpoint_and_a_missing_one_are_errors(make, tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(OSError, match="the weights in .* are damaged"):
        AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    weights.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(Exception, match="(?i)safetensors|no file|weights|load"):
        AutoModelForSeq2SeqLM.from_pretrained(tmp_path, use_safetensors=True)


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("share", [True, False])
def test_output_and_source_are_tied_to_the_target_embedding_each_by_its_own_field(
    make, batch: Batch, tmp_path: Path, tie: bool, share: bool
) -> None:
    model = make(tie_word_embeddings=tie, share_embeddings=share)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    for each in (model, loaded):
        assert (each.lm_head.weight is each.embeddings.weight) == tie
        assert (each.encoder.embeddings.weight is each.embeddings.weight) == share
    expected = model(**batch, labels=batch["input_ids"]).logits
    torch.testing.assert_close(loaded(**batch, labels=batch["input_ids"]).logits, expected)


@pytest.mark.parametrize("tie", [True, False])
def test_resizing_the_targets_vocabulary_leaves_a_source_vocabulary_of_its_own(make, tmp_path: Path, tie: bool) -> None:
    model = make(share_embeddings=False, tie_word_embeddings=tie)
    model.resize_token_embeddings(50)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert loaded.embeddings.num_embeddings == loaded.lm_head.out_features == len(loaded.lm_head.bias) == 50
    assert loaded.encoder.embeddings.num_embeddings == 40


def test_missing_biases_gains_and_initial_states_get_the_values_they_start_from(make, tmp_path: Path) -> None:
    model = make(cell_type="layer_norm_lstm", layer_norm=True, learned_initial_state=True, bridge="zero")
    for parameter in model.parameters():
        parameter.data.fill_(7.0)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    save_file({"embeddings.weight": saved["embeddings.weight"]}, tmp_path / "model.safetensors", {"format": "pt"})
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    forget = torch.zeros(64).index_fill_(0, torch.arange(16, 32), 1.0)
    assert torch.equal(loaded.decoder.lower.bias_hh_l0, forget)
    assert torch.equal(loaded.decoder.lower.gain_cell_l0, torch.ones(16))
    assert torch.equal(loaded.decoder.lower.norms[0].weight, torch.ones(16))
    for name, value in loaded.state_dict().items():
        if name.endswith("bias") or "initial_state" in name or "bias_cell" in name or "bias_ih" in name:
            assert not value.any(), name


def test_weights_of_another_size_are_refused(make, tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, "decoder_hidden_size": 20}))
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        AutoModelForSeq2SeqLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cell_type", "lsmt", "'lsmt'.*lstm"),
        ("decoder_hidden_size", "16", "decoder_hidden_size"),
        ("cell_typ", "gru", "cell_type"),
    ],
)
def test_a_wrong_field_in_a_saved_configuration_is_named(make, tmp_path: Path, field, value, message: str) -> None:
    make().save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, field: value}))
    with pytest.raises(Exception, match=f"(?s){message}"):
        AutoModelForSeq2SeqLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cell_type": "lsmt"}, "'lsmt'.*lstm"),
        ({"attention_type": "bahdanau"}, "'bahdanau'.*additive"),
        ({"bridge": "stone"}, "'stone'.*linear, copy, zero"),
        ({"unrolling": "lazy"}, "'lazy'.*dynamic, static"),
        ({"decoder_hidden_size": "big"}, "decoder_hidden_size"),
        ({"decoder_hidden_size": 0}, "decoder_hidden_size.*at least 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"zoneout": 1.5}, r"zoneout must be in \[0, 1\)"),
        ({"cell_type": "rg_lru", "weight_dropout": 0.2}, "'rg_lru' has no recurrent weights to drop.*zoneout"),
        ({"cell_typ": "gru"}, "no field 'cell_typ'; did you mean 'cell_type'"),
        ({"attention_layer": 3}, "attention_layer 3.*1 layers"),
        ({"source_vocab_size": 9}, "share_embeddings=False"),
        ({"label_smoothing": 1.5}, "label_smoothing"),
        ({"static_length": 0}, "static_length must be at least 1"),
        ({"attention_type": None, "bridge": "zero"}, "bridge='zero' hides the source"),
        ({"encoder": {"hidden_size": 8}, "share_embeddings": False}, "encoder lacks 'model_type'"),
    ],
)
def test_wrong_configurations_name_the_value_and_the_remedy(fields: dict, message: str) -> None:
    with pytest.raises(Exception, match=f"(?s){message}"):
        rnn_hub.RnnSeq2SeqConfig(**fields)
