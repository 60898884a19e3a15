"""Random programs around a step: what it reads, and what changes between its calls.

``python -m tests.little_states COUNT [SEED]`` compares that many with the uncompiled step.
"""

import random
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab import trees
from tinygrad_lab.errors import CompileError

SETUP = """
import collections, contextlib, copy, contextvars, dataclasses, functools, itertools, operator
import array as arrays, enum, os, random, types, weakref
import numpy as np
import tinygrad_lab as tg
from tinygrad_lab import nn

class Item:
    kind = 2.0
    def __init__(self, weight, on=True):
        self.weight, self.on = weight, on
    @property
    def double(self):
        return self.weight * 2
    def scaled(self, y):
        return y * self.weight
    def __len__(self):
        return int(self.weight)
    def __call__(self, y):
        return y + self.weight
    def __enter__(self):
        return self.weight
    def __exit__(self, *_):
        return None

class Special(Item):
    shift = 1.0
    def scaled(self, y):
        return super().scaled(y) + self.shift
    @classmethod
    def of_class(cls):
        return cls.shift
    @staticmethod
    def of_nothing():
        return Special.kind

class Slotted:
    __slots__ = ("rate",)

class Magic:
    def __init__(self):
        self.__dict__["inside"] = {"level": 1.0}
    def __getattr__(self, name):
        return self.inside[name]

@dataclasses.dataclass
class Config:
    gain: float = 1.5
    names: list = dataclasses.field(default_factory=lambda: ["alpha", "beta"])

class Scaled(nn.Module):
    factor = 1.0
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.options = {"shift": 0.5}
        self.level = 2
    def forward(self, y):
        return self.inner(y) * self.factor * self.level + self.options["shift"]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Scaled(), nn.Tanh()])
        self.flags = [True, False]
    def forward(self, y):
        for layer in self.layers:
            y = layer(y)
        return y if self.flags[0] else -y

class Row:
    def __init__(self):
        self.parts = [1.0, 2.0]
    def __getitem__(self, place):
        return self.parts[place]
    def __len__(self):
        return len(self.parts)
    def __iter__(self):
        return iter(self.parts)
    def __contains__(self, part):
        return part in self.parts

class Amount:
    def __init__(self, amount):
        self.amount = amount
    def __mul__(self, other):
        return other * self.amount
    def __float__(self):
        return float(self.amount)
    def __bool__(self):
        return self.amount > 1
    def __eq__(self, other):
        return self.amount == other
    __hash__ = None

class Meta(type):
    @property
    def level(cls):
        return cls._level

class WithMeta(metaclass=Meta):
    _level = 1.0

class Field:
    def __set_name__(self, owner, name):
        self.name = "_" + name
    def __get__(self, owner, kind):
        return getattr(owner, self.name)
    def __set__(self, owner, value):
        setattr(owner, self.name, value)

class WithField:
    level = Field()
    def __init__(self):
        self.level = 1.0

class Attributes(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__

class Mode(enum.Enum):
    PLAIN = 1
    TWICE = 2

@functools.singledispatch
def dispatched(kind, y):
    return y

@dispatched.register
def _(kind: int, y):
    return y * cfg.beta

def with_attribute(y):
    return y * with_attribute.level
with_attribute.level = 1.0

row, amount, with_field = Row(), Amount(1.0), WithField()
attributes = Attributes(alpha=1.0, sub=Attributes(beta=2.0))
user_dict, chain = collections.UserDict(a=1.0), collections.ChainMap({}, {"k": 1.0})
whole, octets = arrays.array("d", [1.0, 2.0]), bytearray(bytes([1, 2]))
choice, drop = types.SimpleNamespace(mode=Mode.PLAIN, place=1), nn.Dropout(0.0)
os.environ["LITTLE_STATE"] = "1"

cfg = types.SimpleNamespace(alpha=1.0, beta=2.0, which="alpha", count=0, last=None,
                            sub=types.SimpleNamespace(gamma=3.0, deep=[1.0, {"k": 2.0}]))
config, magic, slotted = Config(), Magic(), Slotted()
slotted.rate = 1.0
item, special = Item(1.0), Special(2.0)
items = [Item(1.0), Item(2.0, False), Special(3.0)]
table = {"a": 1.0, "b": Item(2.0), "f": lambda y: y * 2.0}
window = collections.deque([1.0, 2.0], maxlen=4)
numbers, chosen, long = (1.0, 2.0), {1.0}, [1.0] * 70
array, mask = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 1.0], np.float32)
flag, mode, factor, names = True, "fast", 1.0, ["alpha", "beta"]
variable = contextvars.ContextVar("variable", default=1.0)
scale_by = functools.partial(lambda k, y: y * k.weight, item)
bias = tg.tensor([0.1, 0.2, 0.3])
net = Net()
weight = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
optimizer = tg.optim.SGD([weight], lr=0.1, momentum=0.5)
generator = tg.Generator(5)
hooks = []
counter = itertools.count(1)
rng = np.random.default_rng(0)
history = []

def helper(y, k=item, *more, gain=config, **rest):
    return y * k.weight + gain.gain + sum(one.weight for one in more)

def outer(one):
    def inner(y):
        return y * one.weight * factor
    return inner

@contextlib.contextmanager
def scope(one):
    yield one.weight

def decorated(function):
    @functools.wraps(function)
    def wrapped(*args):
        return function(*args) * cfg.beta
    return wrapped

@decorated
def plus(y):
    return y + cfg.sub.gamma

inner = outer(special)
copy_of = copy.copy
"""

READS = [
    "y = y * row[0] + len(row) + sum(part for part in row) + (5.0 if 2.0 in row else 1.0)",
    "y = (amount * y) * float(amount) + (1.0 if amount else 0.0) + (2.0 if amount == 3.0 else 0.0)",
    "y = y * WithMeta.level",
    "y = y * with_field.level",
    "y = y * attributes.alpha * attributes.sub.beta",
    "y = y * user_dict['a'] + chain['k']",
    "y = y * whole[0] + octets[1]",
    "y = y * float(os.environ['LITTLE_STATE'])",
    "y = y + weakref.ref(item)().weight",
    "y = dispatched(1, y)",
    "y = with_attribute(y)",
    "y = y * 2 if choice.mode is Mode.TWICE else y",
    "y = y * {'w_1': 1.0, 'w_2': factor}[f'w_{choice.place}']",
    "y = y + table.get(f'{mode[-1]}x', 0.5)",
    "y = y + numbers[choice.place - 1]",
    "y = y + min(items, key=lambda one: one.weight).weight",
    "y = y * 3 if drop.training else y",
    "y = y * 2 if weight.grad is None else y",
    "y = y + 1 if bias.name == 'b' else y",
    "place = None\nfor place in range(2):\n    y = y + long[59 + place]",
    "y = y + copy_of(cfg).alpha",
    "y = y + dataclasses.asdict(config)['gain']",
    "y = y * cfg.alpha",
    "c = cfg.sub; y = y + c.gamma",
    "y = y * cfg.sub.deep[0] + cfg.sub.deep[1]['k']",
    "y = y * getattr(cfg, cfg.which)",
    "y = y * getattr(cfg, 'missing', 1.5)",
    "y = y + (cfg.extra if hasattr(cfg, 'extra') else 0.5)",
    "y = y * config.gain + len(config.names)",
    "y = y * magic.level",
    "y = y * slotted.rate",
    "y = item.scaled(y) + item.double",
    "y = special.scaled(y) + special.of_class() + Special.of_nothing()",
    "y = item(y) + len(special)",
    "for one in items:\n    if one.on:\n        y = y + one.weight",
    "y = y + sum(one.weight for one in items if one.on)",
    "y = y + [one.double for one in items][-1]",
    "for k, one in enumerate(items):\n    y = y * (one.weight + k)",
    "for a, b in zip(items, window):\n    y = y + a.weight * b",
    "y = y + sorted(items, key=lambda one: one.weight)[0].weight",
    "y = y + max(items, key=operator.attrgetter('weight')).weight",
    "y = y * table['a'] + table['b'].weight",
    "y = table['f'](y)",
    "y = y + table.get('c', 0.25)",
    "for key, value in table.items():\n    y = y + (value if isinstance(value, float) else 0.0)",
    "y = y * len(window) + window[0]",
    "y = y * sum(window)",
    "y = y + numbers[1] + sum(numbers)",
    "y = y + sum(sorted(chosen))",
    "y = y + (1.0 if 2.0 in chosen else 3.0)",
    "y = y * long[60] + sum(long[65:])",
    "y = y + float(array.sum())",
    "y = y + array[1]",
    "y = y * mask",
    "y = y * mask + float(np.mean(mask))",
    "y = y + np.dot(array, array)",
    "if flag:\n    y = -y",
    "if mode == 'fast':\n    y = y + 1.0\nelse:\n    y = y * 2.0",
    "y = y * factor if not flag else y",
    "y = y * variable.get()",
    "y = scale_by(y)",
    "y = y + bias",
    "y = net(y)",
    "y = helper(y)",
    "y = helper(y, special)",
    "y = helper(y, item, *items, gain=config)",
    "y = outer(item)(y)",
    "y = inner(y)",
    "y = plus(y)",
    "with special as v:\n    y = y * v",
    "with scope(item) as v:\n    y = y * v",
    "try:\n    y = y * cfg.missing\nexcept AttributeError:\n    y = y + 0.125",
    "try:\n    y = y + table['z']\nexcept KeyError:\n    y = y - 0.125",
    "if (found := cfg.beta) > 1.5:\n    y = y * found",
    "match cfg.which:\n    case 'alpha':\n        y = y + 1.0\n    case _:\n        y = y * 0.5",
    "match item:\n    case Item(weight=w):\n        y = y * w",
    "k = 0\nwhile k < cfg.alpha:\n    y = y + 1.0\n    k += 1",
    "y = y + [*items, special][0].weight",
    "y = y + {**table, 'q': 2.0}['a']",
    "one, *others = items\ny = y * one.weight + len(others)",
    "y = (lambda k: k * cfg.alpha)(y)",
    "y = functools.reduce(lambda a, b: a + b.weight, items, y)",
    "y = y + vars(cfg)['beta']",
    "y = y + sum(map(lambda one: one.weight, filter(lambda one: one.on, items)))",
    "assert cfg.beta < 100.0, 'beta'",
    "if cfg.alpha > 4.0:\n    raise ValueError('alpha')",
    "new = Item(cfg.alpha)\ny = new.scaled(y)",
    "def local(z):\n    return z * cfg.beta + item.weight\ny = local(y)",
    "y = y + tg.random.normal((3,), generator=generator)",
    "y = y + names.index('beta')",
    "y = y * (cfg.alpha, cfg.beta)[flag]",
    "y = y + optimizer.param_groups[0]['lr']",
    "loss = (weight * y.detach()).sum()\noptimizer.zero_grad()\nloss.backward()\noptimizer.step()\n"
    "y = y + loss.detach()",
    "if weight.requires_grad:\n    y = y + weight.detach()",
]
RARE = [
    "cfg.count += 1\ny = y + cfg.count",
    "history.append(1)",
    "y = y * next(counter)",
    "y = y + (1.0 if random.random() < 0.5 else 2.0)",
    "y = y + (1.0 if rng.random() < 0.5 else 2.0)",
    "cfg.last = mode",
    "if cfg.last is None:\n    cfg.last = 'made'",
    "window.append(window[0] + 1.0)",
    "tg.seed(0)",
]
CHANGES = [
    "row.parts[0] = {v}",
    "row.parts.append({v})",
    "amount.amount = {v}",
    "WithMeta._level = {v}",
    "with_field.level = {v}",
    "attributes.sub.beta = {v}",
    "attributes.alpha = {v}",
    "user_dict['a'] = {v}",
    "chain['k'] = {v}",
    "whole[0] = {v}",
    "octets[1] = {i}",
    "os.environ['LITTLE_STATE'] = '{v}'",
    "with_attribute.level = {v}",
    "choice.mode = Mode.TWICE",
    "choice.place = 3 - choice.place",
    "drop.eval()",
    "drop.train()",
    "bias.name = 'b'",
    "weight.grad = None",
    "weight.requires_grad_(not weight.requires_grad)",
    "cfg.alpha = {v}",
    "cfg.beta = {v}",
    "cfg.which = {w}",
    "cfg.extra = {v}",
    "cfg.__dict__.pop('extra', None)",
    "cfg.missing = {v}",
    "cfg.sub.gamma = {v}",
    "cfg.sub = types.SimpleNamespace(gamma={v}, deep=[{v}, {{'k': {v}}}])",
    "cfg.sub.deep[0] = {v}",
    "cfg.sub.deep[1]['k'] = {v}",
    "config.gain = {v}",
    "config.names.append('x')",
    "magic.inside['level'] = {v}",
    "slotted.rate = {v}",
    "item.weight = {v}",
    "special.weight = {v}",
    "special.shift = {v}",
    "Special.shift = {v}",
    "Item.kind = {v}",
    "items[0].weight = {v}",
    "items[1].on = not items[1].on",
    "items.append(Item({v}))",
    "items.pop() if len(items) > 2 else None",
    "items[0] = Special({v})",
    "table['a'] = {v}",
    "table['b'] = Item({v})",
    "table['f'] = lambda y: y * {v}",
    "table['c'] = {v}",
    "table['z'] = {v}",
    "window.append({v})",
    "numbers = ({v}, 1.0)",
    "chosen.add({v})",
    "long[60] = {v}",
    "long[66] = {v}",
    "array[1] = {v}",
    "mask[0] = {v}",
    "mask = np.array([{v}, 1.0, 1.0], np.float32)",
    "flag = not flag",
    "mode = {m}",
    "factor = {v}",
    "variable.set({v})",
    "bias = tg.tensor([{v}, 0.0, 1.0])",
    "bias.data = np.array([{v}, 0.5, 0.5], np.float32)",
    "net.layers[0].level = {i}",
    "net.layers[0].options['shift'] = {v}",
    "Scaled.factor = {v}",
    "net.layers[0].inner.weight.data = net.layers[0].inner.weight.data * np.float32({v})",
    "net.layers.append(nn.ReLU())",
    "net.flags[0] = not net.flags[0]",
    "item.scaled = lambda y: y * {v}",
    "Item.scaled = lambda self, y: y - self.weight * {v}",
    "helper.__defaults__ = (Item({v}),)",
    "inner = outer(Item({v}))",
    "names.insert(0, 'x')",
    "optimizer.param_groups[0]['lr'] = {v} / 10",
    "optimizer.param_groups[0]['lr'] = {i}",
    "optimizer.param_groups[0]['momentum'] = np.float64({v} / 10)",
    "hooks.append(weight.register_hook(lambda g: g * {v})) if weight.requires_grad else None",
    "hooks.pop().remove() if hooks else None",
    "if weight.requires_grad: hooks.append(weight.register_hook(lambda g: g * item.weight))",
    "generator.seed({i})",
    "weight.data = np.array([{v}, 1.0, 2.0], np.float32)",
    "cfg.last = None",
    "kept = weight.grad",
    "kept = weight.detach()",
]


def little_state(seed: int) -> str:
    """Write a program: a step that reads some state, and changes of it between calls."""
    rng = random.Random(seed)

    def filled(text: str) -> str:
        return text.format(
            v=rng.choice([0.5, 1.0, 2.0, 3.0, 5.0]),
            i=rng.choice([1, 2, 3]),
            w=rng.choice(["'alpha'", "'beta'"]),
            m=rng.choice(["'fast'", "'slow'"]),
        )

    body = rng.sample(READS, rng.randint(1, 5))
    if rng.random() < 0.15:
        body.insert(rng.randint(0, len(body)), rng.choice(RARE))
    words = {word for line in body for word in _words(line)}
    likely = [one for one in CHANGES if words & _words(one.partition("=")[0])] or CHANGES
    lines = [
        SETUP,
        "def step(x, y=None):",
        "    y = x",
        *(textwrap.indent(line, "    ") for line in body),
        "    return y",
        "run = compiled(step)",
        "for call in range(9):",
    ]
    for call in range(2, 9):
        if rng.random() < 0.5:
            chosen = rng.choice(likely if rng.random() < 0.8 else CHANGES)
            lines.append(f"    if call == {call}:\n        {filled(chosen)}")
    lines.append("    out(attempt(run, tg.tensor([1.0, -1.0, 0.5 + call])))")
    lines.append("    out([weight.detach(), cfg.count, str(cfg.last), len(history), sum(window)])")
    return "\n".join(lines) + "\n"


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split()) - {"y", "for"}


def seen_in(text: str, compiled: Callable[[Any], Any]) -> Iterator[Any]:
    """Run a program; yield what it saw, until a step was refused."""
    found: list[Any] = []

    def out(result: Any) -> None:
        leaves, _ = trees.flatten(result)
        found.append(
            [
                np.array(x.detach().numpy()).tolist() if isinstance(x, tg.Tensor) else x
                for x in leaves
            ]
        )

    def attempt(step: Any, *args: Any) -> Any:
        try:
            return step(*args)
        except CompileError:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    tg.seed(0)
    random.seed(0)
    names = {"compiled": compiled, "out": out, "attempt": attempt, "__name__": "__main__"}
    try:
        exec(compile(text, "<little state>", "exec"), names)
    except CompileError as error:
        yield from found
        yield error
        return
    yield from found


def check_state(seed: int) -> str:
    """Compare a program with and without compiling; return what became of it."""
    text = little_state(seed)
    expected = list(seen_in(text, lambda function: function))
    steps: list[Any] = []

    def compiled(function: Any) -> Any:
        steps.append(tg.compile(function))
        return steps[0]

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        found = list(seen_in(text, compiled))
    refused = bool(found) and isinstance(found[-1], CompileError)
    if refused:
        message = str(found.pop())
        assert "little state" in message, message
        expected = expected[: len(found)]
    if found != expected:
        body = text.partition("def step")[2]
        differing = [a == b for a, b in zip(found, expected, strict=False)].index(False)
        raise AssertionError(
            f"program {seed}, at {differing}: {found}\n!= {expected}\n{body}\n"
            f"{steps[0].explain_miss()}"
        )
    if refused:
        return "refused"
    return (
        "uncompiled"
        if steps[0]._recordings.runs_uncompiled
        else "replayed"
        if steps[0]._replays
        else "never"
    )


if __name__ == "__main__":
    count, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    outcomes: dict[str, int] = {}
    failed = 0
    for seed in range(start, start + count):
        try:
            outcome = check_state(seed)
        except AssertionError as error:
            failed += 1
            if failed <= 5:
                print(error)
            continue
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes, "failed", failed)
