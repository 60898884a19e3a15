"""Label noise: a share of labels that is wrong on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.data.arguments import integer, number, numbers_from
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, excerpt

if TYPE_CHECKING:
    from tinygrad_lab.random.generator import Generator

__all__ = ["with_label_noise"]


@explaining
def with_label_noise(
    y: Any,
    share: float,
    classes: int | None = None,
    *,
    generator: Generator | np.random.Generator | None = None,
) -> Any:
    """Return labels of which a share has become another class, drawn uniformly from the others.

    Exactly round(share · n) of n labels change, so ``share`` is the share of wrong labels (where a
    paper draws from all classes, its share is classes / (classes - 1) times as large). To see what
    a net memorises, give noise to the training set alone.

    Args:
        y: integers of any shape, an array or a tensor; it is left as it is.
        share: from 0 to 1.
        classes: the number of classes; one more than the largest label if not given.
        generator: a ``tg.Generator``; by default the one that ``tg.seed`` seeds.

    Returns:
        Labels of the kind, shape and dtype of ``y``.

    Raises:
        ArgumentTypeError: for labels that are not integers.
        ArgumentError: for a share outside 0 to 1, labels outside 0 to classes - 1, fewer than 2
            classes.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> y = np.zeros(10, int)
        >>> with_label_noise(y, 0.3, classes=3, generator=tg.Generator(0))
        array([0, 0, 0, 0, 0, 1, 1, 0, 0, 1])

    Source: random classification noise, Angluin & Laird, "Learning From Noisy Examples", Machine
    Learning 2 (1988); its part in double descent, Nakkiran et al., "Deep Double Descent" (2020).
    """
    labels = np.asarray(y.to("cpu").numpy() if isinstance(y, Tensor) else y)
    if labels.dtype.kind not in "iu":
        raise ArgumentTypeError(
            f"with_label_noise: expected integers as labels, an array or a tensor; got {excerpt(y)}"
        )
    share = number("with_label_noise", "share", share, least=0, most=1)
    known = int(labels.max(initial=-1)) + 1
    count = max(known, 2) if classes is None else integer("with_label_noise", "classes", classes, 2)
    if labels.size and not 0 <= labels.min() <= labels.max() < count:
        wrong = labels[(labels < 0) | (labels >= count)][0]
        raise ArgumentError(
            f"with_label_noise: expected labels from 0 to {count - 1}; got the label {wrong}"
        )
    numbers = numbers_from("with_label_noise", generator)
    noisy = labels.flatten()
    chosen = numbers.choice(noisy.size, round(share * noisy.size), replace=False)
    # Moved on by 1 to classes - 1, around the circle of classes: never to itself.
    moved = numbers.integers(1, count, len(chosen))
    noisy[chosen] = (noisy[chosen].astype(np.int64) + moved) % count
    result = noisy.reshape(labels.shape)
    return tensor(result, device=y.device) if isinstance(y, Tensor) else result
