"""docs/modules.md holds every public name of PyTorch's modules, and every argument."""

import inspect
import re
from typing import Any

import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import MissingAttributeError
from tinygrad_lab.nn.other_methods import INSTEAD
from tinygrad_lab.other_names.modules import MODULES
from tinygrad_lab.other_names.sentences import SENTENCES

torch = pytest.importorskip("torch")

from . import names_of_torch as table  # noqa: E402
from .test_pages import ROOT  # noqa: E402

PAGE = (ROOT / "docs" / "modules.md").read_text()

OTHER_DEFAULTS = {
    ("TransformerEncoderLayer", "activation"): "relu",  # PyTorch's is the function
    ("DataLoader", "dataset"): None,  # arrays may come instead
    ("random_split", "generator"): None,  # which is the default generator, as there
}

NAMESPACES = list(table.NAMESPACES)


@pytest.mark.parametrize("namespace", NAMESPACES)
class TestOfAModule:
    def test_every_name_is_here_or_says_what_to_do_instead(self, namespace: str) -> None:
        unexplained = [one.name for one in table.absent(namespace) if not one.said]
        assert unexplained == []

    def test_every_argument_is_taken_or_says_what_to_write_instead(self, namespace: str) -> None:
        unexplained = [one for one in table.differing(namespace) if not one.said]
        assert unexplained == []

    def test_defaults_are_pytorchs(self, namespace: str) -> None:
        other = {
            (name, argument): own for name, argument, _, own in table.other_defaults(namespace)
        }
        assert other == {key: own for key, own in OTHER_DEFAULTS.items() if key in other}

    def test_nothing_is_explained_that_is_here(self, namespace: str) -> None:
        module = table.ours(namespace)
        texts = {**SENTENCES, **MODULES.get(namespace.removeprefix("torch."), {})}
        own = [name for name in texts if name in module.__all__]
        assert own == [], "drop them from other_names"


@pytest.mark.parametrize("kind", ["Module", "LSTM", "BatchNorm1d", "Linear", "ModuleList"])
def test_every_method_of_a_module_is_here_or_says_what_to_do_instead(kind: str) -> None:
    theirs, ours = getattr(torch.nn, kind), getattr(tg.nn, kind)
    public = {name for name, _ in inspect.getmembers(theirs, callable) if name[0] != "_"}
    own_tools = re.compile("check_|get_expected_|permute_hidden")  # of its layers, undocumented
    missing = {name for name in public - set(dir(ours)) if not own_tools.match(name)}
    assert sorted(missing - INSTEAD.keys()) == []
    assert sorted(set(dir(ours)) & INSTEAD.keys()) == [], "drop them from nn/other_methods.py"
    for name in missing:
        with pytest.raises(MissingAttributeError, match=re.escape(INSTEAD[name])):
            getattr(tg.nn.Linear(2, 1), name)

    def test_every_name_is_on_the_page(self, namespace: str) -> None:
        section = PAGE.partition(f"## `{namespace}`:")[2].partition("\n## ")[0]
        assert [name for name in table.public(namespace) if f"`{name}`" not in section] == []


def test_the_page_is_what_the_command_writes() -> None:
    version = ".".join(torch.__version__.split(".")[:2])
    if f"PyTorch {version}" not in PAGE:
        pytest.skip(f"the page is of another PyTorch than {version}")
    assert table.page() == PAGE, "python -m tests.names_of_torch docs/modules.md"


def test_the_names_are_those_of_pytorchs_users() -> None:
    """What the table is read from is not empty, nor PyTorch's own tools."""
    for namespace, some in {
        "torch.nn": {"Linear", "Conv3d", "Parameter", "Transformer"},
        "torch.nn.functional": {"linear", "conv1d", "relu_", "max_pool1d", "logsigmoid"},
        "torch.nn.init": {"orthogonal_", "normal"},
        "torch.nn.utils": {"clip_grad_norm_", "skip_init"},
        "torch.nn.utils.prune": {"l1_unstructured", "PruningContainer"},
        "torch.optim": {"Adam", "Adamax"},
        "torch.optim.lr_scheduler": {"StepLR", "SequentialLR"},
        "torch.utils.data": {"DataLoader", "ChainDataset", "get_worker_info"},
    }.items():
        names = set(table.public(namespace))
        assert some - names - {"logsigmoid"} == set()
        assert not names & {"torch", "np", "math", "handle_torch_function", "Callable", "Any"}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("torch.nn.Linear", ["in_features", "out_features", "bias", "device", "dtype"]),
        ("torch.nn.functional.logsigmoid", ["input"]),
        ("torch.nn.functional.avg_pool1d", ["input", "kernel_size", "stride", "padding"]),
        ("torch.optim.SGD", ["params", "lr", "momentum"]),
    ],
)
def test_arguments_are_read_also_of_what_is_written_in_c(
    function: str, expected: list[str]
) -> None:
    found: Any = torch
    for name in function.split(".")[1:]:
        found = getattr(found, name)
    assert (table.arguments(found) or [])[: len(expected)] == expected


def test_every_argument_of_a_class_here_is_taken_by_its_name() -> None:
    """The table reads signatures; what collects keywords must say them, too."""
    assert {"dataset", "batch_size", "sampler", "generator"} <= table.taken(tg.data.DataLoader)
    assert "lr" in table.taken(tg.optim.Adam)
    for name in tg.nn.__all__:
        if inspect.isclass(found := getattr(tg.nn, name)):
            assert "self" in table.taken(found) or table.taken(found), name
