"""``step.source`` computes what the step does, bit for bit, and is readable."""

import ast
import builtins
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.compiler.source.write import Writer
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.train.models import MODELS, make_model

Step = Callable[..., Any]

REFUSE_THE_PACKAGE = """
import sys
import textwrap
from xml.etree import ElementTree
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tinygrad_lab":
            raise ImportError("not here")
sys.meta_path.insert(0, Refuse())
"""


def batch(seed: int = 0, size: int = 12) -> tuple[tg.Tensor, tg.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 40)).astype(np.float32)
    return tg.tensor(x), tg.tensor(rng.integers(0, 10, size))


OTHERS: dict[Any, dict[str, Any]] = {tg.optim.SGD: {"momentum": 0.9}}
"""Settings with which an optimiser has state."""


def dropout_net() -> nn.Module:
    parts = (nn.Linear(40, 20), nn.ReLU(), nn.Dropout(0.5), nn.Linear(20, 10))
    return nn.Sequential(*parts)


class Training:
    """A model, an optimiser and the usual four-line step."""

    def __init__(self, model: str, optimizer: Any = tg.optim.Adam, **settings: Any) -> None:
        tg.seed(0)
        self.model = dropout_net() if model == "dropout" else make_model(model)
        self.optimizer = optimizer(self.model.parameters(), **{"lr": 0.05, **settings})

    def step(self, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        loss = nn.functional.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def recorded(function: Step, *args: Any) -> Any:
    """Compile a function, and record it."""
    step = tg.compile(function)
    for _ in range(3):
        step(*args)
    return step


def loaded(step: Any, folder: Path) -> dict[str, Any]:
    """Return the names that a saved step's module defines."""
    path = folder / "saved_step.py"
    step.save(path)
    names: dict[str, Any] = {"__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    return names


def run_source(step: Any, *args: Any) -> Any:
    """Return the result of the source of a step without state."""
    names: dict[str, Any] = {}
    exec(compile(step.source, "<source>", "exec"), names)
    return names["step"](*args)


def assert_same(mine: Any, theirs: Any) -> None:
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


class TestTheSourceDoesWhatTheStepDoes:
    @pytest.mark.parametrize("model", [*MODELS, "dropout"])
    @pytest.mark.parametrize("optimizer", [tg.optim.Adam, tg.optim.SGD])
    def test_for_every_net_in_every_bit(self, model: str, optimizer: Any, tmp_path: Path) -> None:
        training = Training(model, optimizer)
        step = tg.compile(training.step)
        for number in range(3):
            step(*batch(number))
        module = loaded(step, tmp_path)
        state = module["load_state"]()
        for number in range(3, 6):
            x, y = batch(number)
            loss = module["step"](x.data, y.data, state, lr=0.05)
            assert float(loss) == training.step(x, y).item()
        for name, parameter in training.model.named_parameters():
            stem = name.replace(".", "_")
            key = stem if stem in state else f"layer{stem}"
            np.testing.assert_array_equal(state[key], parameter.data)

    @pytest.mark.parametrize("model", [*MODELS, "dropout"])
    @pytest.mark.parametrize("optimizer", [tg.optim.Adam, tg.optim.SGD])
    def test_trains_on_with_numpy_alone(self, model: str, optimizer: Any, tmp_path: Path) -> None:
        training = Training(model, optimizer, **OTHERS.get(optimizer, {}))
        step = tg.compile(training.step)
        for number in range(3):
            step(*batch(number))
        step.save(tmp_path / "saved.py")
        batches = [batch(number) for number in range(3, 13)]
        x, y = (np.stack([one[part].data for one in batches]) for part in (0, 1))
        np.savez(tmp_path / "batches.npz", x=x, y=y)
        script = REFUSE_THE_PACKAGE + (
            "import numpy as np, saved\n"
            "data = np.load('batches.npz'); state = saved.load_state()\n"
            "for x, y in zip(data['x'], data['y']): print(float(saved.step(x, y, state)))\n"
            "arrays = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}\n"
            "np.savez('after.npz', **arrays)\n"
            "assert not any(name.startswith('tinygrad_lab') for name in sys.modules)\n"
        )
        out = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},
        )
        assert [float(one) for one in out.stdout.split()] == [
            float(step(*one).item()) for one in batches
        ]
        after = np.load(tmp_path / "after.npz")
        for name, parameter in training.model.named_parameters():
            stem = name.replace(".", "_")
            key = stem if stem in after else f"layer{stem}"
            np.testing.assert_array_equal(after[key], parameter.data)

    def test_of_a_function_without_state_has_no_file_beside_it(self, tmp_path: Path) -> None:
        step = recorded(lambda x: (x * 2.0).tanh(), tg.tensor([1.0, 2.0]))
        module = loaded(step, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["saved_step.py"]
        assert "load_state" not in module
        x = tg.tensor([3.0, 4.0])
        np.testing.assert_array_equal(module["step"](x.data), step(x).data)

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
    def test_and_checks_labels_of_any_dtype(self, dtype: Any) -> None:
        logits = tg.tensor(np.random.default_rng(0).normal(size=(4, 3)))
        labels = np.array([0, 2, 1, 2], dtype=dtype)
        step = recorded(nn.functional.cross_entropy, logits, tg.tensor(labels))
        assert run_source(step, logits.data, labels) == step(logits, tg.tensor(labels)).item()
        with pytest.raises(IndexError, match="integers from 0 to below 3"):
            run_source(step, logits.data, labels + labels)

    def test_for_scalars_and_gradients_that_pile_up(self, tmp_path: Path) -> None:
        w = tg.scalar(0.5, requires_grad=True)

        def add_up(x: float) -> tg.Tensor:
            loss = (w * x).tanh() * w.exp()
            loss.backward()
            return loss

        step = recorded(add_up, 2.0)
        module = loaded(step, tmp_path)
        state = module["load_state"]()
        for k in range(3):
            assert module["step"](float(k), state) == step(float(k)).item()
            assert state["d_w"] == w.grad.item()

    @settings(max_examples=20, deadline=None)
    @given(
        rounds=st.integers(2, 9),
        body=st.lists(
            st.sampled_from(
                ["tanh", "+x[t]", "+x[-t]", "@w", "*w", "*before", "+=h", "+first", "2*", "*t", "T"]
            ),
            min_size=1,
            max_size=5,
        ),
        ends=st.sampled_from(["last", "all", "stack", "middle", "sum"]),
        optimizer=st.booleans(),
    )
    def test_for_any_loop(self, rounds: int, body: list[str], ends: str, optimizer: bool) -> None:
        w = tg.tensor(np.random.default_rng(0).normal(size=(3, 3)) * 0.5, requires_grad=True)
        w.name = "w"
        sgd = tg.optim.SGD([w], lr=0.1, momentum=0.9)

        def step(x: tg.Tensor) -> Any:
            h, before, states, total = x[0], x[1], [], x[2] * 1.0
            for t in range(rounds):
                old = h
                for part in body:
                    h = {
                        "tanh": lambda h: h.tanh(),
                        "+x[t]": lambda h, t=t: h + x[t],
                        "+x[-t]": lambda h, t=t: h + x[8 - t] * 0.5,
                        "@w": lambda h: h @ w,
                        "*w": lambda h: h * w,
                        "*before": lambda h, before=before: h * before,
                        "+=h": lambda h: h + h[0],
                        "+first": lambda h: h + x[0],
                        "2*": lambda h: h * 0.75,
                        "*t": lambda h, t=t: h * (t + 1.0),
                        "T": lambda h: h.T,
                    }[part](h)
                before = old
                states.append(h)
                total = total + h
            loss = {
                "last": lambda: h.sum() + (w * w).sum(),
                "all": lambda: sum(((s * s).sum() for s in states), (w * w).sum()),
                "stack": lambda: (tg.stack(states) ** 2).sum() + (w * w).sum(),
                "middle": lambda: (states[rounds // 2] * w).sum(),
                "sum": lambda: total.sum() + (w * w).sum(),
            }[ends]()
            sgd.zero_grad()
            loss.backward()
            if optimizer:
                sgd.step()
            return loss, states[rounds // 2], w.grad

        def x(seed: int) -> tg.Tensor:
            return tg.tensor(np.random.default_rng(seed).normal(size=(9, 3, 3)) * 0.3)

        compiled = recorded(step, x(0))
        writer = Writer(compiled._latest.recording, compiled.function)
        state = {key: np.array(one) for key, one in writer.state().items()}
        state = {key: one.item() if key == "steps" else one for key, one in state.items()}
        names: dict[str, Any] = {}
        exec(compile(compiled.source, "<source>", "exec"), names)
        given_state = [state] if "state" in compiled.source.split("def step(")[1][:20] else []
        for seed in (1, 2):
            mine = names["step"](x(seed).data, *given_state)
            theirs = step(x(seed))
            assert_same(mine, [one.data for one in theirs])
            if optimizer:
                np.testing.assert_array_equal(state["w"], w.data)


class Pooled(nn.Module):
    """Kernels of several kinds, twice each, of different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.again = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.up = nn.ConvTranspose1d(8, 3, 4, stride=2)
        self.norm = nn.LayerNorm(3)
        self.dropout = nn.Dropout(0.3)
        self.linear = nn.Linear(3, 10)

    def forward(self, x: tg.Tensor) -> Any:
        h = nn.functional.max_pool2d(self.conv(x.reshape(-1, 1, 5, 8)).tanh(), 2)
        h = nn.functional.max_pool2d(self.again(h), 2, padding=1)
        h = nn.functional.max_pool1d(self.up(h.reshape(x.shape[0], 8, -1)), 3)
        return self.linear(self.dropout(self.norm(h.mean(axis=2))))


class Unrolled(nn.Module):
    """A layer that is called in a loop, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(8 + 12, 12)
        self.twice = nn.Linear(12, 12)
        self.out = nn.Linear(12, 10)

    def forward(self, x: tg.Tensor) -> Any:
        steps = x.reshape(-1, 5, 8)
        h = tg.zeros((x.shape[0], 12))
        states = []
        for t in range(5):
            h = self.cell(tg.concat([steps[:, t], h], axis=1)).tanh()
            states.append(h)
        h = self.twice(self.twice(h).relu()) + states[2]
        return self.out(h)


def plainly(model: nn.Module, optimizers: Any, x: tg.Tensor, y: tg.Tensor) -> Any:
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    for one in optimizers:
        one.step()
        one.zero_grad()
    return loss


def clipped(model: nn.Module, optimizers: Any, x: tg.Tensor, y: tg.Tensor) -> Any:
    logits = model(x)
    loss = nn.functional.cross_entropy(logits, y) * 2 + (logits * logits).mean() * 0.01
    for one in optimizers:
        one.zero_grad()
    loss.backward()
    total = sum((p.grad * p.grad).sum() for p in model.parameters() if p.grad is not None)
    scale = 1 / (1 + total.sqrt())
    for p in model.parameters():
        if p.grad is not None:
            p.grad = p.grad * scale
    for one in optimizers:
        one.step()
    return loss, total


def looking_back(model: nn.Module, optimizers: Any, x: tg.Tensor, y: tg.Tensor) -> Any:
    """The new parameters are read in the same step, and returned."""
    loss = nn.functional.cross_entropy(model(x), y)
    for one in optimizers:
        one.zero_grad()
    loss.backward()
    for one in optimizers:
        one.step()
    first = next(iter(model.parameters()))
    return loss, nn.functional.cross_entropy(model(x), y), first.detach() * 2


def in_groups(model: nn.Module) -> list[Any]:
    own = list(model.parameters())
    groups = [{"params": own[::2]}, {"params": own[1::2], "lr": 0.01}]
    return [tg.optim.AdamW(groups, lr=0.02)]


def two_kinds(model: nn.Module) -> list[Any]:
    own = list(model.parameters())
    sgd = tg.optim.SGD(own[:1], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    return [sgd, tg.optim.Adam(own[1:], lr=0.01)]


class TestTheSourceOfOtherNets:
    @pytest.mark.parametrize("net", [Pooled, Unrolled, *MODELS])
    @pytest.mark.parametrize("optimizers", [in_groups, two_kinds])
    @pytest.mark.parametrize("one_step", [plainly, clipped, looking_back])
    def test_trains_as_the_step_does(
        self, net: Any, optimizers: Any, one_step: Any, tmp_path: Path
    ) -> None:
        tg.seed(1)
        model = make_model(net) if isinstance(net, str) else net()
        ours = optimizers(model)
        step = tg.compile(lambda x, y: one_step(model, ours, x, y))
        for number in range(4):
            step(*batch(number))
        module = loaded(step, tmp_path)
        state = module["load_state"]()
        for number in range(4, 8):
            x, y = batch(number)
            mine, theirs = module["step"](x.data, y.data, state), step(x, y)
            as_tuple = theirs if isinstance(theirs, tuple) else (theirs,)
            assert_same(
                mine if isinstance(mine, tuple) else (mine,), [one.data for one in as_tuple]
            )


def lines_of(source: str, function: str) -> list[str]:
    """Return the lines of a function, without indentation and the comments behind them."""
    within = source.partition(f"def {function}(")[2].partition("\n\n\n")[0]
    return [
        line.strip() if line.strip().startswith("#") else line.partition("  # ")[0].strip()
        for line in within.splitlines()
    ]


def body(source: str) -> str:
    """Return the lines of the function, without what precedes it."""
    return textwrap.dedent(source.partition("def step(")[2].partition("\n")[2]).strip()


class TestTheSourceReadsLikeWrittenByHand:
    def test_of_a_formula(self) -> None:
        x, y, z = (tg.scalar(one, requires_grad=True) for one in (-2.0, 5.0, -4.0))

        def step() -> tg.Tensor:
            q = x + y
            f = q * z
            x.grad = y.grad = z.grad = None
            f.backward()
            return f

        assert body(recorded(step).source) == textwrap.dedent("""\
            x = state["x"]
            y = state["y"]
            z = state["z"]

            # --- forward ---
            # q = x + y
            q = x + y
            # f = q * z
            f = q * z

            # --- backward ---
            # f = q * z
            d_q = z

            state["d_x"] = d_q
            state["d_y"] = d_q
            state["d_z"] = q
            return f""")

    def test_of_a_gradient(self) -> None:
        def f(x: tg.Tensor, w: tg.Tensor) -> tg.Tensor:
            h = (x @ w).tanh()
            return (h * h).sum()

        x, w = tg.tensor(np.ones((4, 3))), tg.tensor(np.ones((3, 2)))
        step = recorded(tg.grad(f, argnums=(0, 1)), x, w)
        assert body(step.source) == textwrap.dedent("""\
            # --- forward ---
            # h = (x @ w).tanh()
            h = np.tanh(x @ w)  # (4, 2)

            # --- backward ---
            # return (h * h).sum()
            d_h = h + h                    # (4, 2)
            # h = (x @ w).tanh()
            d_product = d_h - d_h * h * h  # (4, 2)
            d_x = d_product @ w.T          # (4, 3)
            d_w = x.T @ d_product          # (3, 2)
            return d_x, d_w""")
        assert_same(run_source(step, x.data, w.data), [one.data for one in step(x, w)])

    def test_of_a_net(self) -> None:
        source = recorded(Training("mlp").step, *batch()).source
        for line in (
            "# linear2: hidden = hidden + relu(self.linear2(hidden))",
            "linear2 = linear(hidden, linear2_weight, linear2_bias)",
            "hidden_2 = hidden + relu",
            "check_labels(y, 10)",
            "d_linear2 = np.where(relu > 0, d_hidden_2, 0)",
            "_, d_linear1_weight, d_linear1_bias = linear_backward(d_linear1, x, linear1_weight)",
            "d_hidden = d_hidden_2 + d_hidden_via_linear2",
            "adam(state, gradients, lr, beta1, beta2, eps)",
        ):
            assert line in lines_of(source, "step"), source
        for function, line in (
            ("linear", "return x @ weight.T + bias"),
            ("linear_backward", "d_weight = d_out.T @ x"),
            ("cross_entropy", "loss = (np.log(total) - picked).mean()"),
            ("cross_entropy_backward", "d_columns[labels, samples] -= 1 / 12"),
            ("adam", "new_mean = (d_parameters - exp_avg) * (1 - beta1) + exp_avg"),
            ("adam", "correction = (1 - beta2**steps) ** 0.5"),
        ):
            assert line in lines_of(source, function), source
        assert max(map(len, source.splitlines())) <= 100

    @pytest.mark.parametrize(
        ("model", "most"),
        [("logistic", 25), ("mlp", 50), ("cnn", 60), ("gru", 65), ("dropout", 50)],
    )
    @pytest.mark.parametrize("optimizer", [tg.optim.Adam, tg.optim.SGD])
    def test_has_a_function_for_each_layer_and_a_step_of_a_slide_or_two(
        self, model: str, most: int, optimizer: Any
    ) -> None:
        tree = ast.parse(recorded(Training(model, optimizer).step, *batch()).source)
        functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
        step = functions["step"]
        assert (step.end_lineno or 0) - step.lineno < most
        called = {
            node.func.id
            for node in ast.walk(step)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        update = optimizer.__name__.lower()
        wanted = {"linear", "linear_backward", "cross_entropy", "cross_entropy_backward", update}
        layer = {"cnn": "conv1d", "gru": "gru"}.get(model)
        wanted |= {layer, f"{layer}_backward"} if layer else set()
        assert wanted <= called <= functions.keys()

    @pytest.mark.parametrize("model", [*MODELS, "dropout"])
    def test_calls_nothing_by_a_name_of_python_or_numpy(self, model: str) -> None:
        tree = ast.parse(recorded(Training(model).step, *batch()).source)
        stored = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        stored |= arguments - {"shape", "dtype"}  # of a random generator
        assert stored.isdisjoint({*dir(builtins), *dir(np)}), stored
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert stored.isdisjoint(functions)

    @pytest.mark.parametrize(
        ("function", "name"),
        [
            (lambda x: (x.sum() * x.sum(), x.sum() + 1), "total"),
            (lambda x: (x.max() * x, x.max() + 1), "largest"),
            (lambda x: ((x + 1).reshape(-1) * 2, (x + 1).reshape(-1) + 3), None),
            (lambda x: ((h := x.exp()) * h, h + 1), None),
            (lambda x: ((h := tg.sort(x)) * h, h + 1), None),
        ],
    )
    def test_calls_no_result_as_the_function_that_made_it(self, function: Any, name: Any) -> None:
        x = np.arange(6.0).reshape(2, 3)
        step = recorded(function, tg.tensor(x))
        stored = {
            node.id
            for node in ast.walk(ast.parse(step.source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        assert stored.isdisjoint({*dir(builtins), *dir(np)}), stored
        assert name is None or name in stored, step.source
        assert_same(run_source(step, x), [one.data for one in step(tg.tensor(x))])

    def test_writes_layers_that_differ_in_sizes_as_one_function(self) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first = nn.Conv1d(8, 8, 3, stride=2, padding=1)
                self.second = nn.Conv1d(8, 8, 3, stride=2, padding=1)

            def forward(self, x: tg.Tensor) -> Any:
                return self.second(self.first(x).tanh()).sum()

        tg.seed(0)
        net = Net()
        sgd = tg.optim.SGD(net.parameters(), lr=0.1)

        def step(x: tg.Tensor) -> tg.Tensor:
            loss = net(x)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            return loss

        source = recorded(step, tg.ones((3, 8, 40), dtype="float32")).source
        assert source.count("def conv1d(") == 1, source
        assert "def conv1d_2(" not in source
        assert "x.shape[2]" in source

    def test_gives_a_variable_to_the_last_result_of_its_call(self) -> None:
        tg.seed(0)
        model = nn.Sequential(nn.Linear(4, 40), nn.Tanh(), nn.Linear(40, 40))

        def step(x: tg.Tensor) -> tg.Tensor:
            logits = model(x)
            h = x
            for _ in range(2):
                h = h * x
            mean = (logits * logits).mean()
            return mean + h.sum()

        source = recorded(step, tg.ones((6, 4), dtype="float32")).source
        for line in (
            "layer0 = linear(x, layer0_weight, layer0_bias)",
            "layer1 = np.tanh(layer0)",
            "logits = linear(layer1, layer2_weight, layer2_bias)",
            "average = (logits * logits).mean()",
            "h = x * x",
            "h_2 = h * x",
        ):
            assert line in source, source

    def test_of_a_recurrent_net_has_two_loops(self) -> None:
        source = recorded(Training("gru").step, *batch()).source
        assert "for t in range(40):" in lines_of(source, "gru")
        assert "for t in reversed(range(40)):" in lines_of(source, "gru_backward")
        assert "states[t + 1, :12] = candidate + difference[t] * update[t]" in source
        assert len(source.splitlines()) < 240

    def test_of_what_is_the_same_in_every_round_stands_before_the_loop(self) -> None:
        w = tg.tensor(np.eye(3))

        def f(x: tg.Tensor) -> tg.Tensor:
            h = x
            for _ in range(20):
                h = h * w.exp() + 1.0
            return h

        source = recorded(f, tg.tensor(np.ones((3, 3)))).source
        before, loop, inside = source.partition("for t in range(")
        assert loop
        assert "np.exp(w)" in before
        assert "exp(" not in inside

    def test_of_settings_that_are_not_used_says_nothing(self) -> None:
        source = recorded(Training("logistic").step, *batch()).source
        assert "weight_decay" not in source

    @pytest.mark.parametrize("model", [*MODELS, "dropout"])
    def test_of_every_net_is_clean(self, model: str, tmp_path: Path) -> None:
        beside_python = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        ruff = shutil.which("ruff", path=beside_python)
        if ruff is None:
            pytest.skip("ruff is not installed")
        path = tmp_path / "saved.py"
        recorded(Training(model).step, *batch()).save(path)
        rules = "--select=E,F,W,I"
        done = subprocess.run(
            [ruff, "check", "--isolated", "--line-length=100", rules, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


class TestTheDrawing:
    def test_of_a_net_shows_every_line_in_its_phase(self) -> None:
        step = recorded(Training("mlp").step, *batch())
        svg = step.draw().svg
        texts = " ".join(ElementTree.fromstring(svg).itertext())
        for name in ("linear1_weight", "hidden_2", "d_hidden_2", "new parameters", "100 × 40"):
            assert name in texts
        for phase in ("forward", "backward", "update"):
            assert f'data-key="{phase}"' in svg
        assert step.draw().svg == svg

    def test_has_a_frame_for_a_loop(self) -> None:
        def recurrent(x: tg.Tensor) -> tg.Tensor:
            h = x[0]
            for t in range(20):
                h = (h * 0.5 + x[t]).tanh()
            return h

        step = recorded(recurrent, tg.ones((20, 3)))
        assert "for t in range(20)" in step.draw(direction="TB").dot

    def test_has_a_box_for_each_layer(self) -> None:
        step = recorded(Training("gru").step, *batch())
        texts = " ".join(ElementTree.fromstring(step.draw().svg).itertext())
        for call in ("gru(", "gru_backward(", "cross_entropy(", "linear_backward(", "adam("):
            assert call in texts

    def test_in_another_direction_there_is_none(self) -> None:
        step = recorded(lambda x: x * 2.0, tg.tensor([1.0]))
        with pytest.raises(ArgumentError, match="direction"):
            step.draw(direction="up")
