"""An op of one's own, checked against a finite difference, and differentiated twice."""

import tinygrad_lab as tg

softsign = tg.op(
    "softsign",
    forward=lambda xp, x: xp.divide(x, 1 + xp.abs(x)),
    vjp={"x": lambda xp, g, x: xp.divide(g, xp.square(1 + xp.abs(x)))},
)

x, step = 3.0, 1e-6
difference = (softsign(tg.scalar(x + step)) - softsign(tg.scalar(x - step))) / (2 * step)
slope = tg.grad(softsign)(x)
curvature = tg.grad(tg.grad(softsign))(x)
print(f"softsign'({x:g})  = {slope.item():.6f}, by finite difference {difference.item():.6f}")
print(f"softsign''({x:g}) = {curvature.item():.6f}, by hand {-2 / (1 + x) ** 3:.6f}")
