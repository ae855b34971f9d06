"""The configuration of a model of trees."""

from huggingface_hub.dataclasses import strict

from rnn_hub.cells import TreeLSTMCell, get_cell
from rnn_hub.models.configuration_utils import RnnConfig

OF_SEQUENCES = ("merge", "variational_dropout", "residual", "layer_norm", "learned_initial_state", "unrolling")


@strict
class RnnTreeConfig(RnnConfig):
    """What an `RnnForTreeClassification` is made of, besides what `RnnConfig` tells.

    Args:
        cell_type: a cell that sees each predecessor apart ("binary_lstm", "child_sum_lstm"), or any other, which sees
            the sum of the children's states.
        vocab_size: words.
        embedding_size: features of an embedded word.
        hidden_size: units.
        word_dropout: probability in training that a leaf's word is hidden.
        dropout: on the states, before the output layer.
    """

    model_type = "rnn_hub_tree"

    cell_type: str = "binary_lstm"
    vocab_size: int = 10000
    embedding_size: int = 200
    hidden_size: int = 150
    bidirectional: bool = False
    word_dropout: float | int = 0.0
    pad_token_id: int | None = 0

    def validate_tree(self) -> None:
        """Options of sequences have no meaning here."""
        if self.bidirectional:
            raise ValueError("a tree is read from its leaves only: set bidirectional=False")
        for name in OF_SEQUENCES:
            if getattr(self, name) != (default := type(self).__dataclass_fields__[name].default):
                raise ValueError(f"{name} is for sequences and means nothing in a tree: leave it at {default!r}")
        if self.zoneout and issubclass(get_cell(self.cell_type), TreeLSTMCell):
            raise ValueError(f"in cell {self.cell_type!r} a unit has no one last state to keep: set zoneout=0")

    @property
    def max_children(self) -> int | None:
        """How many children a node may have; None for any number."""
        cell = get_cell(self.cell_type)
        return cell.max_predecessors if issubclass(cell, TreeLSTMCell) else None
