"""A label, several labels or numbers for a text."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

from rnn_hub.layers.pooling import Pooling, hop_overlap
from rnn_hub.modeling_utils import RnnPreTrainedModel
from rnn_hub.models.classifier.configuration_classifier import RnnClassifierConfig
from rnn_hub.models.encoder.any_encoder import AnyEncoder


class RnnForSequenceClassification(RnnPreTrainedModel):
    """Any encoder, its states pooled to one vector, and a linear layer.

    The loss is that of the configuration's `problem_type`, which, as in transformers, follows from the first labels
    where it is not given: "regression", "single_label_classification" or "multi_label_classification".

    Args:
        config: an `RnnClassifierConfig`.
        encoder: a model that returns `last_hidden_state`, instead of the one that the configuration describes.
    """

    config_class = RnnClassifierConfig

    def __init__(self, config: RnnClassifierConfig, encoder: nn.Module | None = None):
        super().__init__(config)
        config.label_names()
        self.encoder = AnyEncoder(config, encoder)
        size, last = self.encoder.output_size, self.encoder.summary_size
        self.pooling = Pooling(config.pooling, size, last, config.attention_size, config.attention_hops)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(self.pooling.output_size, config.num_labels)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding."""
        return self.encoder.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replaces the token embedding."""
        self.encoder.model.set_input_embeddings(value)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Classifies a batch.

        Args:
            input_ids: (B, T); or inputs_embeds (B, T, D).
            attention_mask: (B, T), 1 at real tokens; padding, left or right, changes nothing.
            labels: (B,) numbers of labels, (B, L) of 0 and 1 for several labels, or (B,) or (B, L) values.
            output_attentions: whether to return the pooling's weights: a 1-tuple of (B, hops, T), which with
                `whole_words` stand at the first pieces of words.
            num_items_in_batch: divides the summed loss instead of the number of labels (gradient accumulation).

        Raises:
            ValueError: a row without any real token, attention asked of another pooling, or labels of a wrong shape.
        """
        if output_attentions and self.config.pooling != "attention":
            raise ValueError(f"there is no attention to return: the config has pooling={self.config.pooling!r}")
        twice = self.training and labels is not None and self.config.consistency > 0
        if twice and self._problem(labels) != "single_label_classification":
            raise ValueError(f"consistency compares distributions of labels: set it to 0 for {self._problem(labels)}")
        if twice:  # two draws of dropout for each row
            batch = (input_ids, attention_mask, inputs_embeds, labels)
            batch = (None if part is None else part.repeat(2, *[1] * (part.dim() - 1)) for part in batch)
            input_ids, attention_mask, inputs_embeds, labels = batch
            num_items_in_batch = None if num_items_in_batch is None else 2 * num_items_in_batch
        states, mask, last = self.encoder(input_ids, attention_mask, inputs_embeds)
        pooled, weights = self.pooling(states, mask, last)
        logits = self.classifier(self.dropout(pooled))
        loss = None
        if labels is not None:
            loss = self._loss(logits, labels, num_items_in_batch)
            if self.training and self.config.attention_penalty and weights is not None:
                loss = loss + self.config.attention_penalty * hop_overlap(weights)
            if twice:
                loss = loss + self.config.consistency * _divergence(*logits.float().chunk(2))
                logits = logits.chunk(2)[0]
        return SequenceClassifierOutput(loss=loss, logits=logits, attentions=(weights,) if output_attentions else None)

    def _loss(self, logits: Tensor, labels: Tensor, items: Tensor | int | None) -> Tensor:
        """The mean loss over labels, of the configuration's problem."""
        problem = self._problem(labels)
        logits = logits.float()
        smoothing, weights = training_options(self, logits)
        if problem == "single_label_classification":
            loss = F.cross_entropy(logits, labels.view(-1), weights, reduction="sum", label_smoothing=smoothing)
        else:
            if labels.numel() != logits.numel():
                raise ValueError(f"labels of shape {tuple(labels.shape)} do not fit {problem} of {tuple(logits.shape)}")
            values = labels.view_as(logits).float()
            if problem == "regression":
                loss = F.mse_loss(logits, values, reduction="sum")
            else:
                loss = F.binary_cross_entropy_with_logits(logits, values, reduction="sum", pos_weight=weights)
        return loss / (labels.numel() if items is None else items)

    def _problem(self, labels: Tensor) -> str:
        """The kind of problem, which the configuration keeps from the first labels on."""
        if self.config.problem_type is None:
            whole = labels.dtype in (torch.long, torch.int)
            kind = "single_label_classification" if whole else "multi_label_classification"
            self.config.problem_type = "regression" if self.config.num_labels == 1 else kind
        return self.config.problem_type


def training_options(model: nn.Module, like: Tensor) -> tuple[float, Tensor | None]:
    """The label smoothing and the labels' weights of a loss, which count in training only."""
    config = model.config
    if not model.training:
        return 0.0, None
    weights = config.label_weights
    return config.label_smoothing, None if weights is None else torch.tensor(weights, device=like.device)


def _divergence(one: Tensor, other: Tensor) -> Tensor:
    """(KL(p || q) + KL(q || p)) / 2 of the labels' distributions by logits (B, L), the mean over rows."""
    p, q = one.log_softmax(dim=-1), other.log_softmax(dim=-1)
    return ((p.exp() - q.exp()) * (p - q)).sum(dim=-1).mean() / 2
