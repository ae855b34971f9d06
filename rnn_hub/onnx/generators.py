"""Encoder-decoders over sessions of onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import Seq2SeqLMOutput

from rnn_hub.cache import RnnCache
from rnn_hub.cells.scan import freeze
from rnn_hub.layers.attention import Memory
from rnn_hub.layers.decoder import DecoderState
from rnn_hub.modeling_utils import refuse_empty_rows
from rnn_hub.models.caption.modeling_caption import RnnForCaptioning
from rnn_hub.models.encoder.modeling_encoder import RnnEncoderOutput
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration
from rnn_hub.onnx.models import OnnxModel, runs
from rnn_hub.onnx.session import Session


@dataclass
class OnnxEncoderOutput(RnnEncoderOutput):
    """What the first graph returns; memory is a `Memory`, of which `last_hidden_state` has the values."""

    memory: Memory | None = None


class OnnxEncoder(nn.Module):
    """The first graph of an encoder-decoder, as `generate()` wants an encoder."""

    main_input_name = "input_ids"

    def __init__(self, session: Session):
        super().__init__()
        self.session = session

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, return_dict: bool = True, **kwargs: Any
    ) -> OnnxEncoderOutput:
        """Encodes tokens (M, S)."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
        refuse_empty_rows(mask)
        return self._encode({"input_ids": input_ids, "attention_mask": mask}, mask, input_ids)

    def _encode(
        self, inputs: dict[str, Tensor], mask: Tensor | None = None, tokens: Tensor | None = None
    ) -> OnnxEncoderOutput:
        """What the graph makes of its inputs."""
        outputs = self.session(**inputs)
        values = outputs.pop("values", None)
        memory = None if values is None else Memory(outputs.pop("keys", values), values, mask, tokens)
        return OnnxEncoderOutput(last_hidden_state=values, state=tuple(outputs.values()), mask=mask, memory=memory)


class OnnxImageEncoder(OnnxEncoder):
    """The first graph of a captioner."""

    main_input_name = "pixel_values"

    def forward(self, pixel_values: Tensor | None = None, **kwargs: Any) -> OnnxEncoderOutput:
        """Sees images (M, 3, H, W)."""
        if pixel_values is None:
            raise ValueError("a graph sees whole images and no features: pass pixel_values")
        return self._encode({"pixel_values": pixel_values})


@runs("RnnForConditionalGeneration", "RnnForPointerGeneration")
class OnnxForConditionalGeneration(OnnxModel, RnnForConditionalGeneration):
    """An encoder-decoder over the graphs `encoder` and `step`; the state is flat, one tuple of all its parts."""

    graphs = ("encoder", "step")
    encoder_class: ClassVar[type[OnnxEncoder]] = OnnxEncoder

    def __init__(self, config: Any, folder: Path):
        super().__init__(config, folder)
        self.encoder = self.encoder_class(self.sessions["encoder"])

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: OnnxEncoderOutput | None = None,
        past_key_values: RnnCache | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Runs encoder (unless its outputs are given) and decoder, step by step. Arguments as of the torch model."""
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask)
        memory, state = encoder_outputs.memory, None
        if past_key_values is not None:
            memory, state = past_key_values.memory or memory, past_key_values.state
        if state is None:
            times = len(decoder_input_ids) // len(encoder_outputs.state[0])
            state = (tuple(part.repeat_interleave(times, dim=0) for part in encoder_outputs.state),)
        logits, weights = [], []
        for number, tokens in enumerate(decoder_input_ids.unbind(1)):
            outputs, after = self._advance(tokens, memory, state)
            if decoder_attention_mask is not None:
                after = (freeze(decoder_attention_mask[:, number].bool(), after[0], state[0]),)
            logits.append(outputs["logits"])
            weights.append(outputs.get("attention"))
            state = after
        if use_cache or past_key_values is not None:
            past_key_values = past_key_values or RnnCache()
            past_key_values.memory = memory
            past_key_values.update(state, decoder_input_ids.shape[1])
        attended = output_attentions and memory is not None
        return Seq2SeqLMOutput(
            logits=torch.stack(logits, dim=1),
            past_key_values=past_key_values,
            cross_attentions=(torch.stack(weights, dim=1)[:, None],) if attended else None,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
        )

    def decode_step(self, tokens: Tensor, memory: Memory | None, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One step of our own decoding loops: tokens (R,) -> logits (R, V) and the next state."""
        outputs, state = self._advance(tokens, memory, state)
        return outputs["logits"], state

    def _advance(
        self, tokens: Tensor, memory: Memory | None, state: DecoderState
    ) -> tuple[dict[str, Tensor], DecoderState]:
        """The second graph, for R rows, of which those of one source stand together."""
        sources = len(tokens) if memory is None else len(memory.values)
        inputs = {"tokens": tokens}
        inputs |= {f"state_{number}": part for number, part in enumerate(state[0])}
        inputs = {name: part.unflatten(0, (sources, -1)) for name, part in inputs.items()}
        if memory is not None:
            inputs |= {"values": memory.values, "keys": memory.keys}
            inputs |= {"attention_mask": memory.mask, "input_ids": memory.tokens}
        outputs = {name: part.flatten(0, 1) for name, part in self.sessions["step"](**inputs).items()}
        return outputs, (tuple(outputs.pop(f"next_state_{number}") for number in range(len(state[0]))),)


@runs("RnnForCaptioning")
class OnnxForCaptioning(OnnxForConditionalGeneration, RnnForCaptioning):
    """A captioner of images."""

    encoder_class = OnnxImageEncoder

    def forward(
        self, pixel_values: Tensor | None = None, encoder_outputs: OnnxEncoderOutput | None = None, **kwargs: Any
    ) -> Seq2SeqLMOutput:
        """Runs encoder and decoder. Arguments as of the torch model."""
        if encoder_outputs is None:
            encoder_outputs = self.encoder(pixel_values)
        return OnnxForConditionalGeneration.forward(self, encoder_outputs=encoder_outputs, **kwargs)
