"""tg.save and tg.load: what is saved comes back, or the file is refused with the reason."""

import io
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import zlib
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    StateDictError,
    TinygradLabError,
)

DTYPES = [
    *("bool", "float16", "float32", "float64", "complex64", "complex128"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
]


def saved(obj: Any) -> bytes:
    file = io.BytesIO()
    tg.save(obj, file)
    return file.getvalue()


def loaded(content: bytes) -> Any:
    return tg.load(io.BytesIO(content))


def bits(value: Any) -> Any:
    """What a value is, bit for bit: kinds, classes, order of keys."""
    if isinstance(value, tg.Tensor):
        array = bits(value.data)
        return "tensor", array, value.requires_grad, value.name
    if isinstance(value, np.ndarray | np.generic):
        return type(value).__name__, str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return "dict", [(bits(key), bits(one)) for key, one in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [bits(one) for one in value]
    return type(value).__name__, repr(value)


arrays = st.one_of(
    npst.arrays(np.dtype(dtype), npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    for dtype in DTYPES
)
texts = st.text(st.characters(codec=None), max_size=5)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), texts, st.complex_numbers()
)
leaves = st.one_of(plain, arrays, arrays.map(tg.tensor), st.floats().map(tg.scalar))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(texts, st.integers(), st.none()), inner, max_size=3),
    ),
    max_leaves=8,
)


@pytest.mark.numpy_only("what is loaded is NumPy's")
class TestWhatIsSaved:
    @given(trees)
    def test_comes_back(self, tree: Any) -> None:
        assert bits(loaded(saved(tree))) == bits(tree)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_keeps_its_dtype_in_any_memory_order(self, dtype: str) -> None:
        x = np.arange(6).reshape(2, 3).astype(dtype)
        for one in (x, np.asfortranarray(x), x[:, ::-2], x.T, x.astype(x.dtype.newbyteorder())):
            back = loaded(saved(one))
            assert back.dtype == dtype
            np.testing.assert_array_equal(back, one)

    def test_is_in_memory_of_its_own_that_may_be_written_to(self) -> None:
        x = np.zeros(3)
        back = loaded(saved({"a": x, "b": tg.tensor(x), "c": x + 0j}))
        for one in (back["a"], back["b"].data, back["c"]):
            assert one.flags.owndata
            assert one.flags.writeable

    def test_of_other_classes_comes_back_plain(self) -> None:
        point = namedtuple("point", "x y")
        back = loaded(saved([OrderedDict(a=1), point(1, 2.0)]))
        assert bits(back) == bits([{"a": 1}, (1, 2.0)])

    def test_has_no_graph_and_keeps_name_and_gradient(self) -> None:
        w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
        back_w, back_y = loaded(saved([w, w * 2]))
        assert (back_w.name, back_w.requires_grad, back_w.is_leaf) == ("w", True, True)
        assert (back_y.tolist(), back_y.is_leaf) == ([2.0, 4.0], True)

    def test_is_read_by_other_programs_under_the_names_of_a_state_dict(
        self, tmp_path: Path
    ) -> None:
        model, path = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), tmp_path / "m.safetensors"
        tg.save(model.state_dict(), path)
        others = safetensors.numpy.load_file(path)
        assert {n: x.tolist() for n, x in others.items()} == {
            n: x.tolist() for n, x in model.state_dict().items()
        }

    def test_under_keys_that_meet_in_the_file_is_kept_apart(self) -> None:
        tree = {"a.b": np.ones(1), "a": {"b": np.zeros(1)}, "__metadata__": np.full(1, 2.0)}
        assert bits(loaded(saved(tree))) == bits(tree)

    def test_gives_the_same_bytes_again(self) -> None:
        tree = {"b": [np.ones(2), 1.5], "a": {3: None, "x": tg.tensor([True])}}
        assert saved(tree) == saved(tree)

    def test_is_what_a_training_needs(self) -> None:
        def training() -> Any:
            model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
            optimizer = tg.optim.Adam(model.parameters(), lr=0.1, amsgrad=True)
            schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
            return model, optimizer, schedule, tg.Generator(0)

        def work(model: Any, optimizer: Any, schedule: Any, generator: Any) -> list[Any]:
            losses = []
            for _ in range(3):
                x = tg.tensor(generator.normal((5, 3), 0.0, 1.0, "float32"))
                optimizer.zero_grad()
                loss = (model(x) ** 2).mean()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
            return losses

        tg.seed(0)
        one = training()
        work(*one)
        default = tg.random.generator.default_generator
        content = saved(
            {
                "states": [part.state_dict() for part in one[:3]],
                "generators": [one[3].get_state(), default.get_state()],
            }
        )
        expected = work(*one)
        tg.seed(1)
        other, state = training(), loaded(content)
        for part, its_state in zip(other[:3], state["states"], strict=True):
            part.load_state_dict(its_state)
        other[3].set_state(state["generators"][0])
        default.set_state(state["generators"][1])
        assert work(*other) == expected


class TestADamagedFile:
    content = saved({"w": tg.tensor([1.0, 2.0]), "deep": [1, {"x": "text"}, None], "n": 2**70})

    def test_with_any_byte_flipped_is_refused(self) -> None:
        for place in range(len(self.content)):
            for change in (0x01, 0x20, 0x80, 0xFF):
                damaged = bytearray(self.content)
                damaged[place] ^= change
                with pytest.raises(DataError, match="the file: "):
                    loaded(bytes(damaged))

    def test_cut_anywhere_or_longer_is_refused(self) -> None:
        for length in range(len(self.content)):
            with pytest.raises(DataError, match="the file: "):
                loaded(self.content[:length])
        with pytest.raises(DataError, match="damaged or incomplete"):
            loaded(self.content + b"\0")

    @given(st.binary(max_size=200))
    @settings(max_examples=50)
    def test_of_random_bytes_is_refused(self, content: bytes) -> None:
        with pytest.raises(DataError, match="expected a safetensors file"):
            loaded(content)

    def test_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        path.write_bytes(self.content[:-3])
        with pytest.raises(DataError, match=re.escape(f"{path}: it is damaged or incomplete")):
            tg.load(path)
        with pytest.raises(FileNotFoundError, match="missing"):
            tg.load(tmp_path / "missing.safetensors")


class TestAFileOfAnotherKind:
    def test_of_another_program_is_refused_with_the_call_that_reads_it(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "other.safetensors"
        model = nn.Linear(2, 1)
        arrays = {name: x.numpy() + 1 for name, x in model.state_dict().items()}
        safetensors.numpy.save_file(arrays, path)
        with pytest.raises(DataError, match=r"safetensors\.numpy\.load_file\(path\)"):
            tg.load(path)
        model.load_state_dict(safetensors.numpy.load_file(path))
        assert model.bias.tolist() == arrays["bias"].tolist()

    def test_that_is_a_pickle_is_refused_and_not_run(self) -> None:
        for content in (pickle.dumps({"a": 1}), b"PK\x03\x04 a zip file"):
            with pytest.raises(DataError, match="can run any code"):
                loaded(content)

    def test_that_only_looks_like_ours_is_refused(self) -> None:
        """With a right checksum, but text that tg.save does not write."""
        import hashlib
        import json

        def forged(saved: Any) -> bytes:
            text = json.dumps({"sha256": "0" * 64, "saved": saved})
            content = safetensors.numpy.save({"x": np.ones(2)}, metadata={"tinygrad_lab": text})
            return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode())

        assert loaded(forged({"array": "x"})).tolist() == [1.0, 1.0]
        deep: Any = []
        for _ in range(300):
            deep = [deep]
        wrong = [{"array": "y"}, {"exec": "print()"}, {}, {"dict": [[[], 1]]}, {"dict": 3}]
        for one in (*wrong, {"array": ["x", "object"]}, {"float": "many"}):
            with pytest.raises(DataError, match="expected what"):
                loaded(forged(one))

    def test_of_another_model_is_refused_and_changes_nothing(self) -> None:
        content, other = saved(nn.Linear(3, 2).state_dict()), nn.Linear(2, 3)
        before = bits(other.state_dict())
        with pytest.raises(StateDictError, match=r"weight: expected shape \(3, 2\), got \(2, 3\)"):
            other.load_state_dict(loaded(content))
        assert bits(other.state_dict()) == before


class TestMistakes:
    @pytest.mark.parametrize(
        ("obj", "says"),
        [
            (nn.Linear(1, 1), r"it got a Linear: Save its state_dict\(\)"),
            ({"o": tg.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)}, r"o is a SGD: .*state_dict"),
            ([1, {"rng": tg.Generator(0)}], r"1\.rng is a Generator: Save its get_state\(\)"),
            ({"a": {1, 2}}, "a is a set: Save sorted"),
            (Path("x"), "Save str"),
            (print, "builtin_function"),
            ({(1, 2): 3}, r"keys of dicts must be .* \(1, 2\)"),
            (np.array(["text"]), "dtype <U4"),
            ({"x": np.ones(1, dtype=np.longdouble)}, "x has dtype"),
        ],
    )
    def test_are_told_with_their_place(self, obj: Any, says: str) -> None:
        with pytest.raises(ArgumentTypeError, match=says):
            saved(obj)

    def test_in_the_order_of_arguments_are_told(self) -> None:
        with pytest.raises(ArgumentTypeError, match=r"tg\.save\(obj, path\)"):
            tg.save("file", {"a": 1})  # type: ignore[arg-type]
        with pytest.raises(ArgumentTypeError, match="expected the path of a file, got 3"):
            tg.load(3)  # type: ignore[arg-type]

    def test_that_contain_themselves_are_told(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(ArgumentError, match="contains itself"):
            saved(endless)

    def test_of_the_disk_leave_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        tg.save(1, path)
        with pytest.raises(TinygradLabError):
            tg.save(print, path)
        assert tg.load(path) == 1


KILLED = """
import sys, numpy as np, tinygrad_lab as tg
number = 0
while True:
    number += 1
    tg.save({"number": number, "x": np.full(20_000, number)}, sys.argv[1])
    print(number, flush=True)
"""


@pytest.mark.numpy_only("it is about files")
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_process_killed_while_it_saves_leaves_the_last_whole_file(tmp_path: Path) -> None:
    """Six times here; TINYGRAD_LAB_KILLS=100 for as many as one likes."""
    path = tmp_path / "file"
    for kill in range(int(os.environ.get("TINYGRAD_LAB_KILLS", "6"))):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2 + zlib.crc32(b"%d" % kill) % 7)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        last = int((rest.split() or said)[-1])
        found = tg.load(path)
        assert found["number"] in (last, last + 1), "the one after may be there, and not told yet"
        assert (found["x"] == found["number"]).all()
    assert math.isfinite(found["number"])
    assert len(os.listdir(tmp_path)) <= 2
