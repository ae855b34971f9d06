"""The graphs of models that answer at once: one for the whole, of videos one more for their frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnn_hub.errors import RnnHubError
from rnn_hub.models.classifier.modeling_classifier import RnnForSequenceClassification
from rnn_hub.models.classifier.modeling_tagger import RnnForTokenClassification
from rnn_hub.models.forecast.modeling_forecast import RnnForTimeSeriesPrediction
from rnn_hub.models.speech.modeling_speech import RnnForCTC
from rnn_hub.models.vision.frame_encoder import FrameEncoder
from rnn_hub.models.vision.modeling_vision import RnnForVideoClassification
from rnn_hub.onnx.parts import Part, image_sides, register

ROWS, POSITIONS = 2, 7
"""The sample that is traced; the axes of these sizes are dynamic. They are not alike, and none is 1."""
BATCH = {0: "rows", 1: "positions"}
MAP = (5, 6)
"""Rows and columns of a feature map."""


class Whole(nn.Module):
    """A model from the inputs of these names to those of its outputs, lists of one by what is in them."""

    def __init__(self, model: nn.Module, names: Iterable[str], outputs: Iterable[str], **options: Any):
        super().__init__()
        self.model, self.names, self.outputs, self.options = model, list(names), list(outputs), options

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """What the model's `forward` takes and returns."""
        found = self.model(**dict(zip(self.names, inputs, strict=True)), **self.options, return_dict=True)
        parts = {name: getattr(found, name) for name in self.outputs}
        return {name: part[0] if isinstance(part, tuple) else part for name, part in parts.items()}


def whole(model: nn.Module, inputs: dict[str, Tensor], *outputs: str, **options: Any) -> dict[str, Part]:
    """The one graph of a model over a batch of sequences (B, T, ...)."""
    return {"model": Part(Whole(model, inputs, outputs, **options), inputs, dict.fromkeys(inputs, BATCH))}


def _tokens() -> dict[str, Tensor]:
    ids = torch.arange(ROWS * POSITIONS).view(ROWS, POSITIONS) % 4
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@register(RnnForSequenceClassification)
def text_classifier(model: RnnForSequenceClassification) -> dict[str, Part]:
    """Tokens to logits, and where the pooling looks."""
    if model.config.pooling == "attention":
        return whole(model, _tokens(), "logits", "attentions", output_attentions=True)
    return whole(model, _tokens(), "logits")


@register(RnnForTokenClassification)
def tagger(model: RnnForTokenClassification) -> dict[str, Part]:
    """Tokens to marginals and best tags: decoding is in the graph."""
    return whole(model, _tokens(), "logits", "tags")


@register(RnnForCTC)
def recognizer(model: RnnForCTC) -> dict[str, Part]:
    """Frames, of which there are whole steps of the output, to log-probabilities."""
    frames = torch.zeros(ROWS, POSITIONS * model.config.subsampling, model.config.input_size)
    inputs = {"input_features": frames, "attention_mask": torch.ones(frames.shape[:2], dtype=torch.long)}
    axes = {0: "rows", 1: f"{model.config.subsampling}*steps"}
    return {"model": Part(Whole(model, inputs, ["logits"]), inputs, dict.fromkeys(inputs, axes))}


class Forecast(nn.Module):
    """A direct forecast from a past of any length: what is missing before it is padding."""

    def __init__(self, model: RnnForTimeSeriesPrediction, names: Iterable[str]):
        super().__init__()
        self.model, self.names = model, list(names)

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """What the model takes -> the parameters of its distributions, where they lie and how wide they are."""
        given, length = dict(zip(self.names, inputs, strict=True)), self.model.config.context_length
        for name in [name for name in given if name.startswith("past_")]:
            part = given[name]
            given[name] = F.pad(part, (0, 0) * (part.dim() - 2) + (length, 0))[:, -length:]
        found = self.model(**given, return_dict=True)
        params = {f"params_{number}": part for number, part in enumerate(found.params)}
        return {**params, "loc": found.loc, "scale": found.scale.expand_as(found.loc)}


@register(RnnForTimeSeriesPrediction)
def forecaster(model: RnnForTimeSeriesPrediction) -> dict[str, Part]:
    """The past to the distributions of what follows."""
    config = model.config
    if config.decoding != "direct":
        raise RnnHubError("only forecasts with decoding 'direct' have a form in ONNX: this one draws step after step")
    past = torch.ones(ROWS, POSITIONS)
    inputs, axes = {"past_values": past, "past_observed_mask": past.long()}, {}
    if config.num_time_features:
        inputs["past_time_features"] = torch.zeros(ROWS, POSITIONS, config.num_time_features)
        inputs["future_time_features"] = torch.zeros(ROWS, config.prediction_length, config.num_time_features)
        axes["future_time_features"] = {0: "rows"}
    if config.num_past_covariates:
        inputs["past_covariates"] = torch.zeros(ROWS, POSITIONS, config.num_past_covariates)
    if config.num_static_features:
        inputs["static_features"] = torch.zeros(ROWS, config.num_static_features)
        axes["static_features"] = {0: "rows"}
    return {"model": Part(Forecast(model, inputs), inputs, dict.fromkeys(inputs, BATCH) | axes)}


class Frames(nn.Module):
    """The half of a video's network that sees one frame at a time."""

    def __init__(self, encoder: FrameEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames (N, C, H, W) -> vectors (N, D) or maps (N, h, w, D)."""
        return {"features": self.encoder.see(frames)}


@register(RnnForVideoClassification)
def video_classifier(model: RnnForVideoClassification) -> dict[str, Part]:
    """Frames to features, and features to a label."""
    config, parts = model.config, {}
    shape = [ROWS, POSITIONS, model.frames.output_size]
    if not config.input_size:
        colours = config.num_channels * (1 + getattr(model.frames, "beside", False))
        sides, frame_axes = image_sides(config.backbone)
        frames = {"frames": torch.zeros(ROWS, colours, *sides)}
        parts["frames"] = Part(Frames(model.frames), frames, {"frames": {0: "frames", **frame_axes}})
    axes = dict(BATCH)
    if model.frames.maps:
        shape[2:2], axes = MAP, axes | {2: "height", 3: "width"}
    inputs = {"features": torch.zeros(shape), "attention_mask": torch.ones(ROWS, POSITIONS, dtype=torch.long)}
    attends = config.pooling == "attention"
    outputs, options = (("logits", "attentions"), {"output_attentions": True}) if attends else (("logits",), {})
    part = Part(Whole(model, inputs, outputs, **options), inputs, {"features": axes, "attention_mask": BATCH})
    return parts | {"model": part}
