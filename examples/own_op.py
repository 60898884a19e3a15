"""A user-defined op, checked against differences of its values, and differentiated twice."""

import numpy as np

import tinygrad_lab as tg

softsign = tg.op(
    "softsign",
    forward=lambda xp, x: xp.divide(x, 1 + xp.abs(x)),
    vjp={"x": lambda xp, g, x: xp.divide(g, xp.square(1 + xp.abs(x)))},
)

print(tg.gradcheck(softsign, np.array([-2.0, 0.5, 3.0]), order=2))

x = 3.0
slope = tg.grad(softsign)(x)
curvature = tg.grad(tg.grad(softsign))(x)
print(f"softsign'({x:g})  = {slope.item():.6f}, by hand {1 / (1 + x) ** 2:.6f}")
print(f"softsign''({x:g}) = {curvature.item():.6f}, by hand {-2 / (1 + x) ** 3:.6f}")
