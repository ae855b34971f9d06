"""A recurrent encoder of tokens."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput, can_return_tuple

from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.embedding import ScaledEmbedding
from rnn_hub.layers.stack import RnnStack, StackState
from rnn_hub.layers.words import CharacterFeatures, WordTable, mean_of_pieces
from rnn_hub.modeling_utils import RnnPreTrainedModel, refuse_empty_rows
from rnn_hub.models.encoder.configuration_encoder import RnnEncoderConfig


@dataclass
class RnnEncoderOutput(ModelOutput):
    """What an encoder returns.

    Shapes: last_hidden_state (B, T, D), 0 at padding; pooler_output (B, D'), the last layer's final hidden states, both
    directions side by side; state: the final state of every layer and direction; tokens (B, T): what was read, where a
    decoder copies it.
    """

    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    state: StackState | None = None
    mask: Tensor | None = None
    tokens: Tensor | None = None


class RnnEncoderModel(RnnPreTrainedModel):
    """Embedded tokens through a recurrent stack, in one or two directions.

    A batch may be padded on either side; padding changes nothing. A row without any real token is an error when the
    model is not training, since nothing can be said about it.
    """

    config_class = RnnEncoderConfig

    def __init__(self, config: RnnEncoderConfig):
        super().__init__(config)
        self.embeddings = ScaledEmbedding(config.vocab_size, config.embedding_size)
        self.embedding_dropout = SequenceDropout(config.embedding_dropout, config.variational_dropout)
        input_size = config.embedding_size
        if config.whole_words or config.char_features:
            self.words = WordTable(config.vocab_size, config.max_word_length if config.char_features else 0)
        if config.char_features:
            self.characters = CharacterFeatures(
                config.char_features,
                len(config.characters or ""),
                config.char_embedding_size,
                config.char_hidden_size,
                config.char_kernel_size,
                config.char_dropout,
            )
            input_size += self.characters.output_size
        self.stack = RnnStack(
            input_size,
            config.hidden_size,
            config.num_layers,
            bidirectional=config.bidirectional,
            merge=config.merge,
            **config.stack_options(),
        )
        self.dropout = SequenceDropout(config.dropout, config.variational_dropout)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replaces the token embedding."""
        self.embeddings = value

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        state: StackState | None = None,
        **kwargs: object,
    ) -> RnnEncoderOutput:
        """Encodes a batch.

        Args:
            input_ids: (B, T); or inputs_embeds (B, T, D), which then are all that the stack sees.
            attention_mask: (B, T), 1 at real tokens.
            state: the state to start from.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("pass either input_ids or inputs_embeds")
        if not self.training:
            refuse_empty_rows(attention_mask)
        x, mask = inputs_embeds, attention_mask
        if input_ids is not None:
            x, mask = self._embed(input_ids, attention_mask)
        hidden, state = self.stack(self.embedding_dropout(x), mask, state)
        directions = len(self.stack.directions)
        summary = torch.cat([layer[0] for layer in state[-directions:]], dim=-1).to(hidden.dtype)
        return RnnEncoderOutput(last_hidden_state=self.dropout(hidden), pooler_output=summary, state=state, mask=mask)

    def _embed(self, input_ids: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Tokens, or words with their characters, as vectors (B, T, D), and where they stand."""
        x, config = self.embeddings(input_ids), self.config
        if not (config.whole_words or config.char_features):
            return self._hide_words(x), mask
        real, first, number = self.words(input_ids, mask)
        if config.whole_words:
            x = mean_of_pieces(x, real, number)
        x = self._hide_words(x)
        if config.char_features:
            spelled = self.characters(self.words.spell(input_ids, real, first, number))
            x = torch.cat([x, spelled.gather(1, number[..., None].expand(-1, -1, spelled.shape[-1]))], dim=-1)
        return x, first

    def _hide_words(self, x: Tensor) -> Tensor:
        if not self.training or not self.config.word_dropout:
            return x
        return x * (torch.rand(x.shape[:2], device=x.device) >= self.config.word_dropout)[..., None].to(x.dtype)
