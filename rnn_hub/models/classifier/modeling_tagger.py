"""A label for each word of a text."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.utils import ModelOutput, can_return_tuple

from rnn_hub.layers.crf import LinearChainCrf, bio_constraints
from rnn_hub.layers.loss import IGNORED
from rnn_hub.modeling_utils import RnnPreTrainedModel
from rnn_hub.models.classifier.configuration_classifier import RnnClassifierConfig
from rnn_hub.models.classifier.modeling_classifier import training_options
from rnn_hub.models.encoder.any_encoder import AnyEncoder


@dataclass
class RnnTokenClassifierOutput(ModelOutput):
    """What a tagger returns.

    loss: a mean over the tagged words; logits (B, T, N), whose softmax is the probability of each tag, with a CRF the
    marginal p(y_t | x) exactly; tags (B, T), the best tags, with a CRF those of the best sequence, and -100 where there
    is no word or a piece that continues one. In training with labels there is the loss alone.

    With `whole_words` a piece that continues a word has the probabilities of the word, moved from B-X to I-X.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    tags: Tensor | None = None


class RnnForTokenClassification(RnnPreTrainedModel):
    """Any encoder, a linear layer, and a conditional random field where the configuration says so.

    Decoding is part of the model: best sequence, constraints and marginals are in whatever it is exported to.

    Args:
        config: an `RnnClassifierConfig`.
        encoder: a model that returns `last_hidden_state`, instead of the one that the configuration describes.
    """

    config_class = RnnClassifierConfig

    def __init__(self, config: RnnClassifierConfig, encoder: nn.Module | None = None):
        super().__init__(config)
        self.encoder = AnyEncoder(config, encoder)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(self.encoder.output_size, config.num_labels)
        labels = config.label_names()
        if config.crf:
            self.crf = LinearChainCrf(config.num_labels, *bio_constraints(labels))
        number = {label: index for index, label in enumerate(labels)}
        self._inside = [number.get(f"I-{label[2:]}", i) if label[:2] == "B-" else i for i, label in enumerate(labels)]
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
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> RnnTokenClassifierOutput:
        """Tags a batch.

        Args:
            input_ids: (B, T); or inputs_embeds (B, T, D).
            attention_mask: (B, T), 1 at real tokens; padding, left or right, changes nothing.
            labels: (B, T), -100 where ignored, as are labels of pieces that continue a word.
            num_items_in_batch: divides the summed loss instead of the number of tagged words (gradient accumulation).
        """
        states, mask, _ = self.encoder(input_ids, attention_mask, inputs_embeds)
        emissions = self.classifier(self.dropout(states)).float()
        loss = None
        if labels is not None:
            loss = self._loss(emissions, labels, mask & (labels != IGNORED), num_items_in_batch)
            if self.training:
                return RnnTokenClassifierOutput(loss=loss)
        if self.config.crf:
            logits, tags = self.crf.log_marginals(emissions, mask), self.crf.decode(emissions, mask)[0]
        else:
            logits, tags = torch.log_softmax(emissions, dim=-1), emissions.argmax(dim=-1)
        if self.encoder.words is not None and input_ids is not None:
            logits = self._spread(logits, *self.encoder.words(input_ids, attention_mask))
        return RnnTokenClassifierOutput(loss=loss, logits=logits, tags=tags.masked_fill(~mask, IGNORED))

    def _loss(self, emissions: Tensor, labels: Tensor, mask: Tensor, items: Tensor | int | None) -> Tensor:
        if self.config.crf:
            loss = -(self.crf.log_likelihood(emissions, labels, mask) * mask.any(dim=1)).sum()
        else:
            smoothing, weights = training_options(self, emissions)
            targets = labels.masked_fill(~mask, IGNORED).flatten()
            scores = emissions.flatten(0, 1)
            loss = F.cross_entropy(scores, targets, weights, reduction="sum", label_smoothing=smoothing)
        return loss / (mask.sum().clamp(min=1) if items is None else items)

    def _spread(self, logits: Tensor, real: Tensor, first: Tensor, number: Tensor) -> Tensor:
        """The words' log-probabilities (B, T, N) at all of their pieces, after the first as I-X for B-X."""
        place = torch.zeros_like(number).scatter_add(
            1, number, torch.arange(number.shape[1], device=number.device) * first
        )
        words = logits.gather(1, place.gather(1, number)[..., None].expand_as(logits))
        inside = torch.zeros_like(words).index_add(2, torch.tensor(self._inside, device=words.device), words.exp())
        inside = inside.clamp(min=torch.finfo(words.dtype).tiny).log()
        return torch.where((real & ~first)[..., None], inside, words)
