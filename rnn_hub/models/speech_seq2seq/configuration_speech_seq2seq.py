"""The configuration of a recognizer that attends."""

from typing import ClassVar

from huggingface_hub.dataclasses import strict

from rnn_hub.models.seq2seq.configuration_seq2seq import RnnSeq2SeqConfig
from rnn_hub.models.speech.configuration_speech import SpeechEncoderConfig


@strict
class RnnSpeechSeq2SeqConfig(RnnSeq2SeqConfig, SpeechEncoderConfig):
    """What an `RnnForSpeechSeq2Seq` is made of, besides `SpeechEncoderConfig` and the decoder's `RnnSeq2SeqConfig`.

    Args:
        vocab_size: characters and the special tokens, among them the start, the end, and the padding, which for a CTC
            head is the blank.
        encoder_hidden_size, encoder_num_layers: of the recurrent layers over the frames.
        bridge: "zero" (Chan et al. 2016), or "linear", by which the mean of the encoder's states starts the decoder.
        ctc_weight: the share of CTC in the loss and, unless `generate` is told another, in the search: 0 for a model
            without a CTC head.
    """

    model_type = "rnn_hub_speech_seq2seq"
    attribute_map: ClassVar[dict[str, str]] = {"hidden_size": "encoder_hidden_size", "num_layers": "encoder_num_layers"}

    vocab_size: int = 32
    embedding_size: int = 128
    encoder_num_layers: int = 3
    decoder_hidden_size: int = 256
    bridge: str = "zero"
    share_embeddings: bool = False
    ctc_weight: float | int = 0.0

    def validate_speech_seq2seq(self) -> None:
        """What a decoder of speech needs, and cannot have."""
        if not 0 <= self.ctc_weight <= 1:
            raise ValueError(f"ctc_weight must be from 0 (attention alone) to 1 (CTC alone), got {self.ctc_weight}")
        for name in ("decoder_start_token_id", "eos_token_id"):
            token = getattr(self, name)
            if not isinstance(token, int) or not 0 <= token < self.vocab_size or token == self.pad_token_id:
                raise ValueError(
                    f"{name} is {token}, and a decoder needs symbols of a text's start and end: set it to one of "
                    f"the {self.vocab_size} tokens other than the padding, {self.pad_token_id}"
                )
        if self.share_embeddings or self.encoder is not None:
            raise ValueError("this model reads frames: it has no source embeddings to share, and no encoder of text")
        if self.bridge == "copy":
            raise ValueError("bridge 'copy' needs an encoder of text; choose 'zero' or 'linear'")
