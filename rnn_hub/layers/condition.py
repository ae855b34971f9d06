"""A condition: labels and a given vector as one vector that steers a network."""

import torch
from torch import Tensor, nn

from rnn_hub.layers.embedding import ScaledEmbedding


class Condition(nn.Module):
    """The sum of an embedding of each label and of W v + b of a given vector.

    What is not given adds nothing, so the condition of an example without any is 0. In training whole examples lose
    theirs: a model that knows both can be steered by classifier-free guidance (Ho & Salimans 2022, section 3.2).

    Args:
        sizes: the number of values of each label.
        vector_size: features of the given vector; None where there is none.
        output_size: features of the sum.
        dropout: the probability in training that an example loses its condition.
    """

    def __init__(self, sizes: list[int], vector_size: int | None, output_size: int, dropout: float = 0.0):
        super().__init__()
        self.sizes, self.vector_size, self.output_size, self.dropout = sizes, vector_size, output_size, dropout
        self.embeddings = nn.ModuleList(ScaledEmbedding(size, output_size) for size in sizes)
        self.linear = None if vector_size is None else nn.Linear(vector_size, output_size)

    def forward(self, ids: Tensor | None, vector: Tensor | None, like: Tensor) -> Tensor:
        """The condition of each example.

        Args:
            ids: (B, labels), the number of each label's value; -1 where it is not given.
            vector: (B, vector_size).
            like: any tensor of B rows, which gives device and dtype.

        Returns:
            (B, output_size).

        Raises:
            ValueError: a shape or a value that the sizes do not allow, or a condition that the network does not have.
        """
        total = like.new_zeros(like.shape[0], self.output_size)
        if ids is not None:
            check_ids(ids, self.sizes)
            for values, embedding in zip(ids.unbind(1), self.embeddings, strict=True):
                total = total + embedding(values.clamp(min=0)) * (values >= 0)[:, None]
        if vector is not None:
            check_vector(vector, self.vector_size)
            total = total + self.linear(vector.to(like.dtype))
        if self.training and self.dropout:
            total = total * (torch.rand(len(total), 1, device=total.device) >= self.dropout)
        return total


def check_ids(ids: Tensor, sizes: list[int]) -> None:
    """Numbers (B, labels) of other labels or values than the sizes allow are a `ValueError`."""
    if ids.dim() != 2 or ids.shape[1] != len(sizes):
        raise ValueError(f"condition_ids of shape {tuple(ids.shape)} should be (batch, {len(sizes)})")
    if torch.compiler.is_compiling():
        return
    if bool(((ids < -1) | (ids >= torch.tensor(sizes, device=ids.device))).any()):
        raise ValueError(f"condition_ids {ids.tolist()} must be below the sizes {sizes}, or -1 for none")


def check_vector(vector: Tensor, size: int | None) -> None:
    """A vector (B, features) of other than `size` features is a `ValueError`."""
    if vector.shape[-1] != size:
        raise ValueError(f"a condition vector has {vector.shape[-1]} features, the model's has {size}")
