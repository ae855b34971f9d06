"""A recurrent network over trees."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.utils import ModelOutput, can_return_tuple

from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.embedding import ScaledEmbedding
from rnn_hub.layers.graph import graph_rnn
from rnn_hub.layers.loss import IGNORED
from rnn_hub.layers.stack import RnnStack
from rnn_hub.modeling_utils import RnnPreTrainedModel
from rnn_hub.models.tree.configuration_tree import RnnTreeConfig


@dataclass
class TreeClassifierOutput(ModelOutput):
    """Logits of the roots (B, C) and of all nodes (N, C), and the nodes' hidden states (N, H)."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    node_logits: Tensor | None = None
    hidden_states: Tensor | None = None


class RnnForTreeClassification(RnnPreTrainedModel):
    """A label for each node of a tree, from the words below it (Tai et al. 2015; Socher et al. 2013)."""

    config_class = RnnTreeConfig
    supports_gradient_checkpointing = False

    def __init__(self, config: RnnTreeConfig):
        super().__init__(config)
        self.embeddings = ScaledEmbedding(config.vocab_size, config.embedding_size)
        self.embedding_dropout = SequenceDropout(config.embedding_dropout)
        self.stack = RnnStack(
            config.embedding_size,
            config.hidden_size,
            cell_type=config.cell_type,
            weight_dropout=config.weight_dropout,
            zoneout=config.zoneout,
        )
        self.dropout = SequenceDropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """The word embedding."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replaces the word embedding."""
        self.embeddings = value

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        edges: Tensor,
        roots: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> TreeClassifierOutput:
        """Reads any number of trees as one graph.

        Args:
            input_ids: (N,), the word of each leaf; at inner nodes the padding token, which is no input.
            edges: (2, E), a child and its parent in each column, the children of a node from left to right.
            roots: (B,), the nodes whose logits are returned first; by default those without a parent.
            labels: (N,), -100 where there is none; gives the loss, a mean over all labelled nodes.
            num_items_in_batch: divides the summed loss instead of the number of labelled nodes.

        Raises:
            ValueError: a cycle, a node that does not exist, or more children than the cell takes.
        """
        x = self.embeddings(input_ids)
        real = input_ids != self.config.pad_token_id
        if self.training and self.config.word_dropout:
            real = real & (torch.rand(real.shape, device=real.device) >= self.config.word_dropout)
        x = self.embedding_dropout(x * real[:, None].to(x.dtype))
        hidden, _ = graph_rnn(self.stack.cell(0), x, edges)
        logits = self.classifier(self.dropout(hidden))
        if roots is None:
            roots = torch.ones_like(real).index_fill(0, edges[0], False).nonzero()[:, 0]
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
            loss = loss / ((labels != IGNORED).sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch)
        return TreeClassifierOutput(loss=loss, logits=logits[roots], node_logits=logits, hidden_states=hidden)
