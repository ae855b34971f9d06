"""The configuration of a recurrent language model."""

from typing import Any

from huggingface_hub.dataclasses import strict

from rnn_hub.models.configuration_utils import RnnConfig

CONDITION_PLACES = ("state", "input", "both")


@strict
class RnnCausalLMConfig(RnnConfig):
    """What an `RnnForCausalLM` is made of, besides what `RnnConfig` tells.

    The names in brackets are those of AWD-LSTM's program (Merity et al. 2017, section 4 and 5).

    Args:
        vocab_size: tokens.
        embedding_size: features of an embedded token.
        hidden_size: units of a layer; the last one has `embedding_size` where the embeddings are tied.
        num_layers: how many layers.
        tie_word_embeddings: whether the output layer is the embedding (Press & Wolf 2017).
        word_dropout: probability that a word is dropped wherever it stands in a batch (dropoute); `embedding_dropout`
            is on what is left of the embedded tokens (dropouti), `dropout` between layers (dropouth), and
            `weight_dropout` on the recurrent weights (wdrop).
        output_dropout: on the last layer's outputs (dropout); None takes `dropout`.
        activation_regularization: weight in the training loss of the mean square of the outputs, after dropout (alpha).
        temporal_activation_regularization: the same of the difference of neighbouring outputs, before dropout (beta).
        softmax_samples: in training the softmax is over the words of the batch and so many others, which stand for the
            rest; 0 takes all words. 1,000 of 10,000 let a network of 500 units train almost twice as fast on a CPU.
        condition_sizes: for each categorical condition the number of its values; None takes them from the labels.
        condition_labels: name of each categorical condition -> the names of its values, in the order of their numbers.
            The conditions themselves are in the order of the alphabet, as a saved configuration has them.
        condition_vector_size: features of a given condition vector; None where there is none.
        condition_embedding_size: features of all conditions together.
        condition_as: where the condition enters: "state" (the first state), "input" (every step) or "both".
        condition_dropout: probability in training that an example loses its condition, so that the model can be
            steered by classifier-free guidance (Ho & Salimans 2022).
    """

    model_type = "rnn_hub_causal_lm"
    keys_to_ignore_at_inference = ["past_key_values"]

    vocab_size: int = 10000
    embedding_size: int = 256
    hidden_size: int = 256
    num_layers: int = 1
    bidirectional: bool = False
    tie_word_embeddings: bool = True
    word_dropout: float | int = 0.0
    output_dropout: float | int | None = None
    activation_regularization: float | int = 0.0
    temporal_activation_regularization: float | int = 0.0
    softmax_samples: int = 0
    condition_sizes: list[int] | None = None
    condition_labels: dict[str, list[str]] | None = None
    condition_vector_size: int | None = None
    condition_embedding_size: int = 64
    condition_as: str = "both"
    condition_dropout: float | int = 0.0
    use_cache: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 3

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.output_dropout is None:
            self.output_dropout = self.dropout
        if self.condition_labels:
            self.condition_labels = dict(sorted(self.condition_labels.items()))
        if self.condition_sizes is None:
            self.condition_sizes = [len(labels) for labels in (self.condition_labels or {}).values()]

    def validate_causal_lm(self) -> None:
        """The parts must fit together."""
        if self.bidirectional:
            raise ValueError("a language model reads forward only: set bidirectional=False")
        if self.condition_as not in CONDITION_PLACES:
            raise ValueError(f"unknown condition_as {self.condition_as!r}; choose one of {', '.join(CONDITION_PLACES)}")
        if min(self.condition_sizes, default=1) < 1:
            raise ValueError(f"a condition has no value: condition_sizes are {self.condition_sizes}")
        named = [len(labels) for labels in (self.condition_labels or {}).values()]
        if named and named != self.condition_sizes:
            raise ValueError(f"condition_sizes {self.condition_sizes} are not those of condition_labels, {named}")
        if self.tie_word_embeddings and self.num_layers == 1 and self.hidden_size != self.embedding_size:
            raise ValueError(
                f"the tied output layer takes {self.embedding_size} features and the one layer has {self.hidden_size}: "
                "make hidden_size equal embedding_size, or set tie_word_embeddings=False"
            )
        for name in ("activation_regularization", "temporal_activation_regularization", "softmax_samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")

    @property
    def is_conditional(self) -> bool:
        """Whether there is any condition."""
        return bool(self.condition_sizes) or self.condition_vector_size is not None

    def conditions_enter(self, place: str) -> bool:
        """Whether there is a condition that enters as "state" or as "input"."""
        return self.is_conditional and self.condition_as in (place, "both")

    def layer_sizes(self) -> list[tuple[int, int]]:
        """Units and number of layers of each stack, in order."""
        last = self.embedding_size if self.tie_word_embeddings else self.hidden_size
        if last == self.hidden_size:
            return [(last, self.num_layers)]
        return [(self.hidden_size, self.num_layers - 1), (last, 1)]
