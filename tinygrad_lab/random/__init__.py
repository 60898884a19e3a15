"""Random numbers: a default generator that ``tg.seed`` seeds, and generators of the user.

tg.seed(0)
x = tg.random.normal((100, 40))                                # from the default generator
y = tg.random.integers((100,), 0, 10, generator=tg.Generator(1))
"""

from tinygrad_lab.random.generator import Generator, default_generator, seed
from tinygrad_lab.random.tensors import bernoulli, choice, integers, normal, permutation, uniform

__all__ = [
    "Generator",
    "bernoulli",
    "choice",
    "default_generator",
    "integers",
    "normal",
    "permutation",
    "seed",
    "uniform",
]
