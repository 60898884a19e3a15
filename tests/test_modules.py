"""The interface of modules as PyTorch has it: parts, state, hooks, text, containers."""

import copy
import pickle
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    DTypeError,
    IndexingError,
    MissingAttributeError,
    ShapeError,
    StateDictError,
    UnknownNameError,
)


@pytest.fixture
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def block(lib: Any, inner: int = 3) -> Any:
    """A net of either library, with shared parts and nested containers."""
    shared = lib.Linear(inner, inner)
    net = lib.Sequential(
        shared,
        lib.ModuleDict({"a": lib.ReLU(), "b": lib.ModuleList([lib.Tanh(), lib.Tanh(), shared])}),
        lib.Identity(),
    )
    net.register_parameter("extra", None)
    return net


def made(lib: Any, tensor: Callable[[Any], Any]) -> Any:
    net = block(lib)
    net.register_buffer("mean", tensor([1.0, 2.0]))
    net.register_buffer("scratch", tensor([3.0]), persistent=False)
    net[1].register_parameter("gain", lib.Parameter(tensor([1.0])))
    return net


def x_of(*shape: int, grad: bool = True) -> tg.Tensor:
    numbers = np.random.default_rng(0).normal(size=shape)
    return tg.tensor(numbers, requires_grad=grad)


class TestParts:
    @pytest.mark.parametrize("prefix", ["", "net"])
    @pytest.mark.parametrize("once", [True, False])
    @pytest.mark.parametrize("recurse", [True, False])
    def test_are_listed_as_pytorch_lists_them(
        self, torch: Any, prefix: str, once: bool, recurse: bool
    ) -> None:
        ours, theirs = made(nn, tg.tensor), made(torch.nn, torch.tensor)
        settings = {"prefix": prefix, "remove_duplicate": once, "recurse": recurse}
        for method in ("named_parameters", "named_buffers"):
            found, expected = (getattr(net, method)(**settings) for net in (ours, theirs))
            assert [name for name, _ in found] == [name for name, _ in expected]
        del settings["recurse"]
        found, expected = (net.named_modules(**settings) for net in (ours, theirs))
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [n for n, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]
        assert len(list(ours.parameters(recurse=recurse))) == len(
            list(theirs.parameters(recurse=recurse))
        )
        assert list(ours.state_dict(prefix="x.")) == list(theirs.state_dict(prefix="x."))

    def test_are_found_by_their_paths(self) -> None:
        net = made(nn, tg.tensor)
        assert net.get_submodule("") is net
        assert net.get_submodule("1.b.2") is net[0]
        assert net.get_parameter("1.b.2.weight") is net[0].weight
        assert net.get_buffer("mean") is net.mean
        for call, says in (
            (lambda: net.get_submodule("1.c"), r"no module at '1\.c'.*Its modules: a, b"),
            (lambda: net.get_parameter("0.mean"), r"there are \['weight', 'bias'\]"),
            (lambda: net.get_buffer("0.mean"), "there is none"),
        ):
            with pytest.raises(MissingAttributeError, match=says):
                call()

    @pytest.mark.parametrize("method", ["register_buffer", "register_parameter", "add_module"])
    def test_have_names_of_their_own(self, method: str) -> None:
        net = nn.Linear(2, 1)
        values = {"register_buffer": tg.tensor([1.0]), "register_parameter": nn.Parameter([1.0])}
        value = values.get(method, nn.ReLU())
        for name in ("", "a.b", "forward", "in_features"):
            with pytest.raises(ArgumentError, match=method):
                getattr(net, method)(name, value)
        with pytest.raises(ArgumentTypeError, match="takes a name, got int"):
            getattr(net, method)(3, value)
        with pytest.raises(ArgumentTypeError, match="or None, got list"):
            getattr(net, method)("new", [1.0])
        getattr(net, method)("new", value)
        assert net.new is value
        getattr(net, method)("none", None)
        assert net.none is None

    def test_of_a_module_that_was_not_initialised_are_refused(self) -> None:
        class Hasty(nn.Module):
            def __init__(self) -> None:
                self.layer = nn.Linear(1, 1)
                super().__init__()

        with pytest.raises(MissingAttributeError, match=r"super\(\).__init__\(\) first in Hasty"):
            Hasty()

    def test_that_are_not_there_are_named(self) -> None:
        with pytest.raises(AttributeError, match="Linear has no attribute 'wieght'"):
            _ = nn.Linear(1, 1).wieght
        assert not hasattr(nn.Linear(1, 1), "wieght")

    def test_are_visited_from_the_inside_out(self) -> None:
        net, seen = block(nn), list[str]()
        assert net.apply(lambda module: seen.append(type(module).__name__)) is net
        assert seen[-1] == "Sequential"
        assert seen.index("Tanh") < seen.index("ModuleList") < seen.index("ModuleDict")


class TestState:
    def test_says_what_did_not_fit(self) -> None:
        net, state = nn.Linear(2, 1), {"weight": np.ones((1, 2)), "other": np.ones(1)}
        found = net.load_state_dict(state, strict=False)
        assert found.missing_keys == ["bias"]
        assert found.unexpected_keys == ["other"]
        assert net.weight.tolist() == [[1.0, 1.0]]
        assert repr(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"
        with pytest.raises(StateDictError, match=r"missing: bias\n.*not in this module: other"):
            net.load_state_dict(state)
        with pytest.raises(StateDictError, match=r"weight: expected shape \(1, 2\), got \(2,\)"):
            net.load_state_dict({"weight": np.ones(2)}, strict=False)
        with pytest.raises(ArgumentTypeError, match="assign=True would replace"):
            net.load_state_dict(net.state_dict(), assign=True)

    def test_holds_the_parameters_themselves_where_asked(self) -> None:
        net, known = nn.Linear(2, 1), {"first": tg.tensor([1.0])}
        assert net.state_dict(keep_vars=True)["weight"] is net.weight
        assert net.state_dict(destination=known, prefix="net.") is known
        assert list(known) == ["first", "net.weight", "net.bias"]

    def test_is_cast_by_name(self) -> None:
        net = made(nn, tg.tensor)
        for cast, dtype in (("double", "float64"), ("half", "float16"), ("float", "float32")):
            assert getattr(net, cast)() is net
            assert {str(p.dtype) for p in (*net.parameters(), *net.buffers())} == {dtype}
        assert net.type(tg.float64).to(tg.tensor([1.0])).mean.dtype == tg.float32
        assert net.to("cpu", tg.float64).cpu().mean.dtype == tg.float64
        assert net.to(dtype=tg.float32).mean.dtype == tg.float32
        with pytest.raises(DTypeError, match="no bfloat16"):
            net.bfloat16()
        with pytest.raises(ArgumentTypeError, match="a device, a dtype or both"):
            net.to()
        for dtype in (tg.int64, "int32", tg.complex64):
            with pytest.raises(DTypeError, match=r"to\(\) takes a floating dtype, got"):
                net.to("cpu", dtype)
        assert net.mean.dtype == tg.float32

    @pytest.mark.filterwarnings("error")
    def test_is_taken_from_pytorch_without_a_word(self, torch: Any) -> None:
        theirs = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        ours = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        ours.load_state_dict(theirs.state_dict())
        for name, weight in theirs.state_dict().items():
            assert np.array_equal(ours.state_dict()[name], weight.numpy()), name

    def test_goes_to_a_gpu_or_says_why_not(self) -> None:
        net = nn.Linear(2, 1)
        if "cuda" in tg.devices():
            assert net.cuda().weight.device == "cuda"
        else:
            for move in (net.cuda, lambda: net.cuda(0), lambda: net.to("cuda")):
                with pytest.raises((DeviceError, ImportError), match=r"(?i)cuda|cupy"):
                    move()

    def test_has_gradients_that_can_be_set_to_zero(self) -> None:
        net = nn.Linear(2, 1)
        net.zero_grad(set_to_none=False)
        assert net.weight.grad is None
        net(tg.ones((1, 2))).sum().backward()
        net.zero_grad(set_to_none=False)
        assert net.weight.grad is not None
        assert net.weight.grad.tolist() == [[0.0, 0.0]]
        with pytest.raises(ArgumentTypeError, match="True or False"):
            net.train("yes")  # type: ignore[arg-type]


class TestHooks:
    def test_before_and_after_see_and_replace(self) -> None:
        net, x, seen = nn.Linear(3, 2).double(), x_of(4, 3), []
        expected = net(x * 2.0) + 1.0
        before = net.register_forward_pre_hook(lambda m, args: args[0] * 2.0)
        after = net.register_forward_hook(lambda m, args, out: out + 1.0)
        first = net.register_forward_pre_hook(lambda m, args: seen.append(args), prepend=True)
        out = net(x)
        assert out.tolist() == expected.tolist()
        assert seen[0][0] is x
        for handle in (before, after, first):
            handle.remove()
            handle.remove()
        assert net(x).tolist() == nn.Module.__call__(net, x).tolist()
        assert len(seen) == 1

    def test_may_see_keywords(self) -> None:
        class Scaled(nn.Module):
            def forward(self, x: Any, *, by: float) -> Any:
                return x * by

        net, seen = Scaled(), []
        with net.register_forward_pre_hook(
            lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
        ):
            net.register_forward_hook(
                lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True
            )
            assert net(tg.scalar(2.0), by=3).item() == 8.0
        assert net(tg.scalar(2.0), by=3).item() == 6.0
        assert seen == [{"by": 4}, {"by": 3}]
        net.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
        with pytest.raises(ArgumentTypeError, match=r"returns None or a tuple \(args, kwargs\)"):
            net(tg.scalar(2.0), by=3)

    def test_are_called_where_forward_raises_if_they_ask_to(self) -> None:
        net, seen = nn.Linear(3, 2), []
        net.register_forward_hook(lambda m, args, out: seen.append(out))
        net.register_forward_hook(lambda m, args, out: seen.append("always"), always_call=True)
        with pytest.raises(ShapeError):
            net(tg.ones((1, 2)))
        assert seen == ["always"]

    @pytest.mark.parametrize("replaced", [False, True])
    def test_on_the_way_back_see_what_pytorchs_see(self, torch: Any, replaced: bool) -> None:
        found = []
        for lib, tensor in ((nn, tg.tensor), (torch.nn, torch.tensor)):
            layer = lib.Bilinear(3, 2, 4)
            for parameter in layer.parameters():
                parameter.data = tensor(np.full(tuple(parameter.shape), 0.5))
            layer.double()
            a, b = (np.random.default_rng(s).normal(size=(2, n)) for s, n in ((0, 3), (1, 2)))
            first = tensor(a, requires_grad=True)
            second = tensor(b, requires_grad=True)
            seen: list[Any] = []

            def show(m: Any, into: Any, out: Any, seen: Any = seen) -> Any:
                seen += [one.tolist() for one in (*into, *out)]
                return tuple(3.0 * one for one in into) if replaced else None

            layer.register_full_backward_hook(show)
            layer.register_full_backward_pre_hook(
                lambda m, out: tuple(2.0 * one for one in out) if replaced else None
            )
            (layer(first, second) ** 2).sum().backward()
            found.append([*seen, first.grad.tolist(), second.grad.tolist()])
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)

    @pytest.mark.filterwarnings("ignore:Full backward hook")
    def test_on_the_way_back_see_nothing_where_nothing_goes_in(self, torch: Any) -> None:
        seen: list[Any] = []
        for lib, x in ((nn, tg.ones((1, 2))), (torch.nn, torch.ones((1, 2)))):
            layer = lib.Linear(2, 1)
            layer.register_full_backward_hook(lambda m, into, out: seen.append((into, out[0])))
            layer(x).sum().backward()
        assert [into for into, _ in seen] == [(None,), (None,)]
        assert [out.tolist() for _, out in seen] == [[[1.0]], [[1.0]]]

    def test_on_the_way_back_are_differentiated_again(self) -> None:
        layer, x = nn.Tanh(), x_of(3)
        layer.register_full_backward_hook(lambda m, into, out: (into[0] * 2.0,))
        (first,) = tg.autograd.grad(layer(x).sum(), [x], create_graph=True)
        (second,) = tg.autograd.grad(first.sum(), [x])
        t = np.tanh(x.detach().numpy())
        np.testing.assert_allclose(first.detach().numpy(), 2 * (1 - t**2), rtol=1e-12)
        # That of tanh'(x) goes through the hook again.
        np.testing.assert_allclose(second.detach().numpy(), 2 * -4 * t * (1 - t**2), rtol=1e-12)

    def test_that_return_what_does_not_fit_are_told(self) -> None:
        for result, says in (((1, 2), "2 gradients in place of 1"), (tg.ones((7,)), "of shape")):
            layer, x = nn.Tanh(), x_of(3)
            layer.register_full_backward_hook(lambda m, into, out, result=result: result)
            with pytest.raises((ArgumentTypeError, ShapeError), match=says):
                layer(x).sum().backward()
        with pytest.raises(ArgumentTypeError, match="register_full_backward_hook"):
            nn.Tanh().register_backward_hook(print)
        with pytest.raises(ArgumentTypeError, match="is a function, got int"):
            nn.Tanh().register_forward_hook(3)  # type: ignore[arg-type]

    def test_come_and_go_in_compiled_steps(self) -> None:
        def history(compiled: bool) -> list[Any]:
            tg.seed(0)
            net, factor = nn.Sequential(nn.Linear(3, 3), nn.Tanh()).double(), {"by": 3.0}
            optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

            def step(x: Any) -> Any:
                loss = (net(x) ** 2).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return loss

            run, found = tg.compile(step) if compiled else step, []
            handle: Any = None
            for call in range(12):
                if call == 3:
                    handle = net[0].register_forward_hook(lambda m, a, out: out * factor["by"])
                if call == 5:
                    factor["by"] = 0.5
                if call == 7:
                    handle.remove()
                    handle = net[1].register_full_backward_hook(
                        lambda m, into, out: (into[0] * factor["by"],)
                    )
                if call == 9:
                    factor["by"] = 2.0
                if call == 10:
                    handle.remove()
                found.append(run(x_of(2, 3, grad=False)).item())
            return found

        np.testing.assert_allclose(history(True), history(False), rtol=1e-12)

    def test_stay_with_copies(self) -> None:
        net = nn.Tanh()
        net.register_forward_hook(_doubled)
        for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert other(tg.scalar(1.0)).item() == pytest.approx(2 * np.tanh(1))

    @pytest.mark.numpy_only("fused ops run as their composites there")
    def test_are_seen_in_the_graph(self) -> None:
        layer, x = nn.Tanh(), x_of(3)
        layer.register_full_backward_hook(lambda m, into, out: None)
        ops = [node.op_name for node in tg.graph(layer(x).sum()) if not node.is_leaf]
        assert ops == ["module_hooks", "output", "tanh", "module_hooks", "output", "sum"]
        assert "hooks" in tg.draw(layer(x).sum()).svg


def _doubled(module: Any, args: Any, out: Any) -> Any:
    return out * 2.0


class TestText:
    def test_is_pytorchs_line_by_line(self, torch: Any) -> None:
        for make in (block, lambda lib: lib.ModuleList([lib.Tanh()] * 3), lambda lib: lib.Module()):
            assert repr(make(nn)) == repr(make(torch.nn))

    def test_says_where_a_layer_has_no_bias(self) -> None:
        for layer in (nn.LayerNorm(4, bias=False), nn.GroupNorm(2, 4, bias=False)):
            assert repr(layer).endswith("affine=True, bias=False)")
        assert "bias" not in repr(nn.GroupNorm(2, 4, affine=False))

    def test_of_several_lines_is_indented(self) -> None:
        class Wide(nn.Module):
            def extra_repr(self) -> str:
                return "a=1\nb=2"

        assert repr(nn.Sequential(Wide())) == (
            "Sequential(\n  (0): Wide(\n    a=1\n    b=2\n  )\n)"
        )


class TestLists:
    @pytest.mark.parametrize("kind", ["Sequential", "ModuleList", "ParameterList"])
    def test_do_what_those_of_pytorch_do(self, torch: Any, kind: str) -> None:
        found = []
        for lib, tensor in ((nn, tg.tensor), (torch.nn, torch.tensor)):
            parts = [lib.Linear(n, n) for n in (1, 2, 3, 4, 5)]
            if kind == "ParameterList":
                parts = [lib.Parameter(tensor([float(n)])) for n in (1, 2, 3, 4, 5)]
            a, b, c, d, e = parts
            box = getattr(lib, kind)(*[a, b] if kind == "Sequential" else [[a, b]])
            rows = []

            def note(
                box: Any = box, rows: Any = rows, parts: Any = parts, named: bool = True
            ) -> None:
                rows.append(
                    [next(i for i, p in enumerate(parts) if p is one) for one in box]
                    + [sorted(box.state_dict()) if named else [], len(box)]
                )

            note()
            box.append(c)
            box.extend([d])
            note()
            box[1] = e
            note()
            # A slice of Sequential keeps the numbers in PyTorch, and counts from 0 here.
            note(box[1:3], named=False)
            if kind != "ParameterList":
                box.insert(1, b)
                note()
                del box[0]
                note()
                del box[1:3]
                note()
                assert box.pop(0) is b
                note()
                note(box + type(box)(*[a] if kind == "Sequential" else [[a]]))
                box += getattr(lib, kind)(*[c] if kind == "Sequential" else [[c]])
                note()
            found.append(rows)
        assert found[0] == found[1]

    def test_of_names_and_modules(self, torch: Any) -> None:
        from collections import OrderedDict

        ours, theirs = (
            lib.Sequential(OrderedDict(first=lib.Linear(1, 2), act=lib.ReLU()))
            for lib in (nn, torch.nn)
        )
        assert repr(ours) == repr(theirs)
        assert ours.first is ours[0]
        del ours[1]
        assert [name for name, _ in ours.named_children()] == ["first"]

    def test_of_parameters_take_tensors(self) -> None:
        box = nn.ParameterList([tg.tensor([1.0])])
        assert isinstance(box[0], nn.Parameter)
        assert repr(box) == ("ParameterList(\n  (0): Parameter containing: [float32 of size 1]\n)")
        with pytest.raises(ArgumentTypeError, match=r"holds parameters, got float"):
            box.append(3.0)
        with pytest.raises(IndexingError, match="holds 1 parameters; there is no index 1"):
            box[1]
        with pytest.raises(ArgumentTypeError, match="indexed by integers and slices, got str"):
            box["0"]  # type: ignore[index]


class TestDicts:
    @pytest.mark.parametrize("kind", ["ModuleDict", "ParameterDict"])
    def test_do_what_those_of_pytorch_do(self, torch: Any, kind: str) -> None:
        found = []
        for lib, tensor in ((nn, tg.tensor), (torch.nn, torch.tensor)):
            make = lib.ReLU if kind == "ModuleDict" else lambda: lib.Parameter(tensor([1.0]))  # noqa: B023
            box = getattr(lib, kind)({"a": make(), "b": make()})
            box["c"] = make()
            box.update([("d", make()), ("a", make())])
            rows = [list(box), list(box.keys()), [k for k, _ in box.items()], len(box), "b" in box]
            box.pop("b")
            del box["a"]
            rows += [list(box), len(list(box.values())), list(box.state_dict())]
            box.clear()
            found.append([*rows, len(box)])
        assert found[0] == found[1]

    def test_explain(self) -> None:
        box = nn.ModuleDict({"a": nn.ReLU()})
        with pytest.raises(UnknownNameError, match="has no 'b'; it holds a"):
            box["b"]
        with pytest.raises(ArgumentError, match="name of a method"):
            box["keys"] = nn.ReLU()
        with pytest.raises(ArgumentTypeError, match="holds modules, got int"):
            box["b"] = 1
        shelf = nn.ParameterDict({"w": tg.tensor([1.0, 2.0])})
        assert shelf.get("w") is shelf["w"]
        assert shelf.get("v") is None
        assert re.search(r"\(w\): Parameter containing: \[float32 of size 2\]", repr(shelf))
