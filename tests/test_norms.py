"""Normalisations: against PyTorch, by hand, and at the edges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tests.layer_checks import (
    agree,
    compiles_to_the_same_bits,
    derives_twice,
    is_drawn,
    numbers,
    twins,
)
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F  # noqa: N812

flags = st.booleans()
epsilons = st.sampled_from([1e-5, 1e-3, 0.1])

SMALL: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(2), (3, 2)),
    "BatchNorm1d, cumulative": (lambda: nn.BatchNorm1d(2, momentum=None), (3, 2, 2)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2, bias=False), (2, 2, 2, 2)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(2), (2, 2, 3)),
    "InstanceNorm2d": (
        lambda: nn.InstanceNorm2d(2, affine=True, track_running_stats=True),
        (2, 2, 2, 2),
    ),
    "LayerNorm": (lambda: nn.LayerNorm((2, 3)), (2, 2, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 2)),
    "RMSNorm": (lambda: nn.RMSNorm(3), (2, 3)),
}


def in_both_modes(ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
    """Compare two batches of training, and one of evaluation."""
    agree(ours, theirs, numbers(*shape))
    agree(ours, theirs, 2 + 3 * numbers(*shape, seed=1))
    agree(ours.eval(), theirs.eval(), numbers(*shape, seed=2))


@pytest.mark.numpy_only("PyTorch is compared with NumPy's arrays")
class TestAgainstPyTorch:
    @pytest.mark.parametrize("axes", [0, 1, 2])
    @settings(max_examples=8)
    @given(data=st.data(), eps=epsilons, affine=flags, tracked=flags, bias=flags)
    def test_batch_norm(
        self, axes: int, data: st.DataObject, eps: float, affine: bool, tracked: bool, bias: bool
    ) -> None:
        channels, batch = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 3))
        momentum = data.draw(st.sampled_from([None, 0.1, 0.5, 1.0]))
        sides = twins(
            f"BatchNorm{max(axes, 1)}d",
            *(channels, eps, momentum, affine, tracked),
            bias=bias,
        )
        in_both_modes(*sides, (batch, channels, *(3, 2)[:axes]))

    @pytest.mark.parametrize("axes", [1, 2])
    @settings(max_examples=8)
    @given(data=st.data(), eps=epsilons, affine=flags, tracked=flags, batched=flags)
    def test_instance_norm(
        self, axes: int, data: st.DataObject, eps: float, affine: bool, tracked: bool, batched: bool
    ) -> None:
        channels = data.draw(st.integers(1, 3))
        momentum = data.draw(st.sampled_from([None, 0.1, 0.5]))
        sides = twins(f"InstanceNorm{axes}d", channels, eps, momentum, affine, tracked)
        in_both_modes(*sides, (*((2,) if batched else ()), channels, *(3, 2)[:axes]))

    @settings(max_examples=8)
    @given(data=st.data(), eps=epsilons, affine=flags, bias=flags)
    def test_layer_norm(self, data: st.DataObject, eps: float, affine: bool, bias: bool) -> None:
        shape = data.draw(st.sampled_from([3, (3,), (2, 3), [4, 2, 3]]))
        whole = (4, 2, 3) if not isinstance(shape, list) else (1, 4, 2, 3)
        in_both_modes(*twins("LayerNorm", shape, eps, affine, bias), whole)

    @settings(max_examples=8)
    @given(data=st.data(), eps=st.none() | epsilons, affine=flags)
    def test_rms_norm(self, data: st.DataObject, eps: float | None, affine: bool) -> None:
        shape = data.draw(st.sampled_from([3, (2, 3), [4, 2, 3]]))
        in_both_modes(*twins("RMSNorm", shape, eps, affine), (4, 2, 3))

    @settings(max_examples=8)
    @given(data=st.data(), eps=epsilons, affine=flags, bias=flags)
    def test_group_norm(self, data: st.DataObject, eps: float, affine: bool, bias: bool) -> None:
        groups, each = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
        shape = (2, groups * each, *(3, 2)[: data.draw(st.integers(0, 2))])
        sides = twins("GroupNorm", groups, groups * each, eps, affine, bias=bias)
        in_both_modes(*sides, shape)

    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("rms_norm", {"normalized_shape": [2, 3], "weight": numbers(2, 3, seed=5)}),
            ("layer_norm", {"normalized_shape": [3], "bias": numbers(3, seed=5)}),
            ("group_norm", {"num_groups": 2, "weight": numbers(4), "bias": numbers(4, seed=5)}),
            ("instance_norm", {"weight": numbers(4), "bias": numbers(4, seed=5), "eps": 0.1}),
        ],
    )
    def test_functions(self, name: str, settings: dict[str, Any]) -> None:
        torch = pytest.importorskip("torch")
        their = getattr(torch.nn.functional, name)
        agree(getattr(F, name), their, numbers(2, 4, 2, 3), **settings)


class TestAnyBackend:
    @pytest.mark.parametrize("case", SMALL)
    def test_derives_twice(self, case: str) -> None:
        make, shape = SMALL[case]
        derives_twice(make(), numbers(*shape))

    def test_cumulative_statistics_are_those_of_all_batches(self) -> None:
        layer = nn.BatchNorm1d(2, momentum=None).to("float64")
        batches = [numbers(5, 2, seed=seed) + seed for seed in range(4)]
        for batch in batches:
            layer(tg.tensor(batch))
        state = layer.state_dict()
        assert state["num_batches_tracked"].item() == 4
        mean = np.mean([batch.mean(axis=0) for batch in batches], axis=0)
        variance = np.mean([batch.var(axis=0, ddof=1) for batch in batches], axis=0)
        np.testing.assert_allclose(np.asarray(state["running_mean"].numpy()), mean, rtol=1e-12)
        np.testing.assert_allclose(np.asarray(state["running_var"].numpy()), variance, rtol=1e-12)

    def test_a_batch_is_brought_to_mean_0_and_variance_1(self) -> None:
        x = tg.tensor(5 + 3 * numbers(4, 6, 5))
        for layer, axes in (
            (nn.BatchNorm1d(6, eps=0.0), (0, 2)),
            (nn.InstanceNorm1d(6, eps=0.0), (2,)),
            (nn.LayerNorm((6, 5), eps=0.0), (1, 2)),
            (nn.GroupNorm(1, 6, eps=0.0), (1, 2)),
        ):
            out = np.asarray(layer.to("float64")(x).detach().numpy())
            np.testing.assert_allclose(out.mean(axis=axes), 0, atol=1e-12)
            np.testing.assert_allclose(out.var(axis=axes), 1, atol=1e-12)

    def test_running_statistics_collect_no_graph(self) -> None:
        layer = nn.InstanceNorm1d(2, track_running_stats=True)
        layer(tg.ones((2, 2, 3), requires_grad=True))
        assert not any(buffer.requires_grad for buffer in layer.buffers())


@pytest.mark.numpy_only("compiled steps are NumPy code; the standard has no float16")
class TestReaders:
    @pytest.mark.parametrize("case", SMALL)
    def test_compiles_to_the_same_bits(self, case: str) -> None:
        make, shape = SMALL[case]
        compiles_to_the_same_bits(make(), numbers(*shape).astype("float32"))

    @pytest.mark.parametrize("case", SMALL)
    def test_is_drawn(self, case: str) -> None:
        make, shape = SMALL[case]
        is_drawn(make(), numbers(*shape).astype("float32"))

    @pytest.mark.parametrize("case", SMALL)
    def test_of_float16_neither_overflows_nor_widens(self, case: str) -> None:
        make, shape = SMALL[case]
        layer = make().to("float16")
        out = layer(tg.tensor((150 * numbers(*shape)).astype("float16")))
        assert out.dtype == np.float16
        assert np.isfinite(out.detach().numpy()).all()


MISTAKES: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: nn.BatchNorm1d(0), "ArgumentError", "num_features must be"),
    (lambda: nn.BatchNorm1d(2, dtype="float64"), "ArgumentTypeError", "set_default_dtype"),
    (
        lambda: nn.BatchNorm1d(2)(tg.ones((3, 4))),
        "ShapeError",
        r"BatchNorm1d: .* C = 2, got \(3, 4",
    ),
    (lambda: nn.InstanceNorm1d(2)(tg.ones((3, 4))), "ShapeError", r"InstanceNorm1d: .* C = 2"),
    (lambda: nn.InstanceNorm2d(2)(tg.ones((3, 2))), "ShapeError", r"InstanceNorm2d: .*\(C, H, W"),
    (lambda: nn.InstanceNorm1d(2)(tg.ones((3, 2, 1))), "ShapeError", "more than one value"),
    (lambda: nn.GroupNorm(2, 3), "ArgumentError", "2 groups must divide 3 channels"),
    (lambda: nn.GroupNorm(2, 4)(tg.ones((3, 2))), "ShapeError", r"GroupNorm: .* C = 4, got \(3, 2"),
    (lambda: nn.GroupNorm(1, 1)(tg.ones((1, 1))), "ShapeError", "more than one value per group"),
    (lambda: nn.RMSNorm(3)(tg.ones((3, 2))), "ShapeError", r"last axes are \(3,\), got .*\(3, 2\)"),
    (lambda: nn.LayerNorm(0), "ArgumentError", r"normalized_shape\[0\]"),
    (lambda: F.rms_norm(tg.tensor([1, 2]), 2), "DTypeError", "rms_norm: expected floating"),
    (lambda: F.batch_norm(tg.ones((3, 2)), None, None), "ArgumentError", "or training=True"),
    (
        lambda: F.instance_norm(tg.ones((3, 2, 2)), use_input_stats=False),
        "ArgumentError",
        "or use_input_stats=True",
    ),
    (lambda: F.group_norm(tg.ones((3, 4)), 3), "ShapeError", "multiple of 3"),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(call: Callable[[], Any], kind: str, says: str) -> None:
    with pytest.raises(getattr(tg.errors, kind), match=says):
        call()


def test_settings_are_shown() -> None:
    assert repr(nn.GroupNorm(2, 4)) == "GroupNorm(2, 4, eps=1e-05, affine=True)"
    assert repr(nn.RMSNorm(3)) == "RMSNorm((3,), eps=None, elementwise_affine=True)"
    assert repr(nn.InstanceNorm1d(3)) == (
        "InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)"
    )
