"""Cells: what one step computes. Each file holds one cell; importing this package registers them all."""

from rnn_hub.cells.base import CELLS, Cell, State, get_cell, register_cell
from rnn_hub.cells.conv_lstm import ConvLSTMCell
from rnn_hub.cells.elman import ElmanReluCell, ElmanTanhCell
from rnn_hub.cells.gru import GRUCell
from rnn_hub.cells.ind_rnn import IndRNNCell
from rnn_hub.cells.layer_norm_lstm import LayerNormLSTMCell
from rnn_hub.cells.lstm import LSTMCell
from rnn_hub.cells.min_gru import MinGRUCell
from rnn_hub.cells.min_lstm import MinLSTMCell
from rnn_hub.cells.mlstm import MLSTMCell
from rnn_hub.cells.qrnn import QRNNCell
from rnn_hub.cells.rg_lru import RGLRUCell
from rnn_hub.cells.slstm import SLSTMCell
from rnn_hub.cells.sru import SRUCell
from rnn_hub.cells.tree_lstm import BinaryLSTMCell, ChildSumLSTMCell, Predecessors, TreeLSTMCell
from rnn_hub.cells.zoneout import ZoneoutCell

__all__ = [
    "CELLS",
    "BinaryLSTMCell",
    "Cell",
    "ChildSumLSTMCell",
    "ConvLSTMCell",
    "ElmanReluCell",
    "ElmanTanhCell",
    "GRUCell",
    "IndRNNCell",
    "LSTMCell",
    "LayerNormLSTMCell",
    "MLSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "Predecessors",
    "QRNNCell",
    "RGLRUCell",
    "SLSTMCell",
    "SRUCell",
    "State",
    "TreeLSTMCell",
    "ZoneoutCell",
    "get_cell",
    "register_cell",
]
