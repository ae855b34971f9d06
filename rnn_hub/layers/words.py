"""From pieces to words, inside a model: which pieces form a word, and what characters it has.

Everything follows from the ids, so that any pipeline that passes ids can feed such a model. A word stands where its
first piece stands; the positions of its other pieces are holes in the mask, over which recurrent layers step without a
trace.
"""

import torch
from torch import Tensor, nn

from rnn_hub.layers.embedding import ScaledEmbedding
from rnn_hub.layers.stack import RnnStack

KINDS = ("cnn", "rnn")


class WordTable(nn.Module):
    """What a model knows of its vocabulary's pieces. Until `set` says more, every piece is a word without characters.

    Buffers: starts (V,), whether a piece begins a word; characters (V, C), numbers of a piece's characters, 0 where it
    has no more.

    Args:
        vocab_size: pieces V.
        longest: characters C that are kept of a word; 0 for none.
    """

    def __init__(self, vocab_size: int, longest: int = 0):
        super().__init__()
        self.longest = longest
        self.register_buffer("starts", torch.ones(vocab_size, dtype=torch.bool))
        self.register_buffer("characters", torch.zeros(vocab_size, longest, dtype=torch.uint8))

    def set(self, starts: list[bool], characters: list[list[int]] | None = None) -> None:
        """Fills the table.

        Raises:
            ValueError: a number of pieces other than the vocabulary's.
        """
        if len(starts) != len(self.starts):
            raise ValueError(f"{len(starts)} pieces for a vocabulary of {len(self.starts)}")
        self.starts.copy_(torch.tensor(starts))
        if self.longest:
            self.characters.copy_(torch.tensor(characters, dtype=torch.uint8))

    def forward(self, input_ids: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Finds the words of (B, T) pieces.

        Returns:
            real (B, T), what the mask says; first (B, T), whether a word begins here; and number (B, T), which of its
            row's words a piece belongs to.
        """
        real = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask.bool()
        first = real & (self.starts[input_ids] | (real.cumsum(dim=1) == 1))
        return real, first, (first.cumsum(dim=1) - 1).clamp(min=0)

    def spell(self, input_ids: Tensor, real: Tensor, first: Tensor, number: Tensor) -> Tensor:
        """The characters of each word (B, T, C), word n of a row at n: those of its pieces, one after the other."""
        pieces = self.characters[input_ids].long() * real[..., None]
        lengths = (pieces > 0).sum(dim=-1)
        before = lengths.cumsum(dim=1) - lengths
        offset = before - torch.zeros_like(before).scatter_add(1, number, before * first).gather(1, number)
        place = offset[..., None] + torch.arange(self.longest, device=pieces.device)
        nowhere = pieces.shape[1] * self.longest
        target = torch.where((pieces > 0) & (place < self.longest), number[..., None] * self.longest + place, nowhere)
        words = pieces.new_zeros(pieces.shape[0], nowhere + 1).scatter(1, target.flatten(1), pieces.flatten(1))
        return words[:, :-1].view_as(pieces)


def mean_of_pieces(pieces: Tensor, real: Tensor, number: Tensor) -> Tensor:
    """For each piece of (B, T, D) the mean over the pieces of its word."""
    index = number[..., None].expand_as(pieces)
    total = torch.zeros_like(pieces).scatter_add(1, index, pieces * real[..., None].to(pieces.dtype))
    count = pieces.new_zeros(number.shape).scatter_add(1, number, real.to(pieces.dtype))
    return (total / count.clamp(min=1)[..., None]).gather(1, index)


class CharacterFeatures(nn.Module):
    """A vector for each word from its characters.

    Args:
        kind: "cnn": the maximum over the characters of a convolution (Ma & Hovy 2016, section 2.1); "rnn": the final
            states of an LSTM in both directions (Lample et al. 2016, section 4.1).
        num_characters: how many there are, besides padding and the unknown one.
        embedding_size: features of a character.
        hidden_size: filters, or units of a direction.
        kernel_size: characters that a filter sees.
        dropout: on embedded characters.
    """

    def __init__(
        self,
        kind: str,
        num_characters: int,
        embedding_size: int,
        hidden_size: int,
        kernel_size: int = 3,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.embeddings = ScaledEmbedding(num_characters + 2, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.kind = kind
        if kind == "cnn":
            self.convolution = nn.Conv1d(embedding_size, hidden_size, kernel_size, padding="same")
            self.output_size = hidden_size
        else:
            self.stack = RnnStack(embedding_size, hidden_size, bidirectional=True)
            self.output_size = 2 * hidden_size

    def forward(self, characters: Tensor) -> Tensor:
        """(B, T, C) numbers of characters -> (B, T, F); 0 for a word without any.

        Each different word is read once, except in a graph, whose shapes must not depend on data.
        """
        if torch.compiler.is_compiling():
            return self._read(characters.flatten(0, 1)).unflatten(0, characters.shape[:2])
        words, place = torch.unique(characters.flatten(0, 1), dim=0, return_inverse=True)
        longest = max(int((words > 0).sum(dim=1).max()), 1)
        return self._read(words[:, :longest])[place].unflatten(0, characters.shape[:2])

    def _read(self, characters: Tensor) -> Tensor:
        """(words, C) -> (words, F)."""
        mask = characters > 0
        x = self.dropout(self.embeddings(characters)) * mask[..., None].to(self.embeddings.weight.dtype)
        if self.kind == "cnn":
            return self.convolution(x.transpose(1, 2)).masked_fill(~mask[:, None], 0).amax(dim=-1).relu()
        _, state = self.stack(x, mask)
        return torch.cat([hidden for hidden, *_ in state], dim=-1).to(x.dtype)
