"""Draws the pictures of docs/data.md: ``.venv/bin/python docs/draw_data.py docs/images``.

SVG written here, of few numbers with one decimal: the same bytes everywhere, small, without a
plotting library.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab.data import signals, transforms

SIDE, GAP, TITLE = 150, 14, 20
COLOURS = ("#0072B2", "#D55E00", "#009E73")
"""Of Okabe and Ito, which colour-blind people can tell apart."""
GREYS = 6


def page(panels: Sequence[tuple[str, list[str]]], columns: int) -> str:
    """Return panels in rows, each with its title above a frame."""
    width = columns * (SIDE + GAP) + GAP
    height = -(-len(panels) // columns) * (SIDE + TITLE + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, (title, shapes) in enumerate(panels):
        row, column = divmod(place, columns)
        x, y = GAP + column * (SIDE + GAP), GAP + row * (SIDE + TITLE + GAP)
        parts.append(f'<g transform="translate({x} {y})">')
        parts.append(f'<text y="12" fill="#333">{title}</text>')
        parts.append(f'<g transform="translate(0 {TITLE})">')
        parts += shapes
        frame = f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#bbb"/>'
        parts += [frame, "</g></g>"]
    return "\n".join([*parts, "</svg>", ""])


def on_panel(
    x: Any, y: Any, x_range: tuple[float, float], y_range: tuple[float, float]
) -> list[tuple[str, str]]:
    """Return the places of points in a panel, as text."""
    (left, right), (bottom, top) = x_range, y_range
    across = (np.asarray(x) - left) / (right - left) * SIDE
    down = (top - np.asarray(y)) / (top - bottom) * SIDE
    return [(f"{a:.1f}", f"{b:.1f}") for a, b in zip(across, down, strict=True)]


def points(x: Any, y: Any, ranges: Any, labels: Any = None, size: float = 1.8) -> list[str]:
    """Return dots, coloured by label."""
    labels = np.zeros(len(np.asarray(x)), int) if labels is None else labels
    return [
        f'<circle cx="{a}" cy="{b}" r="{size}" fill="{COLOURS[label % 3]}"/>'
        for (a, b), label in zip(on_panel(x, y, *ranges), labels, strict=True)
    ]


def line(x: Any, y: Any, ranges: Any, colour: str = COLOURS[0], width: float = 1.5) -> list[str]:
    """Return a line through points."""
    path = " ".join(f"{a},{b}" for a, b in on_panel(x, y, *ranges))
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>']


def image(pixels: Any) -> list[str]:
    """Return an image from 0 (white) to 1 (black), in few greys."""
    rows, columns = pixels.shape
    side = SIDE / max(rows, columns)
    levels = np.rint(np.clip(pixels, 0, 1) * (GREYS - 1)).astype(int)
    shapes = []
    for row, column in zip(*np.nonzero(levels), strict=True):
        grey = f"{255 - round(255 * levels[row, column] / (GREYS - 1)):02x}"
        place = f'x="{column * side:.1f}" y="{row * side:.1f}" width="{side:.1f}"'
        shapes.append(f'<rect {place} height="{side:.1f}" fill="#{grey * 3}"/>')
    return ['<g shape-rendering="crispEdges">', *shapes, "</g>"]


def toys() -> str:
    """The toy sets, with their default noise."""
    moon, square = ((-1.3, 2.3), (-1.55, 2.05)), ((-1.45, 1.45), (-1.45, 1.45))
    panels = []
    for make in (tg.data.moons, tg.data.circles, tg.data.spirals, tg.data.blobs, tg.data.xor):
        x, y = (part.numpy() for part in make(generator=tg.Generator(0)))
        ranges = moon if make is tg.data.moons else square
        panels.append((make.__name__, points(x[:, 0], x[:, 1], ranges, y)))
    even = np.linspace(0, 1, 80)
    x, y = (part.numpy()[:, 0] for part in tg.data.sine(generator=tg.Generator(0)))
    ranges = ((-0.05, 1.05), (-2, 2))
    curve = line(even, np.sin(2 * np.pi * even), ranges, "#999", 1)
    panels.append(("sine", curve + points(x, y, ranges)))
    wide = np.linspace(-15, 15, 200)
    x, y = (part.numpy()[:, 0] for part in tg.data.gabor(generator=tg.Generator(0)))
    ranges = ((-15.5, 15.5), (-1.2, 1.2))
    curve = line(wide, tg.data.gabor_model(tg.tensor(wide), 0.0, 16.6).numpy(), ranges, "#999", 1)
    panels.append(("gabor", curve + points(x, y, ranges)))
    x, y = tg.data.spirals(arms=3, generator=tg.Generator(0))
    noisy = tg.data.with_label_noise(y, 0.15, generator=tg.Generator(0)).numpy()
    across, up = x.numpy().T
    panels.append(("spirals, 15 % label noise", points(across, up, square, noisy)))
    return page(panels, 4)


def mnist1d_steps() -> str:
    """How a digit of MNIST-1D is made: a template, and what each step makes of it."""
    numbers = np.random.RandomState(3)
    x = signals.templates()[5]
    made = [("template of a 5", x)]
    x = signals.pad(x + 1e-8, (36, 60), generator=numbers)
    made.append(("pad", x))
    x = signals.scale(signals.resample(x, 72), 0.4, generator=numbers)
    made.append(("resample to 72, scale", x))
    x = signals.translate(x, 48, generator=numbers)
    made.append(("translate", x))
    x = signals.add_correlated_noise(x, 0.25, generator=numbers)
    made.append(("correlated noise", x))
    x = signals.add_noise(x, 0.02, generator=numbers)
    made.append(("independent noise", x))
    x = signals.shear(x, 0.75, generator=numbers)
    made.append(("shear", x))
    made.append(("resample to 40", signals.resample(x, 40)))
    panels = []
    for title, signal in made:
        ranges = ((-1.0, max(len(signal), 13)), (-0.75, 0.75))
        places = np.arange(len(signal))
        shapes = line(places, signal, ranges, width=1)
        panels.append((f"{title} ({len(signal)})", shapes + points(places, signal, ranges)))
    return page(panels, 4)


def letter() -> Any:
    """An F of 16 × 16 pixels: neither its halves nor its diagonals are alike."""
    drawn = np.zeros((16, 16))
    drawn[3:13, 5:7] = drawn[3:5, 5:12] = drawn[7:9, 5:10] = 1.0
    return drawn


def augmentations() -> str:
    """What the transforms make of an image, and of a signal."""
    one = letter()[np.newaxis]
    of_images: list[tuple[str, Any]] = [
        ("image", lambda x: x),
        ("RandomHorizontalFlip", transforms.RandomHorizontalFlip(1.0)),
        ("RandomCrop, padding 3", transforms.RandomCrop(16, 3, generator=tg.Generator(3))),
        ("RandomRotation(30)", transforms.RandomRotation(30, generator=tg.Generator(2))),
        ("RandomAffine, shear 30", transforms.RandomAffine(0, shear=30, generator=tg.Generator(2))),
        ("RandomNoise(0.2)", transforms.RandomNoise(0.2, generator=tg.Generator(0))),
    ]
    panels = [(title, image(change(one)[0])) for title, change in of_images]
    digit = tg.data.mnist1d(num_samples=10, seed=1).x[:1].astype(np.float64)
    of_signals: list[tuple[str, Any]] = [
        ("signal", lambda x: x),
        ("RandomHorizontalFlip", transforms.RandomHorizontalFlip(1.0)),
        ("RandomShift(8)", transforms.RandomShift(8, generator=tg.Generator(0))),
        ("RandomScale(0.8)", transforms.RandomScale(0.8, generator=tg.Generator(3))),
        ("RandomShear(3)", transforms.RandomShear(3.0, generator=tg.Generator(3))),
        ("RandomNoise(0.3)", transforms.RandomNoise(0.3, generator=tg.Generator(0))),
    ]
    ranges = ((-1.0, 40.0), (-3.5, 3.5))
    for title, change in of_signals:
        before = [] if title == "signal" else line(range(40), digit[0], ranges, "#ccc")
        panels.append((title, before + line(range(40), change(digit)[0], ranges)))
    return page(panels, 6)


def preprocessing() -> str:
    """A cloud of points as it is, standardised, decorrelated, whitened in two ways."""
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(150, 2)) @ np.array([[1.5, 0.7], [0.0, 0.4]]) + [1.0, 1.0]
    made: list[tuple[str, Any]] = [("training data", x)]
    for title, fitted in (
        ("Standardize", tg.data.Standardize()),
        ("Decorrelate", tg.data.Decorrelate()),
        ("Whiten", tg.data.Whiten()),
        ("Whiten(zca=True)", tg.data.Whiten(zca=True)),
    ):
        made.append((title, fitted.fit(x).transform(x)))
    # The colour is the quadrant of the original point, so that turns can be seen.
    labels = (x[:, 0] > x[:, 0].mean()).astype(int)
    ranges = ((-5.5, 5.5), (-5.5, 5.5))
    panels = []
    for title, z in made:
        axes = line([-5.5, 5.5], [0, 0], ranges, "#ddd", 1) + line(
            [0, 0], [-5.5, 5.5], ranges, "#ddd", 1
        )
        panels.append((title, axes + points(z[:, 0], z[:, 1], ranges, labels)))
    return page(panels, 5)


PICTURES: dict[str, Callable[[], str]] = {
    "data_toys.svg": toys,
    "data_mnist1d.svg": mnist1d_steps,
    "data_augmentation.svg": augmentations,
    "data_preprocessing.svg": preprocessing,
}


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        Path(sys.argv[1], name).write_text(draw())
