"""The configuration of a pointer-generator."""

from huggingface_hub.dataclasses import strict

from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig


@strict
class RnnPointerConfig(RnnSeq2SeqConfig):
    """What an `RnnForPointerGeneration` is made of, besides what `RnnSeq2SeqConfig` tells.

    Args:
        coverage: whether the attention knows where it has looked before, which takes a loop over the target's steps.
        coverage_penalty: weight of the loss of looking there again (See et al. 2017, equation 12).
    """

    model_type = "rnn_hub_pointer"

    attention_type: str | None = "additive"
    coverage: bool = True
    coverage_penalty: float | int = 1.0

    def validate_pointer(self) -> None:
        """What copying needs."""
        if self.attention_type is None:
            raise ValueError("a pointer-generator copies what it attends to: set attention_type")
        if self.coverage and self.attention_type != "additive":
            raise ValueError("coverage is part of the additive attention: set attention_type='additive'")
        if self.encoder is not None or self.source_vocab_size not in (None, self.vocab_size):
            raise ValueError("a pointer-generator copies source tokens: it needs our encoder and one vocabulary")
        if self.label_smoothing:
            raise ValueError("label_smoothing would spread over words that are not in the source: set it to 0")
        if self.coverage_penalty < 0:
            raise ValueError(f"coverage_penalty must not be negative, got {self.coverage_penalty}")
