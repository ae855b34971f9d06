"""The configuration of recurrent classifiers."""

from typing import Any

from huggingface_hub.dataclasses import strict

from rnn_hub.layers.pooling import POOLINGS
from rnn_hub.models.encoder.configuration_encoder import RnnEncoderConfig


@strict
class RnnClassifierConfig(RnnEncoderConfig):
    """What an `RnnForSequenceClassification` or `RnnForTokenClassification` is made of, besides its encoder, which
    `RnnEncoderConfig` tells, and what every configuration of transformers has (`id2label`, `problem_type`).

    Args:
        pooling: of a text: "last", "mean", "max" or "attention".
        attention_size: hidden width of the attention; attention_hops: how many places it looks at.
        attention_penalty: weight in the training loss of the hops' overlap (Lin et al. 2017, section 2.1).
        crf: whether a conditional random field decides on the tags of a text together. Where labels are named B-X and
            I-X, it knows that I-X follows only B-X and I-X.
        classifier_dropout: on what the output layer sees.
        label_smoothing: weight of the uniform distribution in the training loss (Szegedy et al. 2016, section 7); not
            for a CRF.
        label_weights: for each label, how much its examples weigh in the training loss, so that rare ones count; of
            several labels the positive ones. Not for a CRF, nor for regression.
        consistency: weight in the training loss of a text classifier of the divergence between two passes over the same
            texts, each with its own dropout (R-Drop, Liang et al. 2021, equation 2); a step then costs twice.
        encoder: the configuration, as a dictionary, of any other encoder of transformers to use instead of ours. With
            `whole_words` the pieces of a word are then one step too, the mean of their states.
        stack_over_encoder: whether a recurrent stack, as `RnnConfig` describes it, reads that encoder's states.
        freeze_encoder: leave that encoder as it is in training.
        ignored_token_ids: with such an encoder, tokens of its inputs that belong to no text, and so get no tag.
    """

    model_type = "rnn_hub_classifier"

    pooling: str = "attention"
    attention_size: int = 128
    attention_hops: int = 1
    attention_penalty: float | int = 0.0
    crf: bool = False
    classifier_dropout: float | int = 0.0
    label_smoothing: float | int = 0.0
    label_weights: list[float] | None = None
    consistency: float | int = 0.0
    encoder: dict[str, Any] | None = None
    stack_over_encoder: bool = False
    freeze_encoder: bool = False
    ignored_token_ids: list[int] | None = None

    def validate_classifier(self) -> None:
        """The parts must fit together."""
        if self.pooling not in POOLINGS:
            raise ValueError(f"unknown pooling {self.pooling!r}; choose one of {', '.join(POOLINGS)}")
        if self.attention_hops < 1:
            raise ValueError(f"attention_hops must be at least 1, got {self.attention_hops}")
        if self.encoder is not None and "model_type" not in self.encoder:
            raise ValueError("encoder lacks 'model_type': pass a model's whole configuration, as its to_dict() gives")
        for name in ("stack_over_encoder", "freeze_encoder"):
            if self.encoder is None and getattr(self, name):
                raise ValueError(f"{name} is about another encoder than ours, and there is no encoder")
        if self.encoder is not None and self.char_features:
            raise ValueError("char_features belong to our own encoder: leave them or the other encoder out")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")

    def validate_weights(self) -> None:
        """A positive weight for each label."""
        weights = self.label_weights
        if weights is None:
            return
        if self.crf or self.problem_type == "regression":
            raise ValueError("label_weights are of labels that are decided one by one: not for a crf or regression")
        if len(weights) != self.num_labels or min(weights) <= 0:
            raise ValueError(f"label_weights must be {self.num_labels} positive numbers, one a label, got {weights}")

    def label_names(self) -> list[str]:
        """The labels in the order of their numbers.

        Raises:
            ValueError: `id2label` does not number them 0, 1, 2, ...
        """
        if sorted(self.id2label) != list(range(len(self.id2label))):
            raise ValueError(f"id2label must number the labels 0 to {len(self.id2label) - 1}: {self.id2label}")
        return [self.id2label[number] for number in range(len(self.id2label))]
