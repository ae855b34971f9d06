"""RnnPreTrainedModel: what every model of ours has in common."""

from typing import Any, Self

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init

from rnn_hub.layers.crf import LinearChainCrf
from rnn_hub.layers.stack import RnnStack
from rnn_hub.layers.words import WordTable


def refuse_empty_rows(mask: torch.Tensor | None) -> None:
    """A source (a row of a (B, T) mask) without a real position is a `ValueError` that names its row."""
    if mask is None or torch.compiler.is_compiling():
        return
    empty = (mask.sum(dim=1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"row {empty[0]} of the batch holds only padding: leave empty sources out")


class RnnPreTrainedModel(PreTrainedModel):
    """Initialization of every parameter, gradient checkpointing, and an `RnnCache` instead of a cache of keys."""

    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _is_stateful = True

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Self:
        """As transformers has it; weights that cannot be read are an `OSError` that names where they stand."""
        try:
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        except SafetensorError as error:
            name = str(pretrained_model_name_or_path)
            raise OSError(f"the weights in {name!r} are damaged ({error}); fetch or train them again") from error

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """`prepare_inputs_for_generation` makes the cache."""
        return False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Recurrent weights as their cell says, embeddings normal, matrices Glorot, biases 0."""
        if isinstance(module, RnnStack):
            module.reset_parameters()
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, LinearChainCrf):
            for parameter in module.parameters():
                init.zeros_(parameter)
        elif isinstance(module, WordTable):
            init.ones_(module.starts)
            init.zeros_(module.characters)
        elif isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | nn.Conv1d):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        else:
            super()._init_weights(module)
