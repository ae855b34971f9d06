"""A recurrent decoder that attends to a source, or sees only its summary."""

import torch
from torch import Tensor, nn

from rnn_hub.cells import State, fused
from rnn_hub.cells.deferred import defer
from rnn_hub.cells.scan import freeze
from rnn_hub.layers.attention import Memory, get_attention
from rnn_hub.layers.dropout import SequenceDropout
from rnn_hub.layers.stack import Noise, RnnStack
from rnn_hub.layers.view import with_matrices

DecoderState = tuple[State, ...]
"""A state for each layer; with input feeding, one more that holds the last attentional vector."""


class AttentionDecoder(nn.Module):
    """h = lower(x); c = attention(h); h = upper([h; c]); output = tanh(W [h; c]) (Luong et al. 2015, equation 5).

    Attention stands after one of the layers. After the last, this is Luong's decoder; after the first, the contexts
    feed the layers above and so tell them where the decoder has looked, as in Wu et al. 2016 ("Google's NMT System",
    section 3): what input feeding does, but without a loop, since each layer runs over a whole target in one scan.
    With input feeding (Luong et al. 2015, section 3.3) the last attentional vector joins each step's input, and
    training goes step by step.

    Args:
        input_size: features of a target embedding.
        hidden_size: units of a layer.
        num_layers: how many layers.
        memory_size: features of an encoder state.
        output_size: features of an attentional vector, the output layer's input.
        attention_type: the name of a registered attention; None for a decoder without.
        attention_layer: after which layer to attend; negative counts from the last.
        input_feeding: whether the last attentional vector is part of the next input.
        dropout, variational_dropout: on the inputs of all layers but the first, and on the attentional vectors.
        stack: further arguments of `RnnStack`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        memory_size: int,
        output_size: int,
        attention_type: str | None = "general",
        attention_layer: int = -1,
        input_feeding: bool = False,
        dropout: float = 0.0,
        variational_dropout: bool = False,
        **stack: object,
    ):
        super().__init__()
        if not -num_layers <= attention_layer < num_layers:
            raise ValueError(f"attention_layer {attention_layer} is not one of the decoder's {num_layers} layers")
        self.input_feeding, self.output_size = input_feeding, output_size
        self.feeds_back = input_feeding  # whether a step needs what the step before has made
        self.attention = None if attention_type is None else get_attention(attention_type)(hidden_size, memory_size)
        context_size = 0 if self.attention is None else memory_size
        lower_layers = num_layers if self.attention is None else attention_layer % num_layers + 1
        options = {"dropout": dropout, "variational_dropout": variational_dropout, **stack}
        feed_size = output_size if input_feeding else 0
        self.lower = RnnStack(input_size + feed_size, hidden_size, lower_layers, **options)
        self.upper = None
        if lower_layers < num_layers:
            self.upper = RnnStack(hidden_size + context_size, hidden_size, num_layers - lower_layers, **options)
        self.combine = nn.Linear(hidden_size + context_size, output_size)
        self.dropout = SequenceDropout(dropout, variational_dropout)

    @property
    def stacks(self) -> list[RnnStack]:
        """The layers below the attention, and those above where there are any."""
        return [self.lower] if self.upper is None else [self.lower, self.upper]

    def remember(self, values: Tensor, mask: Tensor | None) -> Memory | None:
        """Prepares a source's states (M, S, C) with their mask (M, S) for attention; None where there is none."""
        return None if self.attention is None else self.attention.remember(values, mask)

    def init_state(self, batch_size: int, like: Tensor) -> DecoderState:
        """The state before the first step."""
        states = tuple(state for stack in self.stacks for state in stack.init_state(batch_size, like))
        if self.input_feeding:
            states += ((like.new_zeros(batch_size, self.output_size),),)
        return states

    def begin(self, state: DecoderState, memory: Memory | None) -> DecoderState:
        """The first state, with what depends on the source."""
        return state

    def forward(
        self, x: Tensor, memory: Memory | None, state: DecoderState, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Teacher forcing over a whole target, or any part of one.

        Args:
            x: target embeddings (B, T, input_size).
            memory: what `remember` returned.
            state: the state before the first step.
            mask: (B, T), 1 at real positions.

        Returns:
            attentional vectors (B, T, output_size), attention weights (B, T, S) or None, and the next state.
        """
        if self.feeds_back and x.shape[1] > 0:
            output, weights, state = self._feed(x, memory, state, mask)
        elif self.feeds_back:
            output, weights = x.new_zeros(x.shape[0], 0, self.output_size), None
        else:
            output, weights, state = self.step(x, memory, state, mask)
        return self.dropout(output), weights, state

    def step(
        self,
        x: Tensor,
        memory: Memory | None,
        state: DecoderState,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """All steps at once, where none feeds back. Arguments and results as in `forward`, without its dropout."""
        layers = self.lower.num_layers
        hidden, after = self.lower(x, mask, state[:layers])
        weights = None
        if self.attention is not None:
            context, weights = self.attention(hidden, memory)
            hidden = torch.cat([hidden, context], dim=-1)
            if self.upper is not None:
                hidden, last = self.upper(self.upper.dropout(hidden), mask, state[layers:])
                after, hidden = after + last, torch.cat([hidden, context], dim=-1)
        return torch.tanh(self.combine(hidden)), weights, after

    def advance(
        self, x: Tensor, memory: Memory | None, state: DecoderState, noise: tuple[Noise, ...] | None = None
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """One step: an embedding (B, input_size) -> attentional vector (B, D), weights (B, 1, S) or None, next state.

        `noise` holds what each of the stacks drops, where several steps make one pass.
        """
        layers = self.lower.num_layers
        below, above = (*(noise or ()), None, None)[:2]
        if self.input_feeding:
            x = torch.cat([x, state[-1][0].to(x.dtype)], dim=-1)
        hidden, after = self.lower.advance(x, state[:layers], below)
        weights = None
        if self.attention is not None:
            context, weights = self.attention(hidden[:, None], memory)
            hidden = torch.cat([hidden, context[:, 0]], dim=-1)
            if self.upper is not None:
                hidden = self.upper.dropout(hidden[:, None], None if above is None else above.inputs[0])[:, 0]
                hidden, last = self.upper.advance(hidden, state[layers : layers + self.upper.num_layers], above)
                after, hidden = after + last, torch.cat([hidden, context[:, 0]], dim=-1)
        output = torch.tanh(self.combine(hidden))
        return output, weights, (*after, (output,)) if self.input_feeding else after

    def _feed(
        self, x: Tensor, memory: Memory | None, state: DecoderState, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Step by step, since each input holds the output before it."""
        noise = tuple(stack.draw_noise(x.shape[0], x) for stack in self.stacks)
        decoder, outputs, weights = self, [], []
        if self.training and fused.defers(x):
            decoder = with_matrices(self, defer, dict(zip(self.stacks, noise, strict=True)))
        for t, embedding in enumerate(x.unbind(1)):
            output, weight, after = decoder.advance(embedding, memory, state, noise)
            if mask is not None:
                after = tuple(freeze(mask[:, t].bool(), new, old) for new, old in zip(after, state, strict=True))
            state = after
            outputs.append(output)
            weights.append(weight)
        joined = None if self.attention is None else torch.cat(weights, dim=1)
        return torch.stack(outputs, dim=1), joined, state
