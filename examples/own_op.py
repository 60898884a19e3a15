"""A user-defined op, checked against differences of its values, and differentiated twice."""

import numpy as np

import tinygrad_lab as tg

squareplus = tg.op(
    "squareplus",
    forward=lambda xp, x: 0.5 * (x + xp.sqrt(x * x + 4)),
    vjp={"x": lambda xp, g, x: 0.5 * g * (1 + xp.divide(x, xp.sqrt(x * x + 4)))},
)

print(tg.gradcheck(squareplus, np.array([-2.0, 0.5, 3.0]), order=2))

x = 1.5
slope = tg.grad(squareplus)(x)
curvature = tg.grad(tg.grad(squareplus))(x)
root = (x * x + 4) ** 0.5
print(f"squareplus'({x:g})  = {slope.item():.6f}, by hand {(1 + x / root) / 2:.6f}")
print(f"squareplus''({x:g}) = {curvature.item():.6f}, by hand {2 / root**3:.6f}")
