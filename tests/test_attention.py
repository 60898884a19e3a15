"""Attention and encoders of transformers: against PyTorch, by hand, and at the edges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tests.layer_checks import (
    Array,
    agree,
    compiles_to_the_same_bits,
    derives_twice,
    is_drawn,
    numbers,
    repeats,
    twins,
)
from tinygrad_lab import nn

attention = nn.functional.scaled_dot_product_attention
flags = st.booleans()


def mask_of(kind: str | None, *shape: int, hidden: bool) -> Array | None:
    """Return a mask that leaves each query something: of booleans (True: hidden?) or numbers."""
    if kind is None:
        return None
    blocked = numbers(*shape, seed=9) > 0.3
    blocked[..., 0] = False
    if kind == "float":
        return np.where(blocked, -np.inf, numbers(*shape, seed=8))
    return blocked if hidden else ~blocked


class _Self(nn.Module):
    """Attention of x to itself."""

    def __init__(self, **named: Any) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(4, 2, batch_first=True, **named)

    def forward(self, x: Any) -> Any:
        return self.inner(x, x, x)


MODULES: dict[str, Callable[[], Any]] = {
    "MultiheadAttention": _Self,
    "with more keys": lambda: _Self(bias=False, add_bias_kv=True, add_zero_attn=True),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 5, 0.2, "gelu"),
    "norm first": lambda: nn.TransformerEncoderLayer(4, 2, 5, 0.0, norm_first=True, bias=False),
    "TransformerEncoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 3, 0.2), 2, nn.LayerNorm(4)
    ),
}


@pytest.mark.numpy_only("PyTorch is compared with NumPy's arrays")
class TestAgainstPyTorch:
    @settings(max_examples=15)
    @given(data=st.data(), causal=flags, scale=st.sampled_from([None, 0.3, 2.0]))
    def test_the_function(self, data: st.DataObject, causal: bool, scale: float | None) -> None:
        torch = pytest.importorskip("torch")
        heads, queries, keys, width, out = (data.draw(st.integers(1, 4)) for _ in range(5))
        grouped = data.draw(flags)
        query = numbers(2, heads * (2 if grouped else 1), queries, width)
        key, value = numbers(2, heads, keys, width), numbers(2, heads, keys, out)
        kind = None if causal else data.draw(st.sampled_from([None, "bool", "float"]))
        shape = data.draw(st.sampled_from([(queries, keys), (2, 1, queries, keys)]))
        agree(
            attention,
            torch.nn.functional.scaled_dot_product_attention,
            *(query, key, value, mask_of(kind, *shape, hidden=False)),
            is_causal=causal,
            scale=scale,
            enable_gqa=grouped,
        )

    @settings(max_examples=20)
    @given(data=st.data())
    def test_several_heads(self, data: st.DataObject) -> None:
        heads, queries, keys, batch = (data.draw(st.integers(1, 3)) for _ in range(4))
        named = {key: data.draw(flags) for key in ("bias", "add_bias_kv", "add_zero_attn")}
        batch_first, batched = data.draw(flags), data.draw(flags)
        width = 2 * heads
        kdim, vdim = data.draw(st.sampled_from([(None, None), (3, None), (3, 5), (width, width)]))
        ours, theirs = twins(
            "MultiheadAttention",
            *(width, heads),
            **named,
            kdim=kdim,
            vdim=vdim,
            batch_first=batch_first,
        )
        lead = (
            (lambda n: (batch, n) if batch_first else (n, batch)) if batched else (lambda n: (n,))
        )
        inputs = (
            numbers(*lead(queries), width),
            numbers(*lead(keys), kdim or width, seed=1),
            numbers(*lead(keys), vdim or width, seed=2),
        )
        kinds = st.sampled_from([None, "bool", "float"])
        samples = batch if batched else 1
        shape = data.draw(st.sampled_from([(queries, keys), (samples * heads, queries, keys)]))
        padded = (batch, keys) if batched else (keys,)
        kind = data.draw(kinds)
        agree(
            *(ours, theirs, *inputs),
            key_padding_mask=mask_of(
                data.draw(st.sampled_from([None, kind])), *padded, hidden=True
            ),
            need_weights=data.draw(flags),
            attn_mask=mask_of(kind, *shape, hidden=True),
            average_attn_weights=data.draw(flags),
        )

    @settings(max_examples=9)
    @given(
        data=st.data(),
        activation=st.sampled_from(["relu", "gelu"]),
        norm_first=flags,
        batch_first=flags,
        bias=flags,
    )
    def test_encoder_layer(
        self, data: st.DataObject, activation: str, norm_first: bool, batch_first: bool, bias: bool
    ) -> None:
        named = {"norm_first": norm_first, "batch_first": batch_first, "bias": bias}
        sides = twins("TransformerEncoderLayer", 4, 2, 3, 0.0, activation, 1e-3, **named)
        for side in sides if data.draw(flags) else ():
            side.eval()
        mask = mask_of(data.draw(st.sampled_from([None, "float"])), 3, 3, hidden=True)
        padding = mask_of(data.draw(st.sampled_from([None, "float"])), 2, 3, hidden=True)
        shape = (2, 3, 4) if batch_first else (3, 2, 4)
        agree(*sides, numbers(*shape), src_mask=mask, src_key_padding_mask=padding)

    @pytest.mark.parametrize("with_norm", [True, False])
    def test_encoder(self, with_norm: bool) -> None:
        torch = pytest.importorskip("torch")

        def make(library: Any) -> Any:
            layer = library.TransformerEncoderLayer(4, 2, 3, 0.0)
            norm = library.LayerNorm(4) if with_norm else None
            return library.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False)

        ours, theirs = make(nn).to("float64"), make(torch.nn).to(torch.float64)
        state = {key: one.numpy() for key, one in theirs.state_dict().items()}
        assert list(ours.state_dict()) == list(state)
        ours.load_state_dict(state)
        agree(ours, theirs, numbers(3, 2, 4), mask=mask_of("bool", 3, 3, hidden=True))
        causal = np.triu(np.ones((3, 3), dtype=bool), k=1)
        agree(ours, theirs, numbers(3, 2, 4), mask=causal, is_causal=True)

    def test_starts_from_numbers_as_large_as_those_of_pytorch(self) -> None:
        torch = pytest.importorskip("torch")
        tg.seed(0)
        torch.manual_seed(0)
        settings = {"kdim": 30, "add_bias_kv": True}
        ours = nn.MultiheadAttention(200, 2, **settings)
        theirs = torch.nn.MultiheadAttention(200, 2, **settings)
        for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            spread = mine.detach().numpy().std()
            assert spread == pytest.approx(other.detach().numpy().std(), rel=0.25), name


class TestAnyBackend:
    def test_weights_are_those_of_the_equation(self) -> None:
        query, key, value = numbers(2, 3), numbers(4, 3, seed=1), numbers(4, 2, seed=2)
        scores = np.exp(query @ key.T / np.sqrt(3))
        expected = scores / scores.sum(axis=1, keepdims=True) @ value
        found = attention(tg.tensor(query), tg.tensor(key), tg.tensor(value))
        np.testing.assert_allclose(np.asarray(found.numpy()), expected, rtol=1e-12)

    def test_a_causal_query_sees_no_later_key(self) -> None:
        x = numbers(4, 3)
        later = x.copy()
        later[2:] += 1
        outs = [attention(*(tg.tensor(one),) * 3, is_causal=True).tolist() for one in (x, later)]
        assert outs[0][:2] == outs[1][:2]
        assert outs[0][2:] != outs[1][2:]

    @pytest.mark.parametrize("kind", ["bool", "float"])
    def test_a_query_that_may_look_at_nothing_gets_zeros_and_no_nan(self, kind: str) -> None:
        hidden = np.array([[True, True], [False, True]])
        mask = ~hidden if kind == "bool" else np.where(hidden, -np.inf, 0.0)
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        out = attention(x, x, x, tg.tensor(mask))
        out.sum().backward()
        assert out[0].tolist() == [0.0] * 3
        assert x.grad is not None
        assert np.isfinite(np.asarray(x.grad.numpy())).all()

    def test_float32_stays_so(self) -> None:
        layer = nn.MultiheadAttention(4, 2)
        out, weights = layer(*(tg.ones((3, 1, 4)),) * 3)
        assert weights is not None
        assert out.dtype == weights.dtype == np.float32

    @pytest.mark.parametrize("case", MODULES)
    def test_derives_twice(self, case: str) -> None:
        derives_twice(MODULES[case]().eval(), numbers(2, 2, 4))

    @pytest.mark.parametrize("case", MODULES)
    def test_repeats_by_seed(self, case: str) -> None:
        repeats(MODULES[case], [numbers(2, 2, 4).astype("float32")])

    def test_dropout_loses_weights_in_training_alone(self) -> None:
        layer, x = nn.MultiheadAttention(4, 2, dropout=1.0), tg.tensor(numbers(3, 1, 4))
        layer = layer.to("float64")
        out, weights = layer(x, x, x)
        assert not np.asarray(weights.detach().numpy()).any()
        assert not np.asarray((out - layer.out_proj.bias).detach().numpy()).any()
        np.testing.assert_allclose(
            np.asarray(layer.eval()(x, x, x)[1].detach().numpy()).sum(axis=-1), 1, rtol=1e-12
        )

    def test_layers_of_an_encoder_start_equal_and_learn_apart(self) -> None:
        net = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 3, 0.0), 2)
        one, other = (layer.linear1.weight for layer in net.layers)
        assert one.tolist() == other.tolist()
        (net(tg.tensor(numbers(3, 2, 4).astype("float32"))) ** 3).sum().backward()
        tg.optim.SGD(net.parameters(), lr=0.1).step()
        assert one.tolist() != other.tolist()


@pytest.mark.numpy_only("compiled steps are NumPy code")
class TestReaders:
    @pytest.mark.parametrize("case", MODULES)
    def test_compiles_to_the_same_bits(self, case: str) -> None:
        compiles_to_the_same_bits(MODULES[case](), numbers(2, 3, 4).astype("float32"))

    @pytest.mark.parametrize("case", MODULES)
    def test_is_drawn(self, case: str) -> None:
        is_drawn(MODULES[case](), numbers(1, 2, 4).astype("float32"))

    def test_masks_are_inputs_of_a_compiled_step(self) -> None:
        x = tg.tensor(numbers(3, 4))
        compiled = tg.compile(lambda x, mask: attention(x, x, x, mask))
        for seed in range(3):
            mask = tg.tensor(numbers(3, 3, seed=seed) > 0)
            assert compiled(x, mask).tolist() == attention(x, x, x, mask).tolist()


X = tg.tensor(numbers(3, 2, 4))
MISTAKES: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: nn.MultiheadAttention(5, 2), "ArgumentError", "2 heads must divide embed_dim = 5"),
    (lambda: nn.MultiheadAttention(4, 2, 1.5), "ArgumentError", "MultiheadAttention: dropout"),
    (lambda: nn.MultiheadAttention(4, 2, dtype=1), "ArgumentTypeError", "set_default_dtype"),
    (
        lambda: nn.MultiheadAttention(4, 2)(X, X[:, :1], X),
        "ShapeError",
        r"\(L, N, 4\), \(S, N, 4\), \(S, N, 4\).* got \(3, 2, 4\), \(3, 1, 4\)",
    ),
    (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, attn_mask=tg.ones((2, 3), dtype=bool)),
        "ShapeError",
        r"attn_mask of shape \(3, 3\) or \(4, 3, 3\), got \(2, 3\)",
    ),
    (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, tg.ones((3, 2), dtype=bool)),
        "ShapeError",
        r"key_padding_mask of shape \(2, 3\), got \(3, 2\)",
    ),
    (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, tg.ones((2, 3), dtype="int64")),
        "DTypeError",
        "of booleans, True where not to look",
    ),
    (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, is_causal=True),
        "ArgumentError",
        "says what attn_mask is, got none",
    ),
    (lambda: attention(X, X[..., :3], X), "ShapeError", r"query \(\.\.\., L, E\)"),
    (
        lambda: attention(X, X, X, tg.ones((2, 2)), is_causal=True),
        "ArgumentError",
        "got both: write one mask",
    ),
    (lambda: attention(X, X, X, tg.ones((3, 2))), "ShapeError", r"to \(3, 2, 2\), got \(3, 2\)"),
    (lambda: attention(X, X, X, tg.ones(2, dtype="int64")), "DTypeError", "mask of booleans or"),
    (lambda: attention(X, X, X, dropout_p=2.0), "ArgumentError", "from 0 to 1, got 2.0"),
    (lambda: attention(X, X[:2], X, enable_gqa=True), "ShapeError", "heads .* divide"),
    (lambda: nn.TransformerEncoderLayer(4, 2, 3, activation="elu"), "ArgumentError", "'relu'"),
    (lambda: nn.TransformerEncoder(nn.ReLU, 2), "ArgumentTypeError", "to copy"),
    (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 3), 0),
        "ArgumentError",
        "num_layers must be",
    ),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(call: Callable[[], Any], kind: str, says: str) -> None:
    with pytest.raises(getattr(tg.errors, kind), match=says):
        call()
