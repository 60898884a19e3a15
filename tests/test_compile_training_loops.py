"""Training loops as people write them: compiled steps equal eager ones, bit for bit.

Each program is a whole loop around a step, from courses, papers and forums. It yields what it
computes on the way.
"""

import copy
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import CompileError
from tinygrad_lab.nn import functional as F  # noqa: N812

Compile = Callable[[Callable[..., Any]], Any]
Program = Callable[[Compile], Iterator[Any]]

PROGRAMS: dict[str, Program] = {}
CALLS = 6


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


REFUSED: dict[str, tuple[Program, str]] = {}
"""Programs whose step would freeze something, with what the error says."""


def refused(match: str) -> Callable[[Program], Program]:
    def mark(function: Program) -> Program:
        REFUSED[function.__name__] = function, match
        return function

    return mark


def normal(seed: int, *shape: int) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def labels(seed: int, size: int = 8, count: int = 3) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).integers(0, count, size))


def mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def batches(n: int = CALLS) -> Iterator[tuple[tg.Tensor, tg.Tensor]]:
    for seed in range(n):
        yield normal(seed, 8, 5), labels(seed)


def state_of(*modules: nn.Module) -> list[Any]:
    return [value.numpy().copy() for one in modules for value in one.state_dict().values()]


# --- the optimiser's part -------------------------------------------------------------------


@program
def gradient_accumulation(compiled: Compile) -> Iterator[Any]:
    net, every = mlp(5, 6, 3), 3
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def accumulate(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y) / every
        loss.backward()
        return loss

    for call, (x, y) in enumerate(batches(9)):
        yield accumulate(x, y)
        if (call + 1) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        yield state_of(net)


@program
def clipping_by_norm_and_value(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)

    @compiled
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        total = tg.sqrt(sum((p.grad**2).sum() for p in net.parameters()))  # type: ignore[misc, operator]
        scale = tg.minimum(1.0, 0.1 / (total + 1e-6))
        for p in net.parameters():
            p.grad = tg.clip(p.grad * scale, -0.05, 0.05)
        optimizer.step()
        return loss, total

    for x, y in batches():
        yield step(x, y), state_of(net)


@program
def warm_up_then_cosine_by_hand(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.AdamW(net.parameters(), lr=0.0)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for t, (x, y) in enumerate(batches(10)):
        lr = 0.1 * (t + 1) / 3 if t < 3 else 0.05 * (1 + math.cos(math.pi * (t - 3) / 7))
        for group in optimizer.param_groups:
            group["lr"] = lr
        yield step(x, y), state_of(net)


@refused(r"Call scheduler\.step\(\) after the compiled step")
def a_schedule_inside_of_the_step(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.SGD(net.parameters(), lr=0.5)
    schedule = tg.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    for x, y in batches():
        yield step(x, y), schedule.get_last_lr(), state_of(net)


@program
def a_schedule_that_watches_the_loss(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.SGD(net.parameters(), lr=0.5)
    schedule = tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, y in batches(8):
        loss = step(x, y)
        schedule.step(loss.item())
        yield loss, optimizer.param_groups[0]["lr"]


@program
def two_rates_in_groups(compiled: Compile) -> Iterator[Any]:
    body, head = mlp(5, 6), nn.Linear(6, 3)
    groups = [{"params": body.parameters(), "lr": 0.01}, {"params": head.parameters()}]
    optimizer = tg.optim.Adam(groups, lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(head(body(x).tanh()), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for call, (x, y) in enumerate(batches()):
        if call == 4:
            optimizer.param_groups[0]["lr"] *= 0.5
        yield step(x, y), state_of(body, head)


@program
def momentum_by_hand(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    velocity = {name: tg.zeros_like(p.detach()) for name, p in net.named_parameters()}

    @compiled
    def step(x: Any, y: Any) -> Any:
        net.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        with tg.no_grad():
            for name, p in net.named_parameters():
                velocity[name].data = 0.9 * velocity[name] + p.grad
                p -= 0.1 * velocity[name]
        return loss

    for x, y in batches():
        yield step(x, y), state_of(net), [one.numpy().copy() for one in velocity.values()]


@program
def weight_decay_in_the_loss(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.RMSprop(net.parameters(), lr=0.01)

    @compiled
    def step(x: Any, y: Any) -> Any:
        l2 = sum((p**2).sum() for name, p in net.named_parameters() if "weight" in name)
        l1 = sum(abs(p).sum() for p in net.parameters())
        loss = F.cross_entropy(net(x), y) + 1e-2 * l2 + 1e-3 * l1
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, y in batches():
        yield step(x, y), state_of(net)


@program
def sharpness_aware_minimisation(compiled: Compile) -> Iterator[Any]:
    """Foret et al., 2021: a step up, a gradient there, and a step down from where it was."""
    net = mlp(5, 6, 3)
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        norm = tg.sqrt(sum((p.grad**2).sum() for p in net.parameters()))  # type: ignore[misc, operator]
        moves = [0.05 * p.grad / norm for p in net.parameters()]
        with tg.no_grad():
            for p, move in zip(net.parameters(), moves, strict=True):
                p += move
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        with tg.no_grad():
            for p, move in zip(net.parameters(), moves, strict=True):
                p -= move
        optimizer.step()
        return loss

    for x, y in batches():
        yield step(x, y), state_of(net)


@program
def gradient_noise_and_centring(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        for p in net.parameters():
            g = p.grad - p.grad.mean(axis=-1, keepdims=True)  # type: ignore[union-attr, operator]
            p.grad = g + 0.01 * tg.random.normal(g.shape)
        optimizer.step()
        return loss

    for x, y in batches():
        yield step(x, y), state_of(net)


@program
def a_loss_scale(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)
    scale = 1024.0

    @compiled
    def step(x: Any, y: Any, scale: float) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        (loss * scale).backward()
        for p in net.parameters():
            p.grad = p.grad / scale  # type: ignore[operator]
        optimizer.step()
        return loss

    for x, y in batches(8):
        yield step(x, y, scale), state_of(net)
        scale *= 2.0


# --- the nets' part ---------------------------------------------------------------------------


@program
def freezing_and_unfreezing(compiled: Compile) -> Iterator[Any]:
    body, head = mlp(5, 6), nn.Linear(6, 3)
    optimizer = tg.optim.Adam([*body.parameters(), *head.parameters()], lr=0.05)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(head(body(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for call, (x, y) in enumerate(batches(9)):
        body.requires_grad_(not 3 <= call < 6)
        yield step(x, y), state_of(body, head)


@program
def a_mean_of_the_weights(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    mean = copy.deepcopy(net).requires_grad_(False)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with tg.no_grad():
            for slow, fast in zip(mean.parameters(), net.parameters(), strict=True):
                slow *= 0.9
                slow += 0.1 * fast
        return loss

    for x, y in batches():
        yield step(x, y), state_of(net, mean), mean(x)


@program
def a_target_net_that_is_copied_now_and_then(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    target = copy.deepcopy(net)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def step(x: Any, action: Any, reward: Any, following: Any) -> Any:
        with tg.no_grad():
            best = tg.max(target(following), axis=1)
        value = tg.take_along_axis(net(x), action[:, None], axis=1)[:, 0]
        loss = F.smooth_l1_loss(value, reward + 0.9 * best)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for call, (x, y) in enumerate(batches(8)):
        yield step(x, y, normal(call + 50, 8), normal(call + 99, 8, 5)), state_of(net, target)
        if call % 3 == 2:
            target.load_state_dict(net.state_dict())


@program
def a_teacher_and_a_student(compiled: Compile) -> Iterator[Any]:
    teacher, student = mlp(5, 9, 3).eval(), mlp(5, 4, 3)
    optimizer = tg.optim.Adam(student.parameters(), lr=0.05)

    @compiled
    def step(x: Any, y: Any, temperature: float = 2.0) -> Any:
        with tg.no_grad():
            soft = tg.softmax(teacher(x) / temperature, axis=1)
        logits = student(x)
        distilled = -(soft * tg.log_softmax(logits / temperature, axis=1)).sum(axis=1).mean()
        loss = 0.5 * F.cross_entropy(logits, y) + 0.5 * temperature**2 * distilled
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, y in batches():
        yield step(x, y), state_of(student)


@program
def training_and_evaluation_in_turns(compiled: Compile) -> Iterator[Any]:
    net = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 3))
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

    @compiled
    def train(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    @compiled
    def evaluate(x: Any, y: Any) -> Any:
        with tg.no_grad():
            logits = net(x)
        return F.cross_entropy(logits, y), (logits.argmax(axis=1) == y).sum()

    for x, y in batches():
        net.train()
        yield train(x, y), state_of(net)
        net.eval()
        yield evaluate(x, y), evaluate(y=y, x=x)


@program
def a_recurrent_net_over_windows(compiled: Compile) -> Iterator[Any]:
    """Backpropagation through time, cut off: the state goes on, its history does not."""
    net, head = nn.LSTM(2, 4, batch_first=True), nn.Linear(4, 2)
    optimizer = tg.optim.Adam([*net.parameters(), *head.parameters()], lr=0.02)

    @compiled
    def step(window: Any, h: Any, c: Any) -> Any:
        out, (h, c) = net(window[:, :-1], (h, c))
        loss = ((head(out) - window[:, 1:]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, h.detach(), c.detach()

    h = c = tg.zeros((1, 3, 4))
    for seed in range(CALLS):
        loss, h, c = step(normal(seed, 3, 6, 2), h, c)
        yield loss, h, c, state_of(net, head)


@program
def a_loop_over_time_with_teacher_forcing(compiled: Compile) -> Iterator[Any]:
    cell, head = nn.GRUCell(2, 4), nn.Linear(4, 2)
    optimizer = tg.optim.Adam([*cell.parameters(), *head.parameters()], lr=0.02)

    @compiled
    def step(xs: Any, forced: Any) -> Any:
        h, guess, loss = tg.zeros((3, 4)), xs[:, 0], 0.0
        for t in range(1, xs.shape[1]):
            given = tg.where(forced[t], xs[:, t - 1], guess)
            h = cell(given, h)
            guess = head(h)
            loss = loss + ((guess - xs[:, t]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[attr-defined]
        optimizer.step()
        return loss

    for seed in range(CALLS):
        forced = tg.tensor(np.random.default_rng(seed).random(5) < 0.5)
        yield step(normal(seed, 3, 5, 2), forced), state_of(cell, head)


@program
def attention_over_sequences_with_masks(compiled: Compile) -> Iterator[Any]:
    net = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True)
    head = nn.Linear(4, 2)
    optimizer = tg.optim.Adam([*net.parameters(), *head.parameters()], lr=0.01)

    @compiled
    def step(x: Any, padding: Any, y: Any) -> Any:
        out = net(x, src_key_padding_mask=padding)
        loss = F.cross_entropy(head(out[:, 0]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for seed in range(CALLS):
        lengths = np.random.default_rng(seed).integers(2, 6, 3)
        padding = tg.tensor(np.arange(5) >= lengths[:, None])
        yield step(normal(seed, 3, 5, 4), padding, labels(seed, 3, 2)), state_of(net, head)


@program
def an_autoencoder_with_noise(compiled: Compile) -> Iterator[Any]:
    encoder, decoder = mlp(5, 3, 4), mlp(2, 3, 5)
    optimizer = tg.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.02)

    @compiled
    def step(x: Any, beta: float) -> Any:
        mean, log_variance = tg.split(encoder(x), 2, axis=1)
        z = mean + tg.exp(0.5 * log_variance) * tg.random.normal(mean.shape)
        rebuilt = ((decoder(z) - x) ** 2).sum(axis=1).mean()
        divergence = -0.5 * (1 + log_variance - mean**2 - tg.exp(log_variance)).sum(axis=1).mean()
        loss = rebuilt + beta * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"rebuilt": rebuilt, "divergence": divergence}

    for call in range(8):
        yield step(normal(call, 8, 5), min(1.0, call / 4)), state_of(encoder, decoder)


@program
def a_critic_with_a_gradient_penalty(compiled: Compile) -> Iterator[Any]:
    """Gulrajani et al., 2017: the critic's gradient has a norm of about 1."""
    critic, maker = mlp(4, 6, 1), mlp(2, 6, 4)
    of_critic = tg.optim.Adam(critic.parameters(), lr=0.02, betas=(0.5, 0.9))
    of_maker = tg.optim.Adam(maker.parameters(), lr=0.02, betas=(0.5, 0.9))

    @compiled
    def judge(real: Any) -> Any:
        with tg.no_grad():
            fake = maker(tg.random.normal((6, 2)))
        share = tg.random.uniform((6, 1))
        slope = tg.grad(lambda x: critic(x).sum())(share * real + (1 - share) * fake)
        norms = tg.sqrt((slope**2).sum(axis=1) + 1e-12)
        loss = critic(fake).mean() - critic(real).mean() + 10.0 * ((norms - 1) ** 2).mean()
        of_critic.zero_grad()
        loss.backward()
        of_critic.step()
        return loss

    @compiled
    def make() -> Any:
        loss = -critic(maker(tg.random.normal((6, 2)))).mean()
        of_maker.zero_grad()
        loss.backward()
        of_maker.step()
        return loss

    for seed in range(CALLS):
        yield judge(normal(seed, 6, 4)), make(), state_of(critic, maker)


@program
def weights_that_are_clipped(compiled: Compile) -> Iterator[Any]:
    critic = mlp(4, 6, 1)
    optimizer = tg.optim.RMSprop(critic.parameters(), lr=0.05)

    @compiled
    def step(real: Any, fake: Any) -> Any:
        loss = critic(fake).mean() - critic(real).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for p in critic.parameters():
            p.data = tg.clip(p.detach(), -0.1, 0.1)
        return loss

    for seed in range(CALLS):
        yield step(normal(seed, 6, 4), normal(seed + 9, 6, 4)), state_of(critic)


@program
def an_inner_loop_of_gradient_steps(compiled: Compile) -> Iterator[Any]:
    """Model-agnostic meta-learning: Finn et al., 2017, through the inner step."""
    w, b = nn.Parameter(normal(0, 3)), nn.Parameter(tg.zeros(1))
    optimizer = tg.optim.Adam([w, b], lr=0.05)

    def error(parameters: Any, x: Any, y: Any) -> Any:
        return ((x @ parameters[0] + parameters[1] - y) ** 2).mean()

    @compiled
    def step(x: Any, y: Any, x_new: Any, y_new: Any) -> Any:
        inner = tg.grad(error)([w, b], x, y)
        adapted = [p - 0.1 * g for p, g in zip((w, b), inner, strict=True)]
        loss = error(adapted, x_new, y_new)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for seed in range(CALLS):
        given = (normal(seed, 5, 3), normal(seed + 20, 5), normal(seed + 40, 5, 3))
        yield step(*given, normal(seed + 60, 5)), w.detach(), b.detach()


@program
def physics_in_the_loss(compiled: Compile) -> Iterator[Any]:
    """u'' = -u with u(0) = 0 and u'(0) = 1, by derivatives of the net."""
    net = mlp(1, 8, 1)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.01)

    def slope(f: Any) -> Any:
        return lambda t: tg.grad(lambda t: f(t).sum())(t)

    @compiled
    def step(t: Any) -> Any:
        residual = slope(slope(net))(t) + net(t)
        start = tg.zeros((1, 1))
        loss = (residual**2).mean() + (net(start) ** 2).sum() + ((slope(net)(start) - 1) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for seed in range(4):
        yield step(abs(normal(seed, 7, 1))), state_of(net)


@program
def a_prune_mask_that_changes(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    masks = {name: tg.ones_like(p.detach()) for name, p in net.named_parameters()}
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with tg.no_grad():
            for name, p in net.named_parameters():
                p *= masks[name]
        return loss

    for call, (x, y) in enumerate(batches(8)):
        yield step(x, y), state_of(net)
        if call == 4:
            for name, p in net.named_parameters():
                masks[name].data = (abs(p.detach()) > 0.1).astype(tg.float32).data


@program
def a_layer_with_a_schedule_of_its_own(compiled: Compile) -> Iterator[Any]:
    net = nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.0), nn.Linear(6, 3))
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for call, (x, y) in enumerate(batches(8)):
        net[1].p = 0.1 * (call // 2)
        yield step(x, y), state_of(net)


# --- the data's part --------------------------------------------------------------------------


@program
def mixup(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def step(x: Any, y: Any, share: float) -> Any:
        order = tg.random.permutation(8)
        mixed = share * x + (1 - share) * x[order]
        logits = net(mixed)
        loss = share * F.cross_entropy(logits, y) + (1 - share) * F.cross_entropy(logits, y[order])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    for x, y in batches():
        yield step(x, y, float(rng.beta(0.4, 0.4))), state_of(net)


@program
def a_loader_with_a_smaller_last_batch(compiled: Compile) -> Iterator[Any]:
    data = tg.data.TensorDataset(normal(0, 22, 5), labels(0, 22))
    loader = tg.data.DataLoader(data, batch_size=8, shuffle=True)
    net = mlp(5, 6, 3)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        for x, y in loader:
            yield step(x, y), state_of(net)


@program
def a_batch_as_a_dict_with_weights(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def step(batch: Any) -> Any:
        losses = F.cross_entropy(net(batch["x"]), batch["y"], reduction="none")
        loss = (losses * batch["weight"]).sum() / batch["weight"].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "worst": losses.max()}

    for call, (x, y) in enumerate(batches()):
        yield step({"x": x, "y": y, "weight": abs(normal(call, 8))}), state_of(net)


@program
def hard_examples_only(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        losses = F.cross_entropy(net(x), y, reduction="none")
        hardest = tg.argsort(losses.detach())[-4:]
        loss = losses[hardest].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, hardest

    for x, y in batches():
        yield step(x, y), state_of(net)


@program
def two_views_of_one_batch(compiled: Compile) -> Iterator[Any]:
    """Contrastive: each row is to find its other view among all."""
    net = mlp(5, 6, 4)
    temperature = nn.Parameter(tg.tensor(0.5))
    optimizer = tg.optim.Adam([*net.parameters(), temperature], lr=0.02)

    @compiled
    def step(x: Any) -> Any:
        views = [net(x + 0.1 * tg.random.normal(x.shape)) for _ in range(2)]
        one, other = (v / tg.sqrt((v**2).sum(axis=1, keepdims=True)) for v in views)
        logits = one @ other.T / tg.exp(temperature)
        which = tg.arange(8)
        loss = (F.cross_entropy(logits, which) + F.cross_entropy(logits.T, which)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, _ in batches():
        yield step(x), temperature.item(), state_of(net)


@program
def an_embedding_of_words(compiled: Compile) -> Iterator[Any]:
    inside, outside = nn.Embedding(9, 4), nn.Embedding(9, 4)
    optimizer = tg.optim.SGD([*inside.parameters(), *outside.parameters()], lr=0.5)

    @compiled
    def step(word: Any, context: Any, wrong: Any) -> Any:
        v, u = inside(word), outside(context)
        away = outside(wrong)
        loss = -tg.log(tg.sigmoid((v * u).sum(axis=1))).mean()
        loss = loss - tg.log(tg.sigmoid(-(v[:, None] * away).sum(axis=2))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for seed in range(CALLS):
        rng = np.random.default_rng(seed)
        given = [tg.tensor(rng.integers(0, 9, shape)) for shape in (6, 6, (6, 3))]
        yield step(*given), state_of(inside, outside)


@program
def a_curriculum_of_lengths(compiled: Compile) -> Iterator[Any]:
    net, head = nn.RNN(2, 4, batch_first=True), nn.Linear(4, 2)
    optimizer = tg.optim.Adam([*net.parameters(), *head.parameters()], lr=0.02)

    @compiled
    def step(x: Any, y: Any) -> Any:
        out, _ = net(x)
        loss = F.cross_entropy(head(out[:, -1]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for call in range(9):
        yield step(normal(call, 4, 2 + call // 3, 2), labels(call, 4, 2)), state_of(net, head)


# --- what is around it ------------------------------------------------------------------------


@dataclass
class Log:
    """What people keep while they train."""

    losses: list[float] = field(default_factory=list)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=3))
    best: float = math.inf

    def add(self, loss: float) -> bool:
        self.losses.append(loss)
        self.recent.append(loss)
        better, self.best = loss < self.best, min(loss, self.best)
        return better


@program
def early_stopping_with_the_best_weights(compiled: Compile) -> Iterator[Any]:
    net, log = mlp(5, 6, 3), Log()
    optimizer = tg.optim.SGD(net.parameters(), lr=2.0)
    best: dict[str, Any] = {}

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, y in batches(8):
        if log.add(step(x, y).item()):
            best = copy.deepcopy(net.state_dict())
        yield log.best, sum(log.recent)
    net.load_state_dict(best)
    x, y = next(batches())
    yield step(x, y), state_of(net)


@refused(r"Return the tensor and read it outside")
def a_log_inside_of_the_step(compiled: Compile) -> Iterator[Any]:
    net, history = mlp(5, 6, 3), []
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
        return loss

    for x, y in batches():
        yield step(x, y), list(history), state_of(net)


@program
def resuming_from_a_checkpoint(compiled: Compile) -> Iterator[Any]:
    def build() -> tuple[Any, Any, Any]:
        net = mlp(5, 6, 3)
        optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

        def step(x: Any, y: Any) -> Any:
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return net, optimizer, compiled(step)

    net, optimizer, step = build()
    for x, y in batches(4):
        yield step(x, y)
    saved = copy.deepcopy({"net": net.state_dict(), "optimizer": optimizer.state_dict()})
    other, its_optimizer, its_step = build()
    for x, y in batches(3):
        its_step(x, y)
    other.load_state_dict(saved["net"])
    its_optimizer.load_state_dict(saved["optimizer"])
    for x, y in batches(4):
        yield step(x, y), its_step(x, y), state_of(net, other)


@program
def finding_a_learning_rate(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.SGD(net.parameters(), lr=1e-4)
    start = copy.deepcopy(net.state_dict())

    @compiled
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, y in batches(8):
        yield step(x, y)
        optimizer.param_groups[0]["lr"] *= 3
    net.load_state_dict(start)
    optimizer.param_groups[0]["lr"] = 0.1
    for x, y in batches(3):
        yield step(x, y), state_of(net)


@program
def the_same_step_for_several_nets(compiled: Compile) -> Iterator[Any]:
    def fit(net: Any, optimizer: Any, x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step = compiled(fit)
    nets = [mlp(5, width, 3) for width in (4, 6)]
    optimizers = [tg.optim.SGD(net.parameters(), lr=0.1) for net in nets]
    for x, y in batches():
        for net, optimizer in zip(nets, optimizers, strict=True):
            yield step(net, optimizer, x, y), state_of(net)


@program
def an_ensemble_in_one_step(compiled: Compile) -> Iterator[Any]:
    nets = nn.ModuleList([mlp(5, 4, 3) for _ in range(3)])
    optimizer = tg.optim.Adam(nets.parameters(), lr=0.05)

    @compiled
    def step(x: Any, y: Any) -> Any:
        logits = tg.stack([net(x) for net in nets])
        loss = sum(F.cross_entropy(one, y) for one in logits)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
        return loss, logits.mean(axis=0).argmax(axis=1)

    for x, y in batches():
        yield step(x, y), state_of(nets)


@program
def a_trainer_class(compiled: Compile) -> Iterator[Any]:
    class Trainer:
        def __init__(self, config: dict[str, Any]) -> None:
            self.config, self.steps = config, 0
            self.net = mlp(*config["sizes"])
            self.optimizer = tg.optim.Adam(self.net.parameters(), lr=config["lr"])
            self.losses: dict[str, Callable[..., Any]] = {
                "ce": F.cross_entropy,
                "smooth": partial(F.cross_entropy, label_smoothing=0.1),
            }
            self.train_step = compiled(self.train_step)  # type: ignore[method-assign]

        def loss(self, x: Any, y: Any) -> Any:
            return self.losses[self.config["loss"]](self.net(x), y)

        def train_step(self, x: Any, y: Any) -> Any:
            loss = self.loss(x, y)
            if self.config.get("l2"):
                loss = loss + self.config["l2"] * sum((p**2).sum() for p in self.net.parameters())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return loss

    trainer = Trainer({"sizes": (5, 6, 3), "lr": 0.05, "loss": "ce"})
    for call, (x, y) in enumerate(batches(10)):
        if call == 4:
            trainer.config["loss"] = "smooth"
        if call == 7:
            trainer.config["l2"] = 0.1
        yield trainer.train_step(x, y), state_of(trainer.net)


@program
def policy_gradients(compiled: Compile) -> Iterator[Any]:
    net = mlp(4, 6, 2)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def step(states: Any, actions: Any, returns: Any) -> Any:
        log_p = tg.log_softmax(net(states), axis=1)
        chosen = log_p[tg.arange(len(actions)), actions]
        advantage = (returns - returns.mean()) / (returns.std() + 1e-8)
        entropy = -(tg.exp(log_p) * log_p).sum(axis=1).mean()
        loss = -(chosen * advantage).mean() - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, entropy

    for seed in range(CALLS):
        size = 5 + seed % 3  # episodes have no fixed length
        yield step(normal(seed, size, 4), labels(seed, size, 2), normal(seed + 9, size))


@program
def a_hook_that_reverses_gradients(compiled: Compile) -> Iterator[Any]:
    """Ganin & Lempitsky, 2015: features from which a domain cannot be told."""
    features, classes, domains = mlp(5, 6), nn.Linear(6, 3), nn.Linear(6, 2)
    parts = nn.ModuleList([features, classes, domains])
    optimizer = tg.optim.Adam(parts.parameters(), lr=0.05)

    @compiled
    def step(x: Any, y: Any, domain: Any) -> Any:
        h = features(x).tanh()
        back = h * 1.0
        back.register_hook(lambda g: -0.5 * g)
        loss = F.cross_entropy(classes(h), y) + F.cross_entropy(domains(back), domain)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for call, (x, y) in enumerate(batches()):
        yield step(x, y, labels(call, 8, 2)), state_of(parts)


@program
def a_straight_through_estimator(compiled: Compile) -> Iterator[Any]:
    net = mlp(5, 6, 3)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)

    @compiled
    def step(x: Any, y: Any) -> Any:
        h = net[0](x).tanh()
        rounded = h + (tg.sign(h) - h).detach()
        loss = F.cross_entropy(net[2](rounded), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for x, y in batches():
        yield step(x, y), state_of(net)


@program
def newtons_method(compiled: Compile) -> Iterator[Any]:
    w = nn.Parameter(normal(3, 3))

    def loss(w: Any, x: Any, y: Any) -> Any:
        return (F.softplus(-y * (x @ w))).mean() + 0.1 * (w**2).sum()

    @compiled
    def step(x: Any, y: Any) -> Any:
        g, h = tg.grad(loss)(w, x, y), tg.hessian(loss)(w, x, y)
        w.data = w.detach() - tg.linalg.solve(h, g)
        return loss(w, x, y)

    x, y = normal(0, 9, 3), tg.sign(normal(1, 9))
    for _ in range(CALLS):
        yield step(x, y), w.detach()


@program
def per_example_gradients(compiled: Compile) -> Iterator[Any]:
    """Abadi et al., 2016: each example's gradient is clipped, and noise is added."""
    w = nn.Parameter(normal(3, 5, 3))
    optimizer = tg.optim.SGD([w], lr=0.1)

    @compiled
    def step(x: Any, y: Any) -> Any:
        total = tg.zeros_like(w.detach())
        for n in range(len(x)):
            g = tg.grad(lambda w, n=n: F.cross_entropy((x[n] @ w)[None], y[n][None]))(w)
            total = total + g / tg.maximum(1.0, tg.vector_norm(g) / 0.5)
        w.grad = (total + 0.1 * tg.random.normal(total.shape)) / len(x)
        optimizer.step()
        return tg.vector_norm(w.grad)

    for x, y in batches():
        yield step(x, y), w.detach()


# --- all of them ------------------------------------------------------------------------------


def seen(value: Any) -> Any:
    """Return what was yielded, as arrays of its own."""
    if isinstance(value, tg.Tensor):
        return value.detach().numpy().copy()
    if isinstance(value, dict):
        return {name: seen(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [seen(one) for one in value]
    return value


def run(loop: Program, compile_: Compile) -> list[Any]:
    tg.seed(0)
    found = [seen(one) for one in loop(compile_)]
    return [*found, tg.random.normal(2).numpy()]


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_compiled_loop_is_the_eager_one(name: str) -> None:
    loop = PROGRAMS[name]
    for call, (one, other) in enumerate(
        zip(run(loop, tg.compile), run(loop, lambda step: step), strict=True)
    ):
        try:
            assert_same(one, other)
        except AssertionError as error:
            error.add_note(f"at what is yielded as number {call}")
            raise


@pytest.mark.parametrize("name", REFUSED)
def test_a_step_that_would_freeze_something_is_refused_with_its_line(name: str) -> None:
    loop, match = REFUSED[name]
    with pytest.raises(CompileError, match=match) as caught:
        run(loop, tg.compile)
    assert "test_compile_training_loops.py:" in str(caught.value)
