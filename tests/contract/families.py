"""Tiny models of every kind, each with weights large enough that a wrong state changes what is generated."""

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel

from rnn_hub.models.causal_lm.configuration_causal_lm import RnnCausalLMConfig
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM
from rnn_hub.models.pointer.configuration_pointer import RnnPointerConfig
from rnn_hub.models.pointer.modeling_pointer import RnnForPointerGeneration
from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

Batch = dict[str, Tensor]
SEQ2SEQ = {
    "default": {},
    "additive, input feeding": {"attention_type": "additive", "input_feeding": True},
    "two layers, attention between": {"decoder_num_layers": 2, "attention_layer": 0, "attention_type": "concat"},
    "no attention": {"attention_type": None},
    "gru, sum, dot": {"cell_type": "gru", "merge": "sum", "decoder_hidden_size": 12, "attention_type": "dot"},
    "elman, copy bridge": {"cell_type": "elman", "bridge": "copy", "decoder_hidden_size": 24},
    "min_gru, residual": {"cell_type": "min_gru", "residual": True, "encoder_num_layers": 2},
    "qrnn, zoneout": {"cell_type": "qrnn", "zoneout": 0.2, "decoder_num_layers": 2, "attention_layer": 0},
    "mlstm, input feeding": {"cell_type": "mlstm", "input_feeding": True},
    "slstm, no attention": {"cell_type": "slstm", "attention_type": None},
    "layer norm, untied, own embeddings": {
        "cell_type": "layer_norm_lstm",
        "tie_word_embeddings": False,
        "share_embeddings": False,
        "source_vocab_size": 35,
    },
}
POINTER = {
    "pointer": {"coverage": False, "attention_type": "general"},
    "pointer, coverage": {},
    "pointer, coverage, input feeding": {"input_feeding": True, "cell_type": "gru", "decoder_num_layers": 2},
}
CAUSAL = {
    "language model": {"num_layers": 3},
    "gru, condition as state": {
        "cell_type": "gru",
        "tie_word_embeddings": False,
        "condition_sizes": [3],
        "condition_as": "state",
    },
    "elman, condition as input": {
        "cell_type": "elman",
        "num_layers": 2,
        "condition_vector_size": 5,
        "condition_as": "input",
    },
    "layer norm, residual, conditions as both": {
        "cell_type": "layer_norm_lstm",
        "hidden_size": 12,
        "num_layers": 2,
        "residual": True,
        "layer_norm": True,
        "condition_labels": {"key": ["C", "G", "D"], "mode": ["major", "minor"]},
        "condition_vector_size": 5,
    },
}


def build_seq2seq(**options: object) -> RnnForConditionalGeneration:
    """A random model in evaluation mode, whose greedy translations do not repeat one token."""
    sizes = {"encoder_hidden_size": 12, "decoder_hidden_size": 16}
    return _build(RnnForConditionalGeneration, RnnSeq2SeqConfig, **{**sizes, **options})


def build_pointer(**options: object) -> RnnForPointerGeneration:
    """A random pointer-generator in evaluation mode."""
    sizes = {"encoder_hidden_size": 12, "decoder_hidden_size": 16}
    return _build(RnnForPointerGeneration, RnnPointerConfig, **{**sizes, **options})


def build_causal(**options: object) -> RnnForCausalLM:
    """A random language model in evaluation mode."""
    return _build(RnnForCausalLM, RnnCausalLMConfig, **{"hidden_size": 16, "condition_embedding_size": 6, **options})


def _build(model_class: type, config_class: type, **options: object) -> PreTrainedModel:
    torch.manual_seed(1)
    sizes = {"vocab_size": 40, "embedding_size": 12, "initializer_range": 1.0}
    model = model_class(config_class(**{**sizes, **options}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("stack", "decoder", "bridge")):
                parameter.mul_(1.7)
    return model.eval()


def auto_class(model: PreTrainedModel) -> type:
    """The Auto class that loads it."""
    return AutoModelForSeq2SeqLM if model.config.is_encoder_decoder else AutoModelForCausalLM


def draw_batch(model: PreTrainedModel | None, mask: Tensor) -> Batch:
    """Sources with a mask (B, T), or prompts of the same lengths, padded on the left, with their conditions."""
    torch.manual_seed(2)
    causal = model is not None and not model.config.is_encoder_decoder
    mask = mask.sort(dim=1).values if causal else mask
    batch = {"input_ids": torch.randint(4, 35, mask.shape) * mask, "attention_mask": mask}
    if causal and (sizes := model.config.condition_sizes):
        batch["condition_ids"] = torch.stack([torch.arange(len(mask)) % (size + 1) - 1 for size in sizes], dim=1)
    if causal and model.config.condition_vector_size:
        batch["condition_vector"] = torch.randn(len(mask), model.config.condition_vector_size)
    return batch


def one_row(batch: Batch, row: int) -> Batch:
    """A row alone, without its padding."""
    conditions = {name: value[row : row + 1] for name, value in batch.items() if name.startswith("condition")}
    return {"input_ids": batch["input_ids"][row, batch["attention_mask"][row].bool()][None], **conditions}


def reading(model: PreTrainedModel, batch: Batch, tokens: Tensor, prompted: bool = True) -> Batch:
    """How a model is given the tokens (R, T) that it wrote, R a multiple of the batch's rows.

    A language model's tokens begin with the batch's prompts, or are all new where it is not `prompted`.
    """
    batch = {name: value.repeat_interleave(len(tokens) // len(value), dim=0) for name, value in batch.items()}
    if model.config.is_encoder_decoder:
        return {**batch, "decoder_input_ids": tokens}
    mask = batch.pop("attention_mask")
    if prompted:
        batch["attention_mask"] = F.pad(mask, (0, tokens.shape[1] - mask.shape[1]), value=1)
    return {**batch, "input_ids": tokens}


def prompt_length(model: PreTrainedModel, batch: Batch) -> int:
    """How many tokens stand before the first that is written."""
    return 1 if model.config.is_encoder_decoder else batch["input_ids"].shape[1]
