"""A two-layer net on MNIST-1D, written out: data, model, loss, optimiser, accuracy."""

import tinygrad_lab as tg
from tinygrad_lab import nn

tg.seed(0)
data = tg.data.mnist1d()
model = nn.Sequential(nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 10))
optimizer = tg.optim.Adam(model.parameters(), lr=1e-2)

for epoch in range(5):
    batches = tg.data.DataLoader(data.x, data.y, batch_size=100, shuffle=True, seed=epoch)
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(tg.tensor(x)), tg.tensor(y))
        optimizer.zero_grad()
        loss.backward(free=True)
        optimizer.step()
    with tg.no_grad():
        right = model(tg.tensor(data.x_test)).argmax(axis=1) == tg.tensor(data.y_test)
    print(f"epoch {epoch}: loss {loss.item():.3f}, accuracy {100 * right.numpy().mean():.1f} %")
