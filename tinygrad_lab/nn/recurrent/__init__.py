"""Recurrent layers, which read a sequence step by step, and their cells, which read one step."""

from tinygrad_lab.nn.recurrent.cells import GRUCell, LSTMCell, RNNCell
from tinygrad_lab.nn.recurrent.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
