"""Cells: what one step computes. Each file holds one cell; importing this package registers them all."""

from rnn_hub.cells.base import CELLS, Cell, State, get_cell, register_cell
from rnn_hub.cells.elman import ElmanReluCell, ElmanTanhCell
from rnn_hub.cells.gru import GRUCell
from rnn_hub.cells.layer_norm_lstm import LayerNormLSTMCell
from rnn_hub.cells.lstm import LSTMCell

__all__ = [
    "CELLS",
    "Cell",
    "ElmanReluCell",
    "ElmanTanhCell",
    "GRUCell",
    "LSTMCell",
    "LayerNormLSTMCell",
    "State",
    "get_cell",
    "register_cell",
]
