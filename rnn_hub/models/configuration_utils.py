"""What every configuration of ours has in common: a wrong value fails in the configuration, and says what to write."""

import difflib
from dataclasses import fields
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from rnn_hub.layers.attention import get_attention
from rnn_hub.layers.stack import MERGES, UNROLLINGS, check_weight_dropout


@strict
class RnnConfig(PreTrainedConfig):
    """The recurrent fields that all families share.

    Args:
        cell_type: the name of a registered cell.
        bidirectional: whether encoders read in both directions.
        merge: "concat" or "sum" of the two directions.
        dropout: between layers and on outputs.
        embedding_dropout: on embedded tokens.
        variational_dropout: one dropout mask for all steps of a sequence.
        weight_dropout: on recurrent weights.
        zoneout: the probability that a recurrent unit keeps its last state.
        residual, layer_norm, learned_initial_state: as in `RnnStack`.
        unrolling: "dynamic" or "static"; static_length: the number of steps of the second.
        initializer_range: standard deviation of embeddings at the start.

    Raises:
        ValueError: (or the strict dataclass's own error) for a wrong type, an unknown choice, a probability outside
            [0, 1), or a misspelled field.
    """

    cell_type: str = "lstm"
    bidirectional: bool = True
    merge: str = "concat"
    dropout: float | int = 0.0
    embedding_dropout: float | int = 0.0
    variational_dropout: bool = False
    weight_dropout: float | int = 0.0
    zoneout: float | int = 0.0
    residual: bool = False
    layer_norm: bool = False
    learned_initial_state: bool = False
    unrolling: str = "dynamic"
    static_length: int | None = None
    initializer_range: float = 0.05

    def __post_init__(self, **kwargs: Any) -> None:
        known = [field.name for field in fields(self)]
        for name in kwargs:
            if close := difflib.get_close_matches(name, known, n=1, cutoff=0.85):
                raise ValueError(f"{type(self).__name__} has no field {name!r}; did you mean {close[0]!r}?")
        super().__post_init__(**kwargs)

    def validate_choices(self) -> None:
        """Every name must be a known one."""
        check_weight_dropout(self.cell_type, self.weight_dropout)
        if getattr(self, "attention_type", None) is not None:
            get_attention(self.attention_type)
        for name, choices in {"merge": MERGES, "unrolling": UNROLLINGS}.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; choose one of {', '.join(choices)}")

    def validate_numbers(self) -> None:
        """Sizes are positive, probabilities in [0, 1)."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("dropout", "zoneout")) and not isinstance(value, bool) and not 0 <= value < 1:
                raise ValueError(f"{field.name} must be in [0, 1), got {value}")
            if field.name.endswith(("_size", "_length", "num_layers")) and isinstance(value, int) and value < 1:
                raise ValueError(f"{field.name} must be at least 1, got {value}")

    def stack_options(self) -> dict[str, Any]:
        """The arguments of `RnnStack` that an encoder and a decoder share."""
        names = ("cell_type", "dropout", "variational_dropout", "weight_dropout", "zoneout", "residual", "layer_norm")
        names += ("learned_initial_state", "unrolling", "static_length")
        return {name: getattr(self, name) for name in names}
