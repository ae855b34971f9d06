"""A pointer-generator: a recurrent encoder-decoder that writes tokens of its vocabulary or copies its source's."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.utils import ModelOutput

from rnn_hub.layers.attention import Memory
from rnn_hub.layers.coverage import CoverageDecoder
from rnn_hub.layers.decoder import AttentionDecoder, DecoderState
from rnn_hub.layers.loss import IGNORED
from rnn_hub.models.encoder.modeling_encoder import RnnEncoderModel, RnnEncoderOutput
from rnn_hub.models.pointer.configuration_pointer import RnnPointerConfig
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration

TINY = 1e-20
"""The least probability of a token, so that its logarithm is finite."""


class SourceEncoder(RnnEncoderModel):
    """An encoder whose output also holds the tokens that it read."""

    def forward(self, input_ids: Tensor | None = None, *args: Any, **kwargs: Any) -> RnnEncoderOutput | tuple:
        """As `RnnEncoderModel.forward`; tokens are needed, since embeddings cannot be copied."""
        if input_ids is None:
            raise ValueError("a pointer-generator copies source tokens: pass input_ids, not inputs_embeds")
        as_dict = kwargs.pop("return_dict", True)
        output = super().forward(input_ids, *args, **kwargs, return_dict=True)
        output["tokens"] = input_ids
        return output if as_dict else output.to_tuple()


class RnnForPointerGeneration(RnnForConditionalGeneration):
    """P(w) = g softmax(W o)_w + (1 - g) (attention to all w in the source), where g = sigmoid(v . o).

    See et al. 2017, "Get To The Point: Summarization with Pointer-Generator Networks", equations 8 to 13; they compute
    g from context, state and input, of which the attentional vector o is a function. Source and target share a
    vocabulary of subwords and bytes, in which nothing is unknown: what is copied needs no extended vocabulary. The
    logits are log-probabilities.
    """

    config_class = RnnPointerConfig

    def __init__(self, config: RnnPointerConfig, encoder: nn.Module | None = None):
        super().__init__(config, encoder)
        self.gate = nn.Linear(self.decoder.output_size, 1)
        self.post_init()

    @staticmethod
    def _build_encoder(config: RnnPointerConfig) -> nn.Module:
        return SourceEncoder(config.encoder_config())

    @staticmethod
    def _decoder_class(config: RnnPointerConfig) -> type[AttentionDecoder]:
        return CoverageDecoder if config.coverage else AttentionDecoder

    def _remember(self, encoder_outputs: ModelOutput, attention_mask: Tensor | None) -> Memory:
        if encoder_outputs.get("tokens") is None:
            raise ValueError("encoder_outputs lack tokens: pass all that the encoder returned")
        return super()._remember(encoder_outputs, attention_mask)._replace(tokens=encoder_outputs.tokens)

    def _logits(self, hidden: Tensor, weights: Tensor, source: ModelOutput | Memory) -> Tensor:
        """Log-probabilities (B, T, V) of writing or copying each token."""
        writes = torch.sigmoid(self.gate(hidden).float())
        probabilities = torch.softmax(self.lm_head(hidden), dim=-1, dtype=torch.float32) * writes
        tokens = self._repeat(source.tokens, hidden.shape[0])[:, None].expand(weights.shape)
        return probabilities.scatter_add(-1, tokens, (1 - writes) * weights.float()).clamp(min=TINY).log()

    @staticmethod
    def _repeat(tokens: Tensor, rows: int) -> Tensor:
        """The source's tokens (M, S) for each of B rows, of which those of one source stand together."""
        return tokens[:, None].expand(-1, rows // tokens.shape[0], -1).flatten(0, 1)

    def _parts(self, hidden: Tensor, weights: Tensor, tokens: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Of N labels the log-probabilities (N,) of being written, and of being copied; N rows of all else."""
        gate = self.gate(hidden).squeeze(-1).float()
        written = torch.log_softmax(self.lm_head(hidden), dim=-1, dtype=torch.float32)
        written = written.gather(-1, labels[:, None]).squeeze(-1)
        copied = (weights.float() * (tokens == labels[:, None])).sum(dim=-1).clamp(min=TINY).log()
        return F.logsigmoid(gate) + written, F.logsigmoid(-gate) + copied

    def _loss(
        self, hidden: Tensor, labels: Tensor, items: Tensor | int | None, weights: Tensor, source: ModelOutput
    ) -> Tensor:
        """The mean negative log-likelihood, in training with the penalty of looking twice at one place."""
        real = labels != IGNORED
        tokens = self._repeat(source.tokens, len(labels))[real.nonzero()[:, 0]]
        loss = -torch.logaddexp(*self._parts(hidden[real], weights[real], tokens, labels[real])).sum()
        if self.training and self.config.coverage and self.config.coverage_penalty:
            before = weights.cumsum(dim=1) - weights
            again = (torch.minimum(weights, before) * real[..., None]).sum()
            loss = loss + self.config.coverage_penalty * again
        return loss / (real.sum().clamp(min=1) if items is None else items)

    def decode_step(self, tokens: Tensor, memory: Memory, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One step of our own decoding loops: tokens (R,) -> logits (R, V) in float32 and the next state."""
        hidden, weights, state = self.decoder.advance(self.embeddings(tokens), memory, state)
        return self._logits(hidden[:, None], weights, memory)[:, 0], state

    @torch.no_grad()
    def copied(self, sequences: Tensor, **source: Tensor) -> Tensor:
        """How likely each token of a text was copied and not written, from 0 to 1.

        Args:
            sequences: (B, 1 + T), as `generate()` returns them; the start token has no entry in the result.
            source: input_ids (M, S) and attention_mask (M, S), B a multiple of M.

        Returns:
            (B, T).
        """
        encoded = self.encoder(**source)
        embedded, labels = self.embeddings(sequences[:, :-1]), sequences[:, 1:]
        hidden, weights, _ = self._decode(embedded, encoded, source.get("attention_mask"), None, None)
        tokens = self._repeat(encoded.tokens, len(labels)).repeat_interleave(labels.shape[1], dim=0)
        written, copied = self._parts(hidden.flatten(0, 1), weights.flatten(0, 1), tokens, labels.flatten())
        return torch.sigmoid(copied - written).view(labels.shape)
