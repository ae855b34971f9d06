"""The two Auto classes of recognizers as one."""

from typing import Any

from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq, PreTrainedConfig, PreTrainedModel


class AutoModelForSpeech:
    """`AutoModelForSpeechSeq2Seq` where the configuration has a decoder, else `AutoModelForCTC`."""

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """A model with fresh weights."""
        return cls._of(config).from_config(config)

    @classmethod
    def from_pretrained(cls, name: str, **kwargs: Any) -> PreTrainedModel:
        """A model of a folder or the Hub."""
        return cls._of(AutoConfig.from_pretrained(name)).from_pretrained(name, **kwargs)

    @staticmethod
    def _of(config: PreTrainedConfig) -> Any:
        return AutoModelForSpeechSeq2Seq if config.is_encoder_decoder else AutoModelForCTC
