"""``step.textbook``: the mathematics of a step, line by line, equal up to rounding."""

import ast
import builtins
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tests.test_compile_source_functions import MATRICES, ON_MATRICES, ON_VECTORS, VECTORS
from tests.test_fused import FUSED, cases, gradients
from tinygrad_lab import nn
from tinygrad_lab.engine.op import table
from tinygrad_lab.engine.taught import TAUGHT
from tinygrad_lab.errors import CompileError
from tinygrad_lab.train.models import MODELS, make_model

Step = Callable[..., Any]

GRADIENT_ULPS = 16
"""Gradients differ by this many ulp of their largest number."""
DRIFT = {False: 8, True: 200}
"""How far apart parameters are after ten steps, in ulp of their largest number. Adam divides by the
size of the gradient: rounding of those near 0 counts as much as of others."""
ULP = float(np.finfo(np.float32).eps)

OPTIMIZERS: dict[str, Callable[[Any], tg.optim.Optimizer]] = {
    "sgd": lambda params: tg.optim.SGD(params, lr=0.05),
    "momentum": lambda params: tg.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda params: tg.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda params: tg.optim.Adam(params, lr=0.01),
    "adam with decay": lambda params: tg.optim.Adam(params, lr=0.01, weight_decay=1e-2),
    "adamw": lambda params: tg.optim.AdamW(params, lr=0.01),
}


def batch(seed: int = 0, size: int = 12, width: int = 40) -> tuple[tg.Tensor, tg.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, width)).astype(np.float32)
    return tg.tensor(x), tg.tensor(rng.integers(0, 10, size))


class Training:
    """A model, an optimiser and the usual four-line step."""

    def __init__(self, model: nn.Module, optimizer: str) -> None:
        self.model = model
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def step(self, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        loss = nn.functional.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def parameters(self) -> dict[str, tg.Tensor]:
        """Return the parameters by their keys in the state."""
        keys = {name: name.replace(".", "_") for name, _ in self.model.named_parameters()}
        return {
            keys[name] if name[0].isalpha() else f"layer{keys[name]}": parameter
            for name, parameter in self.model.named_parameters()
        }

    def state(self) -> dict[str, Any]:
        """Return the state before the first step."""
        state: dict[str, Any] = {"steps": 0}
        for key, parameter in self.parameters().items():
            state[key] = parameter.detach().numpy().copy()
            for symbol in self.optimizer.symbols:
                state[f"{symbol}_{key}"] = np.zeros_like(state[key])
        return state


def executed(text: str) -> Step:
    namespace: dict[str, Any] = {}
    exec(compile(text, "<textbook>", "exec"), namespace)
    found: Step = namespace["step"]
    return found


def textbook_of(step: Any, *args: Any) -> str:
    compiled = tg.compile(step)
    for _ in range(2):
        compiled(*args)
    text: str = compiled.textbook
    return text


def trained(name: str, optimizer: str) -> Training:
    tg.seed(0)
    return Training(make_model(name), optimizer)


def furthest(one: Any, other: Any) -> float:
    """Return the largest difference, in units of float32's eps times the largest number."""
    scale = max(float(np.abs(other).max()), 1e-30)
    return float(np.abs(one - other).max()) / scale / ULP


def check_ten_steps(make: Callable[[], Training], batches: list[Any], ulps: float) -> float:
    """Train on eagerly, and by the text alone; return how far apart they ever are."""
    eager, taught = make(), make()
    state = taught.state()
    step = executed(textbook_of(make().step, *batches[0]))
    apart = 0.0
    for x, y in batches:
        loss = step(x.numpy(), y.numpy(), state)
        expected = eager.step(x, y)
        assert loss.dtype == expected.dtype
        apart = max(apart, furthest(loss, expected.detach().numpy()))
        for key, parameter in eager.parameters().items():
            assert state[key].dtype == parameter.dtype
            assert state[key].shape == parameter.shape
            apart = max(apart, furthest(state[key], parameter.detach().numpy()))
    assert apart <= ulps
    return apart


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        (name, optimizer)
        for name in MODELS
        for optimizer in (("sgd", "adam") if name == "gru" else OPTIMIZERS)
    ],
)
def test_the_text_trains_the_four_nets_on_its_own(name: str, optimizer: str) -> None:
    batches = [batch(seed) for seed in range(10)]
    check_ten_steps(lambda: trained(name, optimizer), batches, DRIFT[optimizer.startswith("adam")])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_differ_by_a_few_ulp(name: str, optimizer: str) -> None:
    x, y = batch()
    eager = trained(name, optimizer)
    state = eager.state()
    state["d"] = None
    text = textbook_of(trained(name, optimizer).step, x, y)
    gradients = dict(gradients_of(executed_with_gradients(text), x, y, state))
    eager.step(x, y)
    for key, parameter in eager.parameters().items():
        assert parameter.grad is not None
        assert furthest(gradients[key], parameter.grad.numpy()) <= GRADIENT_ULPS


def executed_with_gradients(text: str) -> Step:
    """Let the step return its local variables."""
    namespace: dict[str, Any] = {}
    exec(text.replace("    return loss\n", "    return locals()\n"), namespace)
    found: Step = namespace["step"]
    return found


def gradients_of(
    step: Step, x: tg.Tensor, y: tg.Tensor, state: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield the gradients of the parameters by their keys."""
    before = dict(state)
    found = step(x.numpy(), y.numpy(), state)
    for name, held in found.items():
        for key, parameter in before.items():
            if held is parameter and f"d_{name}" in found:
                yield key, found[f"d_{name}"]


# --- what is in the text --------------------------------------------------------------------------


def names_in(tree: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}


def assignments(text: str) -> list[tuple[str, ast.expr]]:
    """Return what is assigned to which target, as it is written."""
    found = []
    for one in ast.walk(ast.parse(text)):
        if isinstance(one, ast.Assign):
            target, value = one.targets[0], one.value
            together = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=True) if together else [(target, value)]
            found += [(ast.unparse(name), its) for name, its in pairs]
        elif isinstance(one, ast.AugAssign):
            found.append((ast.unparse(one.target), one.value))
    return found


def is_transpose(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Attribute) and tree.attr == "T"


def products(tree: ast.expr) -> list[ast.BinOp]:
    return [
        one
        for one in ast.walk(tree)
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.MatMult)
    ]


def calls(tree: ast.expr, name: str) -> list[ast.Call]:
    return [
        one
        for one in ast.walk(tree)
        if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] == name
    ]


def loops_over_parameters(text: str) -> list[ast.For]:
    found = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.For)]
    return [one for one in found if ast.unparse(one.iter).endswith(".items()")]


@pytest.fixture(scope="module", params=MODELS)
def text(request: pytest.FixtureRequest) -> str:
    return textbook_of(trained(request.param, "adam").step, *batch())


@pytest.fixture(scope="module")
def mlp() -> str:
    return textbook_of(trained("mlp", "sgd").step, *batch())


class TestIdeas:
    """Each idea of backpropagation is an assignment of its own."""

    def test_softmax_minus_onehot_over_n(self, text: str) -> None:
        found = dict(assignments(text))
        gradient = found["d_logits"]
        assert ast.unparse(gradient) == "(softmax - onehot) / 12"
        assert ast.unparse(found["onehot"]) == "np.eye(10, dtype=np.float32)[y]"
        assert isinstance(found["softmax"], ast.BinOp)
        assert isinstance(found["softmax"].op, ast.Div)

    def test_forward_x_times_w_transposed_plus_b(self, text: str) -> None:
        found = dict(assignments(text))["logits"]
        assert isinstance(found, ast.BinOp)
        assert isinstance(found.op, ast.Add)
        (product,) = products(found)
        assert is_transpose(product.right)

    def test_the_gradient_of_a_weight_is_g_transposed_times_x(self, text: str) -> None:
        parameters = {name for name, _ in assignments(text) if name.startswith("W")}
        for weight in parameters:
            gradients = [value for name, value in assignments(text) if name == f"d_{weight}"]
            assert gradients
            last = gradients[-1]
            if calls(last, "einsum"):
                assert ast.unparse(last).startswith("np.einsum('nol,nclk->ock', d_z")
                continue
            (product,) = products(last)
            assert is_transpose(product.left)
            assert not is_transpose(product.right)

    def test_the_gradient_of_x_is_g_times_w(self, text: str) -> None:
        weights = {name for name, _ in assignments(text) if name.startswith("W")}
        found = [
            one
            for name, value in assignments(text)
            if name.startswith("d_")
            for one in products(value)
            if ast.unparse(one.right) in weights
        ]
        is_one_layer = len(weights) == 1
        assert bool(found) is not is_one_layer

    def test_the_gradient_of_a_bias_is_a_sum_over_the_batch(self, text: str) -> None:
        biases = {name for name, _ in assignments(text) if name.startswith("b")}
        for bias in biases:
            last = [value for name, value in assignments(text) if name == f"d_{bias}"][-1]
            (total,) = calls(last, "sum")
            (axis,) = [one.value for one in total.keywords if one.arg == "axis"]
            axes = ast.literal_eval(axis)
            assert axes == 0 or 0 in axes

    def test_the_mask_of_relu(self, mlp: str) -> None:
        masks = [
            (name, ast.unparse(value))
            for name, value in assignments(mlp)
            if any(isinstance(one, ast.Compare) for one in ast.walk(value))
        ]
        assert masks == [("d_z2", "d_hidden_2 * (z2 > 0)"), ("d_z1", "d_hidden * (z1 > 0)")]

    def test_the_update_of_sgd(self, mlp: str) -> None:
        found = dict(assignments(mlp))
        for layer in (1, 2, 3):
            update = ast.unparse(found[f"state['linear{layer}_weight']"])
            assert update == f"W{layer} - lr * d_W{layer}"

    def test_the_update_of_adam_is_that_of_the_paper(self, text: str) -> None:
        (loop,) = loops_over_parameters(text)
        found = {name: ast.unparse(value) for name, value in assignments(ast.unparse(loop))}
        assert found["m"] == "beta1 * state[f'm_{name}'] + (1 - beta1) * g"
        assert found["v"] == "beta2 * state[f'v_{name}'] + (1 - beta2) * g ** 2"
        assert found["m_hat"] == "m / (1 - beta1 ** steps)"
        assert found["state[name]"] == "state[name] - lr * m_hat / (np.sqrt(v_hat) + eps)"

    def test_all_parameters_are_updated_in_one_loop(self, text: str) -> None:
        pairs = dict(assignments(text))["gradients"]
        assert isinstance(pairs, ast.Dict)
        parameters = [name for name, _ in assignments(text) if name[0] in "Wb"]
        assert [ast.unparse(one) for one in pairs.values] == [f"d_{name}" for name in parameters]

    def test_parameters_with_other_settings_have_a_loop_of_their_own(self) -> None:
        tg.seed(0)
        layers = [nn.Linear(40, 6), nn.Linear(6, 6), nn.Linear(6, 10)]
        training = Training(nn.Sequential(*layers), "momentum")
        one, two, three = ([*layer.parameters()] for layer in layers)
        groups = [{"params": one}, {"params": [*two, *three], "momentum": 0.5}]
        training.optimizer = tg.optim.SGD(groups, lr=0.05, momentum=0.9)
        text = textbook_of(training.step, *batch())
        assert len(loops_over_parameters(text)) == 2

    def test_convolutions_are_windows_and_a_product(self) -> None:
        cnn = textbook_of(trained("cnn", "sgd").step, *batch())
        for layer in (1, 2, 3):
            value = dict(assignments(cnn))[f"z{layer}"]
            assert isinstance(value, ast.BinOp)
            assert calls(value.left, "einsum")
            assert ast.unparse(value.right) == f"b{layer}[:, None]"

    def test_a_gru_is_a_loop_forward_and_a_loop_back(self) -> None:
        gru = textbook_of(trained("gru", "sgd").step, *batch())
        loops = [one for one in ast.walk(ast.parse(gru)) if isinstance(one, ast.For)]
        assert [ast.unparse(one.iter) for one in loops] == [
            "range(40)",
            "reversed(range(40))",
            "reversed(range(40))",
            "range(40)",
        ]
        forward = ast.unparse(loops[0])
        assert "h[:, t + 1] = (1 - z[:, t]) * n[:, t] + z[:, t] * h[:, t]" in forward
        assert "d_W_hh_l0 += d_from_h.T @ h[:, t]" in ast.unparse(loops[2])


class TestManners:
    def test_no_name_is_that_of_a_builtin_or_of_numpy(self, text: str) -> None:
        made = {
            one.id
            for one in ast.walk(ast.parse(text))
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
        }
        assert made
        assert [name for name in made if hasattr(np, name) or hasattr(builtins, name)] == []

    def test_the_user_s_lines_are_comments(self, text: str) -> None:
        assert "# loss = nn.functional.cross_entropy(self.model(x), y)" in text
        assert ": self.optimizer.step()" in text or "# self.optimizer.step()" in text

    def test_shapes_are_comments(self, text: str) -> None:
        for line in text.splitlines():
            if line.strip().startswith(("d_W", "logits =", "W")):
                assert "# (" in line or "+=" in line

    def test_labels_are_checked_before_the_mathematics(self, text: str) -> None:
        assert text.index("check_labels(") < text.index("# --- forward ---")

    def test_lines_are_short(self, text: str) -> None:
        assert max(map(len, text.splitlines())) <= 100
        assert len(text.splitlines()) < 140


# --- other steps ----------------------------------------------------------------------------------


class TestWhatItLeavesAlone:
    def test_everything_that_the_step_changes_is_put_back(self) -> None:
        def build() -> tuple[Training, Any]:
            tg.seed(3)
            parts = (nn.Linear(40, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
            training = Training(nn.Sequential(*parts, nn.Linear(8, 10)), "adam")
            return training, tg.compile(training.step)

        (one, asked), (other, not_asked) = build(), build()
        for seed in range(6):
            tg.seed(seed)
            first = asked(*batch(seed))
            assert seed < 2 or asked.textbook.startswith('"""One call of step')
            following = tg.random.normal((3,))
            tg.seed(seed)
            second = not_asked(*batch(seed))
            assert first.tolist() == second.tolist()
            assert following.tolist() == tg.random.normal((3,)).tolist()
        for mine, theirs in zip(one.model.parameters(), other.model.parameters(), strict=True):
            assert mine.tolist() == theirs.tolist()
            assert mine.grad is not None
            assert theirs.grad is not None
            assert mine.grad.tolist() == theirs.grad.tolist()
        assert_same_state(one.optimizer.state_dict(), other.optimizer.state_dict())

    def test_the_step_goes_on_to_be_replayed(self) -> None:
        training = trained("mlp", "adam")
        compiled = tg.compile(training.step)
        for seed in range(3):
            compiled(*batch(seed))
        before = compiled.explain_miss()
        assert compiled.textbook == compiled.textbook
        compiled(*batch(4))
        assert compiled.explain_miss() == before

    def test_before_two_calls_it_says_what_to_do(self) -> None:
        step = tg.compile(lambda x: x * 2.0)
        step(tg.ones(2))
        with pytest.raises(CompileError, match="call it twice"):
            assert step.textbook


def assert_same_state(one: Any, other: Any) -> None:
    assert one["param_groups"] == other["param_groups"]
    assert one["state"].keys() == other["state"].keys()
    for number, state in one["state"].items():
        for name, held in state.items():
            assert np.array_equal(held, other["state"][number][name])


class TestForms:
    """The textbook form of every fused op is the op, forward and backward."""

    @pytest.mark.parametrize("op", FUSED)
    @given(data=st.data())
    @settings(deadline=None, max_examples=15)
    def test_gradients_are_those_of_the_kernel(self, op: str, data: st.DataObject) -> None:
        case = data.draw(cases(op))
        needed = data.draw(
            st.lists(st.booleans(), min_size=len(case.inputs), max_size=len(case.inputs))
        )
        g = case.cotangent()
        expected, wanted = gradients(case, g, needed=needed)
        found, own = gradients(case, g, composing=TAUGHT, needed=needed)  # type: ignore[arg-type]
        np.testing.assert_allclose(
            np.asarray(found.detach()), np.asarray(expected.detach()), 1e-10, 1e-12
        )
        for one, other in zip(own, wanted, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, 1e-9, 1e-11)

    def test_every_op_with_a_composite_has_one(self) -> None:
        assert {op.name for op in table.values() if op.composite is not None} == set(FUSED)
        for op in table.values():
            if op.composite is not None:
                assert op.composite.__code__.co_filename.endswith("taught.py")


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(12, 12),
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "layer norm": lambda: nn.LayerNorm(12),
    "conv1d": lambda: _Signals(nn.Conv1d(1, 1, 3, padding=1)),
    "dilated": lambda: _Signals(nn.Conv1d(1, 1, 3, padding=2, dilation=2)),
    "grouped": lambda: _Signals(nn.Conv1d(2, 4, 3, padding=1, groups=2), channels=2),
    "max pool": lambda: _Signals(nn.MaxPool1d(3, stride=1, padding=1)),
    "avg pool": lambda: _Signals(nn.AvgPool1d(3, stride=1, padding=1)),
    "gru": lambda: _Steps(nn.GRU(3, 3, batch_first=True)),
}


class _Signals(nn.Module):
    def __init__(self, inner: nn.Module, channels: int = 1) -> None:
        super().__init__()
        self.inner = inner
        self.channels = channels

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        out: tg.Tensor = self.inner(x.reshape(x.shape[0], self.channels, -1))
        return out.reshape(x.shape[0], -1)[:, :12]


class _Steps(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        states, _ = self.inner(x.reshape(x.shape[0], 4, 3))
        return states.reshape(x.shape[0], -1)


@given(
    kinds=st.lists(st.sampled_from(list(LAYERS)), max_size=4),
    # Adam makes steps of one size out of gradients that are 0 up to rounding, as before a norm.
    optimizer=st.sampled_from(["sgd", "momentum", "nesterov"]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=8)
def test_random_nets(kinds: list[str], optimizer: str, seed: int) -> None:
    def make() -> Training:
        tg.seed(seed)
        inner = [LAYERS[kind]() for kind in kinds]
        return Training(nn.Sequential(nn.Linear(6, 12), *inner, nn.Linear(12, 10)), optimizer)

    check_ten_steps(make, [batch(n, 7, 6) for n in range(3)], DRIFT[False])


@pytest.mark.parametrize("name", ON_VECTORS)
def test_functions_of_a_vector(name: str) -> None:
    function = ON_VECTORS[name]
    compiled = tg.compile(function)
    for numbers in VECTORS[:2]:
        compiled(tg.tensor(numbers))
    check_values(compiled, function, VECTORS)


@pytest.mark.parametrize("name", ON_MATRICES)
def test_functions_of_a_matrix(name: str) -> None:
    function = ON_MATRICES[name]
    compiled = tg.compile(function)
    for numbers in MATRICES[:2]:
        compiled(tg.tensor(numbers))
    check_values(compiled, function, MATRICES)


def check_values(compiled: Any, function: Any, inputs: list[Any]) -> None:
    written = executed(compiled.textbook)
    for numbers in inputs:
        x = tg.tensor(numbers)
        state: dict[str, Any] = {}
        takes = written.__code__.co_varnames[: written.__code__.co_argcount]
        given = [x.numpy(), *([state] if "state" in takes else [])]
        with np.errstate(all="ignore"):
            expected, found = function(x), written(*given)
        pairs = zip(
            expected if isinstance(expected, tuple) else (expected,),
            found if isinstance(found, tuple) else (found,),
            strict=True,
        )
        for one, other in pairs:
            one = np.asarray(one.detach())
            assert (one.shape, one.dtype) == (np.shape(other), np.asarray(other).dtype)
            np.testing.assert_allclose(other, one, 1e-5, 1e-6)
