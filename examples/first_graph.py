"""f = (x + y) z: values, gradients, local derivatives, as a table and as a picture."""

import tinygrad_lab as tg

x, y, z = tg.scalar(-2.0), tg.scalar(5.0), tg.scalar(-4.0)
f = (x + y) * z
f.backward()

print(tg.graph(f))
print()
for edge in tg.graph(f).edges:
    print(f"d {edge.target.label} / d {edge.source.label} = {edge.local_derivative():g}")

print("written:", tg.draw(f).save("f.svg"))
