"""Speech to text by attention: listen, attend and spell, alone or jointly with CTC."""

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessorList
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.utils import ModelOutput

from rnn_hub.generation.ctc_prefix import CtcPrefixProcessor, CtcPrefixScorer
from rnn_hub.layers.loss import IGNORED, ctc_loss
from rnn_hub.models.seq2seq.modeling_seq2seq import RnnForConditionalGeneration
from rnn_hub.models.speech.modeling_speech import SpeechEncoder, blank_padding, real_frames
from rnn_hub.models.speech_seq2seq.configuration_speech_seq2seq import RnnSpeechSeq2SeqConfig


@dataclass
class SpeechEncoderOutput(ModelOutput):
    """States (B, T', D) of the steps, T' = ceil(T / subsampling), and their mask (B, T')."""

    last_hidden_state: Tensor | None = None
    mask: Tensor | None = None


class Listener(SpeechEncoder):
    """The encoder of `RnnForCTC`, weight for weight, as `generate()` calls one."""

    main_input_name = "input_features"

    def forward(
        self, input_features: Tensor | None = None, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> SpeechEncoderOutput:
        """Frames (B, T, D) with their mask (B, T), 1 at real frames, which stand first; a `ValueError` otherwise."""
        if input_features is None:
            raise ValueError("pass input_features, or encoder_outputs")
        return SpeechEncoderOutput(*super().forward(input_features, real_frames(input_features, attention_mask)))


class RnnForSpeechSeq2Seq(RnnForConditionalGeneration):
    """Writes what is said, looking at some frames for each character (Chan et al. 2016, "Listen, Attend and Spell").

    With `ctc_weight` L there is a CTC head on the encoder, and the loss of a text is
    -(1 - L) log p_attention(text) - L log p_ctc(text) (Watanabe et al. 2017, "Hybrid CTC/Attention Architecture for
    End-to-End Speech Recognition"), summed over the batch and divided by its tokens; `generate()` then adds up the two
    in the same way. Recordings of a batch are padded on the right, and padding changes nothing.

    Args:
        config: an `RnnSpeechSeq2SeqConfig`.
        encoder: instead of the one that the configuration describes.
    """

    config_class = RnnSpeechSeq2SeqConfig
    main_input_name = "input_features"
    input_modalities = ("audio",)
    search_options = ("num_beams", "length_penalty", "max_new_tokens", "ctc_decoding_weight")
    _tied_weights_keys = {"lm_head.weight": "embeddings.weight"}
    _encoder_output_class = SpeechEncoderOutput

    def __init__(self, config: RnnSpeechSeq2SeqConfig, encoder: nn.Module | None = None):
        super().__init__(config, encoder)
        if config.ctc_weight:
            self.ctc_head = nn.Linear(self.encoder.output_size, config.vocab_size)
            self.post_init()

    @staticmethod
    def _build_encoder(config: RnnSpeechSeq2SeqConfig) -> nn.Module:
        return Listener(config)

    def _memory_size(self) -> int:
        return self.encoder.output_size

    _summary_size = _memory_size

    def forward(
        self,
        input_features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_outputs: ModelOutput | tuple[Tensor, ...] | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput | tuple:
        """Runs encoder and decoder.

        Args:
            input_features, attention_mask: as for `Listener`; or encoder_outputs, what it returned.
            kwargs: as for `RnnForConditionalGeneration`; labels are characters with the end token behind them.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_features, attention_mask)
        encoder_outputs = self._as_output(encoder_outputs)
        return super().forward(encoder_outputs=encoder_outputs, attention_mask=encoder_outputs.mask, **kwargs)

    def generate(self, inputs: Tensor | None = None, ctc_decoding_weight: float | None = None, **kwargs: Any) -> Any:
        """As transformers has it, from input_features (B, T, D) with their attention_mask (B, T).

        Args:
            ctc_decoding_weight: the share of CTC in the score of a text, from 0 to 1; default: that of the generation
                config, where it has one, else `ctc_weight` of the training.

        Raises:
            ValueError: another weight, or any of a model without a CTC head.
        """
        config = self.generation_config
        config.ctc_decoding_weight = getattr(config, "ctc_decoding_weight", None)  # what it lacks, no call may change
        if ctc_decoding_weight is not None:
            kwargs["ctc_decoding_weight"] = ctc_decoding_weight
        return super().generate(inputs, **kwargs)

    def _get_logits_processor(
        self, generation_config: GenerationConfig, *args: Any, model_kwargs: dict[str, Any], **kwargs: Any
    ) -> LogitsProcessorList:
        """Those of transformers, which then change the joint scores."""
        weight = self.decoding_weight(generation_config.ctc_decoding_weight)
        processors = super()._get_logits_processor(generation_config, *args, model_kwargs=model_kwargs, **kwargs)
        if weight:
            processors.insert(0, self._joint(model_kwargs["encoder_outputs"], weight))
        return processors

    def log_probabilities(self, encoder_outputs: ModelOutput) -> Tensor:
        """What the CTC head says of each step (B, T', V); padding is certainly blank."""
        logits = self.ctc_head(encoder_outputs.last_hidden_state).float()
        return blank_padding(F.log_softmax(logits, dim=-1), encoder_outputs.mask, self.config.pad_token_id)

    def decoding_weight(self, weight: float | None) -> float:
        """The share of CTC in a search that names this one; a `ValueError` where it cannot be."""
        if weight is None:
            return self.config.ctc_weight
        if not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise ValueError(f"ctc_decoding_weight must be from 0 (attention alone) to 1 (CTC alone), got {weight!r}")
        if weight and not self.config.ctc_weight:
            raise ValueError(
                f"ctc_decoding_weight is {weight}, and this model has no CTC head: leave it out, or train a model with "
                "ctc_weight above 0"
            )
        return weight

    def _joint(self, encoder_outputs: ModelOutput, weight: float) -> CtcPrefixProcessor:
        """What CTC has to say in one search."""
        config = self.config
        scorer = CtcPrefixScorer(self.log_probabilities(encoder_outputs), config.pad_token_id, config.eos_token_id)
        return CtcPrefixProcessor(scorer, weight, (config.decoder_start_token_id, config.pad_token_id))

    def _loss(
        self,
        hidden: Tensor,
        labels: Tensor,
        items: Tensor | int | None,
        weights: Tensor | None,
        source: ModelOutput,
    ) -> Tensor:
        share = self.config.ctc_weight
        if items is None:
            items = (labels != IGNORED).sum().clamp(min=1)
        loss = super()._loss(hidden, labels, items, weights, source)
        if not share:
            return loss
        texts = labels.masked_fill(labels == self.config.eos_token_id, IGNORED)
        alignments = ctc_loss(self.log_probabilities(source), source.mask, texts, self.config.pad_token_id)
        return (1 - share) * loss + share * alignments / items
