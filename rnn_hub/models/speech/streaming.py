"""Recognition of speech that goes on: what is heard so far, with a state that does not grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnn_hub.data.audio import Resampler, mono
from rnn_hub.errors import RnnHubError
from rnn_hub.layers.time_windows import TimeWindows
from rnn_hub.models.speech.modeling_speech import RnnForCTC


def obstacle(model: Any, processor: Any) -> str | None:
    """Why a model cannot recognize a recording that goes on; None where it can."""
    extractor = processor.feature_extractor
    if not hasattr(model, "encoder"):
        return "a graph of ONNX recognizes whole recordings only: stream with the model's own folder"
    if model.config.is_encoder_decoder:
        return "this model's decoder looks at the whole recording, so it cannot write while one goes on"
    if model.config.bidirectional:
        return "this model reads a recording backwards too, so it cannot recognize one that goes on"
    if extractor.kind == "given" or extractor.normalization == "utterance":
        return "a stream needs features of waveforms that are normalized by the training data's mean"
    return None


class SpeechStream:
    """Audio comes in pieces of any length, text comes out; in the end it is the text of the whole recording.

    All that is kept are the samples that no whole frame covers yet, a few steps of the convolutions, the recurrent
    state, and the text.

    Args:
        model: one that reads forwards only.
        processor: that of the model.
        sampling_rate: of the pieces; default: the model's own.

    Raises:
        RnnHubError: the model or its features need the whole recording.
    """

    def __init__(self, model: RnnForCTC, processor: Any, sampling_rate: int | None = None):
        if reason := obstacle(model, processor):
            raise RnnHubError(reason)
        extractor = processor.feature_extractor
        self.model, self.processor, self.extractor = model.eval(), processor, extractor
        self.sampling_rate = sampling_rate or extractor.sampling_rate
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._resampler = Resampler(self.sampling_rate, self.extractor.sampling_rate)
        self._samples = np.zeros(0, np.float32)
        self._states: list[Any] = [None] * len(self.model.encoder.stages)
        self._short = True
        self.tokens: list[int] = []
        self.log_probabilities: Tensor | None = None

    @property
    def text(self) -> str:
        """What was said so far."""
        return self.processor.decode(self.tokens)

    def push(self, samples: Any) -> str:
        """Hears the next samples, (N,) or of several channels, and returns what was said so far."""
        self._hear(self._resampler.push(mono(samples)))
        return self.text

    def finish(self) -> str:
        """Hears the end, and returns what was said; the stream can then be `reset`."""
        tail = np.zeros(round(self.extractor.tail * self.extractor.sampling_rate), np.float32)
        self._hear(np.concatenate([self._resampler.flush(), tail]), last=True)
        return self.text

    @torch.inference_mode()
    def _hear(self, samples: np.ndarray, last: bool = False) -> None:
        extractor = self.extractor
        self._samples = np.concatenate([self._samples, samples])
        if last and self._short and len(self._samples):
            self._samples = np.pad(self._samples, (0, max(0, extractor.window_length - len(self._samples))))
        frames = extractor.frames(self._samples)
        self._samples = self._samples[len(frames) * extractor.hop_length :]
        self._short &= not len(frames)
        x = torch.from_numpy(extractor.normalize(frames) if len(frames) else frames)[None].to(self.model.device)
        for place, stage in enumerate(self.model.encoder.stages):
            x = self._stage(place, stage, x, last)
        self.log_probabilities = self.model.log_probabilities(x)[0] if x.shape[1] else None
        if self.log_probabilities is not None:
            self._read(self.log_probabilities.argmax(dim=-1).tolist())

    def _stage(self, place: int, stage: Any, x: Tensor, last: bool) -> Tensor:
        state = self._states[place]
        if isinstance(stage, TimeWindows):
            x, self._states[place] = stage.push(x, stage.init_state(x) if state is None else state, last)
        elif x.shape[1]:
            x, self._states[place] = stage(x, None, state)
        else:
            x = x.new_zeros(1, 0, stage.output_size)
        return x

    def _read(self, best: list[int]) -> None:
        """Adds the tokens of the next steps; of the text the last step's token is kept, as CTC needs it."""
        blank = self.model.config.pad_token_id
        for token in best:
            before = self.tokens[-1] if self.tokens else blank
            if token != before:
                self.tokens.append(token)
