"""Nets whose pictures must fit a slide."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab import nn


def numbers(*shape: int) -> Any:
    return tg.tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


LABELS = tg.tensor(np.arange(20) % 10)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(8, 8, 3, padding=1)
        self.conv2 = nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return tg.relu(x + self.conv2(tg.relu(self.conv1(x))))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, 8, 5, padding=2)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(8 * 40, 10)

    def forward(self, image: Any) -> Any:
        h = self.blocks(tg.relu(self.stem(image)))
        return self.head(tg.reshape(h, (h.shape[0], -1)))


class Recurrent(nn.Module):
    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 16, batch_first=True) if whole else None
        self.cell = nn.Linear(24, 16)
        self.out = nn.Linear(16, 10)

    def forward(self, x: Any) -> Any:
        if self.gru is not None:
            return self.out(self.gru(x)[0][:, -1])
        h = tg.zeros((len(x), 16))
        for step in range(3):
            h = tg.tanh(self.cell(tg.concat([x[:, step], h], axis=1)))
        return self.out(h)


def linear_net(*between: Callable[[], nn.Module]) -> nn.Module:
    hidden = [part for _ in range(2) for part in (nn.Linear(40, 40), *(new() for new in between))]
    return nn.Sequential(*hidden, nn.Linear(40, 10))


def conv_net() -> nn.Module:
    convs = [(1, 16, 5), (16, 16, 3), (16, 16, 3)]
    parts = [(nn.Conv1d(a, b, k, stride=2, padding=k // 2), nn.ReLU()) for a, b, k in convs]
    return nn.Sequential(*itertools.chain(*parts), nn.Flatten(), nn.Linear(80, 10))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP": (lambda: linear_net(nn.ReLU), (20, 40)),
    "CNN": (conv_net, (20, 1, 40)),
    "residual": (Residual, (20, 1, 40)),
    "GRU": (lambda: Recurrent(whole=True), (20, 3, 8)),
    "three steps": (lambda: Recurrent(whole=False), (20, 3, 8)),
    "batch norm": (lambda: linear_net(lambda: nn.BatchNorm1d(40), nn.ReLU, nn.Dropout), (20, 40)),
    "50 layers": (
        lambda: nn.Sequential(
            *[part for _ in range(25) for part in (nn.Linear(40, 40), nn.ReLU())], nn.Linear(40, 10)
        ),
        (20, 40),
    ),
}


def loss_of(name: str) -> Any:
    make, shape = NETS[name]
    tg.seed(0)
    return nn.CrossEntropyLoss()(make()(numbers(*shape)), LABELS)
