"""An op is one declaration: what CONTRIBUTING says, done to a copy of the package, works."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def blocks() -> list[str]:
    """The Python that CONTRIBUTING shows: a declaration and a recipe."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", text, re.S)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its tests in which two files were touched."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("tinygrad_lab", "tests"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    declaration, recipe = blocks()
    family = folder / "tinygrad_lab" / "ops" / "activation.py"
    family.write_text(family.read_text() + "\n" + declaration)
    recipes = folder / "tests" / "recipes" / "elementwise.py"
    recipes.write_text(recipes.read_text().replace("RECIPES = [", f"RECIPES = [\n    {recipe},", 1))
    return folder


def run(copy: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_op_is_public_differentiable_and_drawn(copy: Path) -> None:
    script = """
        import tinygrad_lab as tg
        assert "squareplus" in tg.__all__ and "squareplus" in tg.ops.__all__
        x = tg.tensor([1.5, -1.5], name="x", requires_grad=True)
        y = tg.squareplus(x)
        y.sum().backward()
        print(x.grad.tolist(), "squareplus" in tg.draw(y).svg)
        print(tg.hessian(lambda x: tg.squareplus(x).sum())(tg.tensor([0.0])).tolist())
    """
    printed = run(copy, "-c", textwrap.dedent(script)).splitlines()
    assert printed == ["[0.800000011920929, 0.19999998807907104] True", "[[0.25]]"]


def test_what_every_op_must_fulfil_runs_on_it(copy: Path) -> None:
    files = ["tests/test_properties.py", "tests/test_ops.py", "tests/test_declaration.py"]
    printed = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "squareplus", *files)
    passed = re.search(r"(\d+) passed", printed)
    assert passed is not None
    assert int(passed[1]) > 15


def test_type_checkers_know_it(copy: Path) -> None:
    pytest.importorskip("mypy")
    user = copy / "user.py"
    user.write_text("import tinygrad_lab as tg\nreveal_type(tg.squareplus(tg.scalar(1.0)) * 2)\n")
    assert 'Revealed type is "tinygrad_lab.engine.tensor.Tensor"' in run(
        copy, "-m", "mypy", "--strict", "--follow-imports=silent", "user.py"
    )
