"""Lifetimes: what a graph keeps, that it keeps nothing else, and that it is freed at once."""

import gc
import os
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.backends import NUMPY, SMALL

from .op_cases import CASES, Case, weights_of

LARGE = SMALL + 1


@pytest.fixture(autouse=True)
def _without_the_garbage_collector() -> Iterator[None]:
    """Switch the collector off, so that reference counting alone frees objects."""
    gc.disable()
    yield
    gc.enable()


def large(requires_grad: bool = False) -> tg.Tensor:
    return tg.tensor(np.ones(LARGE), requires_grad=requires_grad)


def watch(x: tg.Tensor) -> "weakref.ref[Any]":
    """Return a weak reference to the array of a tensor, to tell whether it is alive."""
    return weakref.ref(x.data)


class TestAGraphLivesAsLongAsItsOutput:
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_and_goes_at_once(self, case: Case) -> None:
        tensors = case.tensors()
        out = case.function(*tensors)
        nodes = [weakref.ref(node.node) for node in tg.graph(out) if not node.is_leaf]
        assert nodes
        out.backward(gradient=weights_of(out.shape))
        del out
        assert [node() for node in nodes] == [None] * len(nodes)

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_also_one_of_gradients_of_gradients(self, case: Case) -> None:
        tensors = case.tensors()
        out = case.function(*tensors)
        seed = tg.tensor(weights_of(out.shape), requires_grad=True)
        first = tg.autograd.grad(out, tensors, [seed], create_graph=True)
        nodes = [weakref.ref(node.node) for node in tg.graph(out, first) if not node.is_leaf]
        assert nodes
        del out, first
        assert [node() for node in nodes] == [None] * len(nodes)

    def test_rebinding_loss_in_a_loop_frees_the_graph_before(self) -> None:
        x = tg.scalar(1.0)
        alive: list[weakref.ref[Any]] = []
        for _ in range(5):
            loss = (x * x).exp()
            alive = [one for one in alive if one() is not None]
            alive.append(weakref.ref(loss.node))
            assert len(alive) == 1, "the old graph went when loss was rebound"
            loss.backward()

    def test_a_hook_that_uses_its_own_tensor_does_not_keep_it(self) -> None:
        def gone_back_through(x: tg.Tensor) -> "weakref.ref[Any]":
            y = x * x
            y.register_hook(lambda g: g * y.detach())
            y.backward()
            return weakref.ref(y.node)

        node = gone_back_through(tg.scalar(1.0))
        gc.collect()  # the hook makes a reference cycle of tensor, node and hook
        assert node() is None

    def test_looking_at_a_graph_does_not_keep_it(self) -> None:
        x = tg.scalar(1.0)
        y = x * x
        outputs = [y, y * 2]
        nodes = [weakref.ref(one.node) for one in outputs]
        text, graph = str(tg.graph(y)), tg.graph(outputs)
        del graph, y, outputs
        assert "×" in text
        assert [node() for node in nodes] == [None, None]

    def test_inputs_are_not_kept_as_tensors(self) -> None:
        x = tg.scalar(2.0)
        tensor = weakref.ref(x)
        y = x * x
        del x
        assert tensor() is None
        y.backward()

    def test_transforms_leave_nothing(self) -> None:
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(3):
            tg.hessian(lambda x: (x * x * x).sum())(tg.tensor([1.0, 2.0]))
            tg.jvp(lambda x: x * x, (3.0,), (1.0,))
        after = len(gc.get_objects())
        assert gc.collect() == 0, "there were reference cycles"
        assert after - before < 50

    def test_an_error_in_an_op_leaves_no_cycle(self) -> None:
        x = large(requires_grad=True)
        y = x * x
        array = watch(y)
        with pytest.raises(tg.errors.ShapeError):
            y + tg.tensor([1.0, 2.0])
        del y
        gc.collect()  # frees the traceback that pytest.raises holds
        assert array() is None


class TestWhatNodesKeep:
    @pytest.mark.parametrize(
        ("function", "kept"),
        [
            (lambda x, y: x + y, set()),
            (lambda x, y: x - y, set()),
            (lambda x, y: x * y, {"x", "y"}),
            (lambda x, y: x.exp(), {"out"}),
            (lambda x, y: x.tanh(), {"out"}),
            (lambda x, y: tg.relu(x), {"out"}),
            (lambda x, y: x.log(), {"x"}),
            (lambda x, y: x.sum(), set()),
            (lambda x, y: x.reshape(-1), set()),
            (lambda x, y: -x, set()),
            (lambda x, y: tg.concat([x, y]), set()),
            (lambda x, y: x[1:], set()),
            (lambda x, y: x * y.detach(), {"y"}),
            (lambda x, y: x.detach() * y, {"x"}),
            (lambda x, y: x / y.detach(), {"y"}),
        ],
    )
    def test_is_what_the_rules_of_their_needy_inputs_name(
        self, function: Callable[[tg.Tensor, tg.Tensor], tg.Tensor], kept: set[str]
    ) -> None:
        x, y = large(requires_grad=True), large(requires_grad=True)
        node = tg.graph(function(x, y)).outputs[0]
        assert {one.name for one in node.keeps} == kept
        assert node.nbytes_kept == 8 * LARGE * len(kept)

    def test_counts_an_array_that_several_nodes_keep_once(self) -> None:
        x = large(requires_grad=True)
        graph = tg.graph((x * x).sum() + (x * x).sum())
        assert graph.nbytes_kept == 8 * LARGE

    def test_of_a_chain_of_sums_is_nothing(self) -> None:
        x = large(requires_grad=True)
        arrays = []
        y = x
        for _ in range(5):
            y = y + 1.0
            arrays.append(watch(y))
        out = y.sum()
        del y
        assert [array() for array in arrays] == [None] * 5
        out.backward()
        assert x.grad is not None

    def test_includes_small_values_so_that_pictures_have_numbers(self) -> None:
        x = tg.tensor(np.ones(SMALL), requires_grad=True)
        out = ((x + 1.0) * 2.0).sum()
        out.backward()
        values = [node.value for node in tg.graph(out) if node.requires_grad]
        gradients = [node.gradient for node in tg.graph(out) if node.requires_grad]
        assert all(value is not None for value in values)
        assert all(gradient is not None for gradient in gradients)

    def test_includes_large_ones_where_recording_asks_for_them(self) -> None:
        x = large(requires_grad=True)
        with tg.record():
            out = ((x + 1.0) + 2.0).sum()
            out.backward()
        for node in tg.graph(out):
            if node.requires_grad:
                assert node.value is not None
                assert node.gradient is not None

    def test_of_a_graph_that_needs_no_gradient_is_nothing(self) -> None:
        x = large()
        y = x * x
        array = watch(y)
        z = y.sum()
        del y
        assert array() is None
        assert not z.requires_grad

    def test_goes_as_a_sweep_that_frees_passes(self) -> None:
        seen: list[bool] = []

        def rule(xp: Any, g: Any, x: Any) -> Any:
            seen.append(above() is None)
            return g

        step = tg.op("watched_of_tests", forward=lambda xp, x: x + 0.0, vjp={"x": rule})
        for free in (False, True):
            x = large(requires_grad=True)
            y = step(x).exp()
            above = watch(y)
            z = y.sum()
            del y
            z.backward(free=free)
        assert seen == [False, True]


def test_shapes_without_end_are_as_good_as_the_first() -> None:
    first = tg.tensor(np.ones((3, 2)), requires_grad=True)
    for length in range(12_000):
        tg.tensor(np.empty((length, 0)), requires_grad=True)
    last = tg.tensor(np.ones((3, 2)), requires_grad=True)
    (first * last + last / first).sum().backward()
    for x, slope in ((first, 0.0), (last, 2.0)):
        assert x.grad is not None
        assert x.grad.tolist() == [[slope] * 2] * 3


class TestTheSweep:
    def test_drops_each_gradient_as_soon_as_it_was_used(self) -> None:
        alive: list[int] = []
        made: list[weakref.ref[Any]] = []

        def rule(xp: Any, g: Any) -> Any:
            fresh = g * 1.0
            made.append(weakref.ref(fresh))
            alive.append(sum(one() is not None for one in made))
            return fresh

        step = tg.op("fresh_of_tests", forward=lambda xp, x: x + 0.0, vjp={"x": rule})
        x = large(requires_grad=True)
        y = x
        for _ in range(50):
            y = step(y)
        y.sum().backward()
        assert len(made) == 50
        assert max(alive) <= 3

    def test_of_many_elements_picked_one_by_one_makes_one_buffer(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count = 20_000
        buffers = []

        def zeros(shape: Any, **options: Any) -> Any:
            buffers.append(shape)
            return np.zeros(shape, **options)

        monkeypatch.setattr(NUMPY, "zeros", zeros, raising=False)
        x = tg.tensor(np.ones(count), requires_grad=True)
        total = x[0]
        for position in range(1, count):
            total = total + x[position]
        total.backward()
        assert buffers == [(count,)]
        assert x.grad is not None
        assert x.grad.numpy().tolist() == [1.0] * count

    def test_hands_out_the_gradients_of_leaves_without_a_copy_where_it_can(self) -> None:
        made: list[int] = []

        def rule(xp: Any, g: Any) -> Any:
            fresh = g * 1.0
            made.append(fresh.ctypes.data)
            return fresh

        step = tg.op("address_of_tests", forward=lambda xp, x: x + 0.0, vjp={"x": rule})
        x = large(requires_grad=True)
        step(x).sum().backward()
        assert x.grad is not None
        assert x.grad.data.ctypes.data == made[0]


def bytes_of_chain(length: int, step: Callable[[tg.Tensor, tg.Tensor], tg.Tensor]) -> int:
    """Return the bytes that a chain of scalar ops takes, after its backward pass."""
    x = tg.scalar(1.0)
    tracemalloc.start()
    try:
        y = x
        for _ in range(length):
            y = step(y, x)
        y.backward()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


class TestDepth:
    @pytest.mark.parametrize(
        "step", [lambda y, x: y * x, lambda y, x: y * 0.5], ids=["of tensors", "with constants"]
    )
    def test_costs_memory_in_proportion(
        self, step: Callable[[tg.Tensor, tg.Tensor], tg.Tensor]
    ) -> None:
        bytes_of_chain(10, step)
        short, long = bytes_of_chain(2_000, step), bytes_of_chain(8_000, step)
        assert 3.5 < long / short < 4.5
        assert long / 8_000 < 2_000, "bytes a node"

    @pytest.mark.parametrize(
        ("build", "rounds"),
        [("y = y * x", 100_000), ("y = y * 0.5", 100_000), ("y = (y + x)[0:1]", 50_000)],
    )
    def test_of_a_hundred_thousand_nodes_is_gone_back_through_and_freed(
        self, build: str, rounds: int
    ) -> None:
        script = f"""
import tinygrad_lab as tg
x = tg.tensor([1.0], requires_grad=True)
y = x
for _ in range({rounds}):
    {build}
y.backward()
assert x.grad is not None
del y
print("done")
"""
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.stdout == "done\n", done.stderr

    def test_of_a_million_scalar_nodes_builds_goes_back_and_is_freed(self) -> None:
        # Linux lets a process inherit ru_maxrss from its parent, even over exec; VmHWM is its own.
        script = """
import gc, re, resource, sys, weakref
import tinygrad_lab as tg
gc.disable()
x = tg.scalar(1.0)
y = x
for position in range(1_000_000):
    y = y * x
    if position == 0:
        first = weakref.ref(y.node)
y.backward()
print(x.grad.item(), first() is None)
del y
if sys.platform == "linux":
    peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(first() is None, peak)
"""
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        gradient, gone_before, gone_after, peak = done.stdout.split()
        assert float(gradient) == 1_000_001.0
        assert (gone_before, gone_after) == ("False", "True")
        assert int(peak) < 1_000_000_000, "bytes"

    def test_does_not_matter_to_readers_of_the_graph(self) -> None:
        x = tg.scalar(1.0)
        y = x
        for _ in range(5_000):
            y = y + x
        graph = tg.graph(y)
        assert len(graph) == 5_001
        assert len(graph.edges) == 10_000


def _compiled_step(model: tg.nn.Module) -> Any:
    optimizer = tg.optim.Adam(model.parameters(), lr=0.1)

    @tg.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize(
    ("calls", "look"),
    [
        *((calls, None) for calls in range(5)),
        *((calls, look) for calls in (2, 4) for look in ("source", "draw", "report")),
    ],
)
def test_a_compiled_step_goes_at_once_with_what_it_uses(calls: int, look: str | None) -> None:
    model = tg.nn.Sequential(tg.nn.Linear(3, 2), tg.nn.Tanh(), tg.nn.BatchNorm1d(2))
    step = _compiled_step(model)
    x = tg.tensor(np.arange(12.0).reshape(4, 3), dtype=tg.float32)
    for _ in range(calls):
        step(x)
    if look == "source":
        assert step.source
    if look == "draw":
        step.draw()
    if look == "report":
        step.report(x, replays=2)
    parts = [weakref.ref(one) for one in [*model.parameters(), *model.buffers(), step]]
    assert len(parts) > 6
    del model, step
    assert all(part() is None for part in parts)


ORDINARY_USE = """
x, y = tg.scalar(2.0), tg.scalar(3.0); f = (x + y).tanh() * x; f.backward(); f.backward(free=True)
x = tg.tensor([[1.0, 2.0]], requires_grad=True); (x.exp() @ tg.ones((2, 1))).sum().backward()
x = tg.tensor([3.0, 1.0], requires_grad=True); a, b = tg.unstack(x); (a * b + x[0]).backward()
x = tg.scalar(2.0); f = x * x; f.backward(); g = tg.graph(f); str(g); list(g.nodes); list(g.leaves)
x = tg.scalar(2.0); f = x * x; f.backward(); tg.draw(f).dot
x = tg.scalar(2.0); f = x * x; handle = f.register_hook(lambda g: 2 * g); f.backward(); handle()
x = tg.scalar(2.0); g, = tg.autograd.grad(x ** 3, [x], create_graph=True); g.backward()
tg.grad(lambda x: x * x)(2.0); tg.value_and_grad(lambda x: x * x)(2.0)
tg.hessian(lambda x: (x * x * x).sum())(tg.tensor([1.0, 2.0]))
tg.jacobian(lambda x: x * x)(tg.tensor([1.0, 2.0]))
tg.gradcheck(lambda x: x * x, tg.tensor([1.0], dtype=tg.float64, requires_grad=True))
x = tg.tensor([1.0], requires_grad=True); tg.checkpoint(lambda x: x.exp().sin(), x).sum().backward()
with tg.debug(): x = tg.scalar(2.0); (x * x).backward()
with tg.record(): x = tg.tensor([1.0], requires_grad=True); (x * x).sum().backward()
with tg.no_grad(): tg.ones((3,)) * 2
train(tg.optim.Adam); train(tg.optim.SGD)
tg.nn.Conv1d(1, 2, 3)(tg.ones((1, 1, 9))).sum().backward()
tg.nn.GRU(2, 3)(tg.ones((4, 1, 2)))[0].sum().backward()
net = tg.nn.Linear(2, 2); net.load_state_dict(net.state_dict()); repr(net)
fails(lambda: tg.ones((2, 3)) @ tg.ones((2, 3)))
x = tg.scalar(2.0); f = x * x; f.backward(free=True); fails(f.backward)
fails(lambda: tg.tensor([1.0, 2.0], requires_grad=True).backward())
step(tg.ones((3,))); step(tg.ones((3,)))
f = tg.compile(tg.grad(lambda x: (x * x).sum())); [f(tg.ones((3,))) for _ in range(3)]
"""
"""A use a line, as in a fresh process, where ops and caches are made."""


@pytest.mark.parametrize("plain", ["", "1"])
def test_ordinary_use_makes_no_reference_cycles(plain: str) -> None:
    code = f"""
import gc
import numpy as np
import tinygrad_lab as tg

def train(kind):
    net = tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.ReLU(), tg.nn.Linear(3, 2))
    optimizer = kind(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss = tg.nn.functional.cross_entropy(net(tg.ones((2, 4))), tg.tensor([0, 1]))
        loss.backward()
        optimizer.step()

def fails(call):
    try:
        call()
    except tg.errors.TinygradLabError:
        return
    raise AssertionError("it did not fail")

w = tg.nn.Parameter(tg.ones((3,)))
optimizer = tg.optim.SGD([w], lr=0.1)

@tg.compile
def step(x):
    optimizer.zero_grad()
    loss = (w * x).sum()
    loss.backward()
    optimizer.step()
    return loss

for _ in range(3):
    step(tg.ones((3,)))
uses = [compile(line, line, "exec") for line in {ORDINARY_USE!r}.strip().splitlines()]
import graphviz  # and all else that modules leave when they are imported
gc.collect()
gc.disable()
for use in uses:
    names = {{"tg": tg, "train": train, "fails": fails, "step": step}}
    exec(use, names)
    names.clear()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = [type(one).__name__ for one in gc.garbage if type(one).__name__ != "getset_descriptor"]
    if found:
        print(use.co_filename, found[:10])
    gc.garbage.clear()
    gc.collect()
"""
    environment = {**os.environ, "TINYGRAD_LAB_PLAIN": plain}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FIRST_USES = [
    "(x * x).sum().backward()",
    "tg.grad(lambda x: (x * x).sum())(x)",
    "tg.hessian(lambda x: (x * x).sum())(x)",
    "tg.graph((x * x).sum())",
    "tg.exp(np.ones(3))",
    "tg.draw((x * x).sum()).dot",
    "tg.nn.Linear(2, 1)(x).backward()",
    "f = tg.compile(lambda x: (x * x).sum()); f(x.detach()); f(x.detach())",
    "f = tg.compile(tg.grad(lambda x: (x * x).sum())); [f(x.detach()) for _ in range(3)]",
]


@pytest.mark.parametrize("use", FIRST_USES)
def test_the_first_use_of_a_process_leaves_nothing_to_collect(use: str) -> None:
    # What imports leave is not of the use: other libraries leave something, and of each class with
    # slots that dataclass() makes, the class that it replaces is left.
    code = f"""
import gc, importlib, pkgutil, sys
import numpy as np
import tinygrad_lab as tg
x = tg.tensor([1.0, 2.0], requires_grad=True)
if "compile" in {use!r}:
    for module in pkgutil.walk_packages(tg.compiler.__path__, "tinygrad_lab.compiler."):
        if not module.name.endswith(("loops.target", "machine_code")):
            importlib.import_module(module.name)
if "draw" in {use!r}:
    import graphviz
gc.collect()
gc.disable()
{use}
print(gc.collect(), "numpy.ma" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "0 False\n", done.stderr
