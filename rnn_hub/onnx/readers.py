"""Models that answer at once, over sessions of onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutput, SequenceClassifierOutput

from rnn_hub.modeling_utils import refuse_empty_rows
from rnn_hub.models.classifier.modeling_classifier import RnnForSequenceClassification
from rnn_hub.models.classifier.modeling_tagger import RnnForTokenClassification, RnnTokenClassifierOutput
from rnn_hub.models.forecast.generation_forecast import ForecastOutput
from rnn_hub.models.forecast.modeling_forecast import RnnForTimeSeriesPrediction
from rnn_hub.models.forecast.outputs import head_of
from rnn_hub.models.speech.modeling_speech import RnnForCTC, refuse_left_padding
from rnn_hub.models.vision.frame_encoder import CHUNK, FrameEncoder
from rnn_hub.models.vision.modeling_vision import RnnForVideoClassification
from rnn_hub.onnx.models import OnnxModel, runs
from rnn_hub.onnx.session import Session


class OnnxReader(OnnxModel):
    """A model of one graph, from a batch of sequences."""

    def _run(self, mask: Tensor | None, **inputs: Tensor) -> dict[str, Tensor]:
        """The graph's outputs for sequences (B, T, ...) under a mask (B, T), by default of ones."""
        given = next(iter(inputs.values()))
        mask = torch.ones(given.shape[:2]) if mask is None else mask
        if given.shape[1] == 0:
            raise ValueError("the batch holds nothing: leave empty inputs out")
        refuse_empty_rows(mask)
        return self.sessions["model"](attention_mask=mask.long(), **inputs)

    def _attention(self, outputs: dict[str, Tensor], wanted: bool | None) -> tuple[Tensor] | None:
        """Where the pooling looks, if that is asked for."""
        if wanted and "attentions" not in outputs:
            raise ValueError(f"there is no attention to return: the config has pooling={self.config.pooling!r}")
        return (outputs["attentions"],) if wanted else None


@runs("RnnForSequenceClassification")
class OnnxForSequenceClassification(OnnxReader, RnnForSequenceClassification):
    """A classifier of texts."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Classifies a batch. Arguments as of the torch model."""
        found = self._run(attention_mask, input_ids=input_ids)
        return SequenceClassifierOutput(logits=found["logits"], attentions=self._attention(found, output_attentions))


@runs("RnnForTokenClassification")
class OnnxForTokenClassification(OnnxReader, RnnForTokenClassification):
    """A tagger."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> RnnTokenClassifierOutput:
        """Tags a batch. Arguments as of the torch model."""
        return RnnTokenClassifierOutput(**self._run(attention_mask, input_ids=input_ids))


@runs("RnnForCTC")
class OnnxForCTC(OnnxReader, RnnForCTC):
    """A recognizer of speech, of whole recordings."""

    def forward(self, input_features: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> CausalLMOutput:
        """Recognizes a batch. Arguments as of the torch model."""
        mask = torch.ones(input_features.shape[:2]) if attention_mask is None else attention_mask
        refuse_left_padding(mask)
        missing = -mask.shape[1] % self.config.subsampling
        padded = F.pad(input_features, (0, 0, 0, missing))
        return CausalLMOutput(**self._run(F.pad(mask, (0, missing)), input_features=padded))


@runs("RnnForTimeSeriesPrediction")
class OnnxForTimeSeriesPrediction(OnnxModel, RnnForTimeSeriesPrediction):
    """A forecaster, whose graph gives the parameters of distributions; quantiles and samples are taken here."""

    def __init__(self, config: Any, folder: Path):
        super().__init__(config, folder)
        self.head = head_of(config)

    def forward(
        self, past_values: Tensor, past_observed_mask: Tensor | None = None, **inputs: Tensor | None
    ) -> ForecastOutput:
        """Forecasts a batch. Arguments as of the torch model."""
        window = self.window(past_values, past_observed_mask)  # refuses what it cannot forecast
        self._known(window, inputs)
        mask = torch.ones_like(past_values) if past_observed_mask is None else past_observed_mask
        given = {name: part.float() for name, part in inputs.items() if part is not None}
        if self.config.num_time_features:
            steps, size = self.config.prediction_length, self.config.num_time_features
            given["future_time_features"] = self._given(inputs, "future_time_features", size, steps)
        given |= {"past_values": past_values.float(), "past_observed_mask": mask.long()}
        found = self.sessions["model"](**given)
        params = tuple(part for name, part in found.items() if name.startswith("params_"))
        return ForecastOutput(params=params, loc=found["loc"], scale=found["scale"])


class OnnxFrames(FrameEncoder):
    """The graph that sees one frame at a time; it is trained no more, so its features may be kept."""

    def __init__(self, config: Any, session: Session):
        nn.Module.__init__(self)
        self.session = session
        self.maps, self.differences = config.reads_maps, "pixel_differences" in config.inputs
        self.beside = self.differences and "frames" in config.inputs
        self.frozen = False

    @property
    def device(self) -> torch.device:
        """Always the CPU."""
        return torch.device("cpu")

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (N, C, H, W) -> vectors (N, D) or maps (N, h, w, D), a few at a time."""
        return torch.cat([self.session(frames=chunk)["features"] for chunk in frames.split(CHUNK)])


@runs("RnnForVideoClassification")
class OnnxForVideoClassification(OnnxReader, RnnForVideoClassification):
    """A classifier of whole videos."""

    graphs = ("frames", "model")

    def __init__(self, config: Any, folder: Path):
        super().__init__(config, folder)
        self.frames = OnnxFrames(config, self.sessions["frames"])

    def forward(
        self,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        features: Tensor | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Classifies a batch of videos. Arguments as of the torch model."""
        if (pixel_values is None) == (features is None):
            raise ValueError("pass either pixel_values or features")
        refuse_empty_rows(attention_mask)
        features = self.frames(pixel_values, attention_mask) if features is None else features
        found = self._run(attention_mask, features=features)
        return SequenceClassifierOutput(logits=found["logits"], attentions=self._attention(found, output_attentions))
