"""The command ``tinygrad-lab``: train the paper's nets, draw a formula's graph, say what is here.

A user's mistake ends in one line on stderr, ``error: ...``: with exit code 2 where the command
line itself is wrong, with 1 where what it asks for cannot be done. Ctrl-C ends with 130. What is
heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

import math
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING, Any, ClassVar, Self

import click

from tinygrad_lab import __version__
from tinygrad_lab.errors import TinygradLabError

if TYPE_CHECKING:
    from tinygrad_lab.train.experiment import Experiment
    from tinygrad_lab.train.report import Metrics

__all__ = ["main"]

EXIT_INTERRUPTED = 130
MODEL_NAMES = ("logistic", "mlp", "cnn", "gru")
NUM_TRAINING_SAMPLES = 4000


# --- errors in one line -------------------------------------------------------------------------


class _Failure(click.ClickException):
    """What could not be done, in one line; click shows it and ends with the exit code."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {_in_one_line(self.format_message())}", file=file, err=True)


class _Misuse(_Failure):
    """A command line that is wrong."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True)
class _Process:
    """The process that a command runs in."""

    is_own: bool
    """It runs this command and nothing else, and may be begun anew."""


class _OneLineErrors(click.Group):
    """A group of commands whose errors, and click's own, are one line."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        # Without arguments of its own, it is the process's command line that is carried out.
        extra.setdefault("obj", _Process(is_own=args is None))
        return super().main(args, *rest, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise _misuse(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _misuse(error) from error
        except BrokenPipeError:
            raise  # the reader of a pipe left: click ends without a word
        except OSError as error:
            raise _Failure(_describe(error)) from error
        except TinygradLabError as error:
            raise _Failure(str(error)) from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def _misuse(error: click.UsageError) -> _Misuse:
    hint = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return _Misuse(error.format_message().rstrip(".") + hint)


def _in_one_line(message: str) -> str:
    """Join lines by what separates them: ``a:`` and ``b`` and ``c`` become ``a: b; c``."""
    lines = (line.strip() for line in message.splitlines())
    joined = ""
    for line in lines:
        # A caret that points into the line above it points nowhere in a single line.
        if line.strip("^"):
            separator = " " if joined.endswith((":", ".", ",", ";")) else "; "
            joined += (separator if joined else "") + line
    return joined


def _describe(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


# --- the commands ---------------------------------------------------------------------------------


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="tinygrad_lab %(version)s")
def main() -> None:
    """Reverse-mode autograd whose computation graph you can see.

    \b
    Start with one of these:
      tinygrad-lab draw "(x + y) * z" x=-2 y=5 z=-4 -o f.svg
      tinygrad-lab train --model mlp
      tinygrad-lab info
    """


class _TrainCommand(click.Command):
    """Its help ends with each model's settings, which are read when somebody asks."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from tinygrad_lab.train.settings import DEFAULTS

        with formatter.section("Settings of the models, where no option says otherwise"):
            formatter.write_text(
                "\b\n"
                + "\n".join(
                    f"{name:<9} --steps {settings.steps} --lr {settings.lr:g} --batch-size "
                    f"{settings.batch_size} --weight-decay {settings.weight_decay:g} "
                    f"--schedule {settings.schedule}"
                    for name, settings in DEFAULTS.items()
                )
            )


def _finite(
    context: click.Context, parameter: click.Parameter, value: float | None
) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
    return value


def _device(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", value):
        raise click.BadParameter(f"{value!r} is not cpu, cuda or a numbered one, as cuda:1")
    return value


@main.command(cls=_TrainCommand)
@click.option(
    "--model", type=click.Choice(MODEL_NAMES), help="Which model to train.  [default: all four]"
)
@click.option("--steps", type=click.IntRange(min=1), help="How many batches to learn from.")
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    help="The learning rate of the first step.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, NUM_TRAINING_SAMPLES),
    help="Samples in a batch; the training set has 4,000.",
)
@click.option(
    "--weight-decay",
    type=click.FloatRange(min=0),
    callback=_finite,
    help="How strongly weights are pulled to 0, apart from the gradient (AdamW).",
)
@click.option(
    "--schedule",
    type=click.Choice(["constant", "cosine", "steps"]),
    help="Whether the learning rate stays, falls to 0 along a cosine, or falls to a tenth after "
    "half of the steps and to a hundredth after four fifths.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Draws the first parameters and the batches; the same seed gives the same numbers.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    callback=_device,
    help="Where to compute: cpu, cuda, cuda:1 ...",
)
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=True,
    show_default="--compile",
    help="Whether to record the training step once and replay it as straight-line code (on the "
    "CPU), which is faster and gives the same numbers, bit for bit.",
)
@click.option(
    "--shuffle-seq",
    is_flag=True,
    help="Put the 40 points of all signals into one random order, which hides from CNN and GRU "
    "what is near to what.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The run folder, which must be empty or new.  [default: a new one in runs/, such as "
    "runs/mlp-seed0, then runs/mlp-seed0-2]",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Take the folder of --out also if it is not empty, and replace files of the same names.",
)
@click.pass_context
def train(
    context: click.Context,
    /,
    model: str | None,
    seed: int,
    device: str,
    compiled: bool,
    shuffle_seq: bool,
    out: Path | None,
    overwrite: bool,
    **changes: Any,
) -> None:
    """Train the nets of the MNIST-1D paper and compare with its results.

    MNIST-1D is generated on the spot: ten digits as signals of 40 points, 4,000 to train on and
    1,000 to test on. The optimiser is Adam with decoupled weight decay.

    \b
    The run folder gets, for each model (in a folder of its own if there are several):
      metrics.json            settings, history, and test_accuracy in percent
      metrics.csv             the history: losses in nats, accuracies in percent
      curves.png              the same as curves
      checkpoint.safetensors  the parameters
      graph.svg               the model's graph, with values and gradients
    and for all of them together results.md and results.json, the test accuracies
    beside the published ones, and with several models comparison.png.

    Metrics and checkpoint are also written some 60 times on the way. Ctrl-C ends the training
    after the step it is at, keeps and reports what was trained so far, and exits with 130; a
    second Ctrl-C ends at once.

    Matrix products run on one thread: nets of this size leave little for a second one to do,
    and numbers then repeat bit for bit on one machine, however busy it is. Where OpenBLAS has
    faster kernels for this processor than those it picks by itself (tinygrad-lab info tells), the
    process is begun anew with them, and says so; OPENBLAS_CORETYPE, where it is set, decides.
    """
    experiments = _experiments(model, seed, device, shuffle_seq, changes)
    _check_device(device)
    if device == "cpu":
        _choose_kernels(context.find_object(_Process))
    name = f"{model or 'all'}{'-shuffled' if shuffle_seq else ''}-seed{seed}"
    folder = _run_folder(out, name, overwrite)
    click.echo(f"run folder: {folder}", err=True)
    click.echo(_about_compiling(compiled, device), err=True)
    from threadpoolctl import threadpool_limits

    with _Interruption(folder) as interruption, threadpool_limits(1):
        results = _train_all(experiments, folder, interruption, compiled)
    _report(results, folder)
    if interruption.requested:
        click.echo(f"interrupted: what was trained so far is in {folder}", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED)


class _DrawCommand(click.Command):
    """Takes a formula that starts with a minus for a formula, not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # With a space in front, which the formula does without later, it is no option to click.
        return super().parse_args(
            ctx, [f" {arg}" if re.match("-[^-oh]", arg) else arg for arg in args]
        )


def _values(
    context: click.Context, parameter: click.Parameter, assignments: tuple[str, ...]
) -> dict[str, float]:
    """Read ``x=-2`` and the like."""
    values: dict[str, float] = {}
    for assignment in assignments:
        name, equals, number = (part.strip() for part in assignment.partition("="))
        if not (equals and name.isidentifier()):
            raise click.BadParameter(f"{assignment!r} is not of the form name=number, as x=-2")
        if name in values:
            raise click.BadParameter(f"{name!r} is given twice")
        try:
            values[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"in {assignment!r}, {number!r} is not a number") from None
    return values


@main.command(cls=_DrawCommand)
@click.argument("formula")
@click.argument("values", nargs=-1, metavar="[NAME=NUMBER]...", callback=_values)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("graph.svg"),
    show_default=True,
    help="The picture; its ending says of which kind: .svg, .pdf, .png or .dot.",
)
def draw(formula: str, values: dict[str, float], output: Path) -> None:
    """Draw the graph of a formula, with values, gradients and local derivatives.

    FORMULA has numbers, names, + - * / **, brackets, and functions such as exp, log, sin, tanh,
    sigmoid and relu; "loss = ..." names its result. A number for each name follows it. The value
    and the derivatives are printed, too.

    \b
    Examples:
      tinygrad-lab draw "(x + y) * z" x=-2 y=5 z=-4 -o f.svg
      tinygrad-lab draw "sigmoid(w * x + b)" w=2 x=-1 b=-3 -o neuron.svg
    """
    from tinygrad_lab import graph
    from tinygrad_lab.show.draw import draw as draw_graph
    from tinygrad_lab.show.expression import parse

    result = parse(formula.strip(), values)
    if result.name is None and "f" not in values:
        result.name = "f"
    if result.requires_grad:
        result.backward()
    name = result.name or "result"
    draw_graph(result).save(output)
    click.echo(f"{name} = {result.item():g}")
    for node in graph(result).leaves:
        if node.requires_grad and node.gradient is not None:
            click.echo(f"d{name}/d{node.name} = {node.gradient:g}")
    click.echo(f"picture: {output}")


@main.command()
def info() -> None:
    """Show versions, devices, what multiplies matrices, and what renders pictures."""
    import platform

    import numpy
    import scipy

    from tinygrad_lab.cli import blas
    from tinygrad_lab.show.layout import renderer

    rows = {
        "tinygrad_lab": f"{__version__} in {Path(__file__).parent}",
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "devices": _devices(),
        "blas": "; ".join(map(str, blas.libraries())) or "unknown",
        "kernels": _about_kernels(),
        "renderer": renderer(),
    }
    for name, text in rows.items():
        click.echo(f"{name:<13} {text}")


# --- training -------------------------------------------------------------------------------------


class _Interruption:
    """Turns the first Ctrl-C into a wish, which is granted between two steps; the second ends.

    Between two steps no parameter is half updated, and what was trained can be saved. The second
    ends the process where it stands, and leaves whole files as a kill does: a KeyboardInterrupt
    that is raised inside a finalizer or a weak reference's callback is printed and lost.
    """

    def __init__(self, folder: Path) -> None:
        self.requested = False
        self._farewell = f"interrupted twice: what was saved before is in {folder}\n".encode()

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            # Not through sys.stderr, whose buffer may be in use by what the signal stopped.
            os.write(2, (b"\n" if os.isatty(2) else b"") + self._farewell)
            os._exit(EXIT_INTERRUPTED)
        self.requested = True


def _experiments(
    model: str | None, seed: int, device: str, shuffle_seq: bool, changes: dict[str, Any]
) -> "list[Experiment]":
    """What to train: the models' own settings, with those changed that the user gave."""
    from tinygrad_lab.train.experiment import Experiment
    from tinygrad_lab.train.settings import DEFAULTS

    given = {name: value for name, value in changes.items() if value is not None}
    return [
        Experiment(name, replace(DEFAULTS[name], **given), seed, device, shuffle_seq)
        for name in ([model] if model else MODEL_NAMES)
    ]


def _check_device(device: str) -> None:
    """Fail before a folder is made for a run that cannot start."""
    from tinygrad_lab.backends import backend_for_device

    backend_for_device(device)


def _run_folder(out: Path | None, name: str, overwrite: bool) -> Path:
    from tinygrad_lab.train.files import make_run_folder, next_run_folder

    if out is not None:
        return make_run_folder(out, overwrite=overwrite)
    if overwrite:
        raise click.UsageError("--overwrite goes with --out; without it every run has a new folder")
    return next_run_folder(Path("runs"), name)


def _train_all(
    experiments: "list[Experiment]", folder: Path, interruption: _Interruption, compiled: bool
) -> "list[Metrics]":
    """Train one model after the other, with the table up to date after each."""
    from tinygrad_lab.data import mnist1d
    from tinygrad_lab.train.curves import write_comparison
    from tinygrad_lab.train.experiment import run
    from tinygrad_lab.train.progress import Progress
    from tinygrad_lab.train.report import write_results

    data = mnist1d(shuffle_seq=experiments[0].shuffle_seq)
    results: list[Metrics] = []
    for experiment in experiments:
        own_folder = folder if len(experiments) == 1 else folder / experiment.model
        own_folder.mkdir(exist_ok=True)
        with Progress(experiment.model, experiment.settings.steps) as progress:
            metrics = run(
                experiment,
                data,
                own_folder,
                compiled=compiled,
                on_step=progress.on_step,
                on_measurement=progress.on_measurement,
                should_stop=lambda: interruption.requested,
            )
        results.append(metrics)
        write_results(folder, results)
        _warn_if_diverged(metrics)
        if interruption.requested:
            break
    if len(experiments) > 1:
        write_comparison(folder / "comparison.png", results)
    return results


def _warn_if_diverged(metrics: "Metrics") -> None:
    if metrics.status == "diverged":
        click.echo(
            f"warning: the loss of {metrics.model} was no longer a finite number at step "
            f"{metrics.history[-1].step}, and its training ended there; a learning rate below "
            f"{metrics.settings.lr:g} (--lr) may help",
            err=True,
        )


def _report(results: "Sequence[Metrics]", folder: Path) -> None:
    from tinygrad_lab.train.report import results_table

    click.echo(results_table(results))
    names = sorted(f"{file.name}{'/' if file.is_dir() else ''}" for file in folder.iterdir())
    click.echo(f"in {folder}: {', '.join(names)}")


def _about_compiling(compiled: bool, device: str) -> str:
    from tinygrad_lab.train.loop import compiles_on

    if not compiled:
        return "steps: as they are (--no-compile)"
    if not compiles_on(device):
        return f"steps: as they are (a compiled step is NumPy code, and the device is {device})"
    return "steps: compiled, with the same numbers bit for bit (--no-compile: as they are)"


def _about_kernels() -> str:
    """Whether matrix products could be faster on this processor, and how."""
    from tinygrad_lab.cli import blas

    flags, used = blas.processor_flags(), [library.kernels for library in blas.libraries()]
    chosen = os.environ.get(blas.CHOICE)
    faster = blas.faster_kernels(flags, used[0]) if used else None
    if faster is None:
        because = (
            f"chosen by {blas.CHOICE}" if chosen else "no faster ones known for this processor"
        )
        return f"{used[0] or 'not told'}: {because}" if used else "unknown"
    return (
        f"{used[0]}, while this processor has AVX-512: {blas.CHOICE}={faster}, set before Python "
        + (f"starts, is faster than {chosen}" if chosen else "starts, is faster (train sets it)")
    )


def _choose_kernels(process: _Process | None) -> None:
    """Begin the process anew with faster kernels for matrix products, if there are any.

    OpenBLAS reads the choice when NumPy is imported, which has happened by now. What begins is the
    same command in the same process: its number, terminal and exit code stay.
    """
    from tinygrad_lab.cli import blas

    used = blas.libraries()
    kernels = used[0].kernels if used else None
    choice = blas.kernels_to_choose(blas.processor_flags(), kernels, os.environ)
    command = sys.orig_argv[1:]
    whole = process is not None and process.is_own and command[-len(sys.argv[1:]) :] == sys.argv[1:]
    if choice is None or not whole or not sys.executable:
        return
    click.echo(
        f"matrix products: by the kernels for {choice} instead of {kernels}, for this processor "
        f"has AVX-512 ({blas.CHOICE}={kernels} keeps the others)",
        err=True,
    )
    os.environ[blas.CHOICE] = choice
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *command])


def _devices() -> str:
    """The devices that tensors can live on."""
    from tinygrad_lab.backends import backend_for_device
    from tinygrad_lab.errors import DeviceError

    try:
        cupy: Any = backend_for_device("cuda").cupy
    except DeviceError as error:
        return f"cpu ({error})"
    runtime = cupy.cuda.runtime
    names = (
        f"cuda:{number} ({runtime.getDeviceProperties(number)['name'].decode()})"
        for number in range(runtime.getDeviceCount())
    )
    return ", ".join(["cpu", *names, f"by CuPy {cupy.__version__}"])
