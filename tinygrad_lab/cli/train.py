"""``tinygrad-lab train``: train the nets of the MNIST-1D paper."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinygrad_lab.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, in_one_line
from tinygrad_lab.cli.interruption import Interruption
from tinygrad_lab.cli.kernels import Process, choose_kernels
from tinygrad_lab.cli.output import echo

if TYPE_CHECKING:
    from tinygrad_lab.train.experiment import Experiment
    from tinygrad_lab.train.report import Metrics

__all__ = ["MODEL_NAMES", "command"]

MODEL_NAMES = ("logistic", "mlp", "cnn", "gru")
NUM_TRAINING_SAMPLES = 4000


class _TrainCommand(click.Command):
    """Lists the settings of each model below its help, loading them only then."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from tinygrad_lab.train.settings import DEFAULTS

        with formatter.section("Default settings of the models"):
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
        raise click.BadParameter(f"{value!r} is not cpu, cuda or a numbered device such as cuda:1")
    return value


@click.command("train", cls=_TrainCommand)
@click.option(
    "--model", type=click.Choice(MODEL_NAMES), help="The model to train.  [default: all four]"
)
@click.option("--steps", type=click.IntRange(min=1), help="Number of batches to train on.")
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
    help="The strength of decoupled weight decay (AdamW).",
)
@click.option(
    "--schedule",
    type=click.Choice(["constant", "cosine", "steps"]),
    help="How the learning rate changes: not at all, along a cosine to 0, or in steps: a tenth "
    "after half of the training, a hundredth after four fifths.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seeds the initial parameters and the batches; the same seed gives the same numbers.",
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
    help="Shuffle the 40 points of every signal in the same order, which hides from CNN and GRU "
    "which points are neighbours.",
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
    help="Use the folder of --out even if it is not empty, and replace files of the same names.",
)
@click.pass_context
def command(
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

    MNIST-1D is generated when the command starts: ten digits as signals of 40 points, 4,000 to
    train on and 1,000 to test on. The optimiser is Adam with decoupled weight decay.

    \b
    For each model (in its own subfolder if there are several), the run folder gets:
      metrics.json            settings, history, and test_accuracy in percent
      metrics.csv             the history: losses in nats, accuracies in percent
      curves.png              the history as curves
      checkpoint.safetensors  the parameters
      graph.svg               the model's graph, with values and gradients
    and once for all models results.md and results.json, the test accuracies
    beside the published ones, and with several models comparison.png.

    Metrics and checkpoint are also written some 60 times during training. Ctrl-C stops the
    training after the current step, saves and reports the results so far, and exits with 130; a
    second Ctrl-C exits immediately. A training that diverges ends with the first op that made NaN
    or infinity, forward or backward, and its line; the others go on, and the exit code is 1.

    Matrix products run on one thread: these nets are too small to keep a second one busy, and
    results then repeat bit for bit on one machine, however busy it is. If OpenBLAS has faster
    kernels for this processor than those it picks by itself (see tinygrad-lab info), the process
    restarts with them and says so. Set OPENBLAS_CORETYPE to choose the kernels yourself.
    """
    experiments = _experiments(model, seed, device, shuffle_seq, changes)
    _check_device(device)
    if device == "cpu":
        choose_kernels(context.find_object(Process))
    name = f"{model or 'all'}{'-shuffled' if shuffle_seq else ''}-seed{seed}"
    folder = _run_folder(out, name, overwrite)
    echo(f"run folder: {folder}", err=True)
    echo(_describe_steps(compiled, device), err=True)
    from threadpoolctl import threadpool_limits

    with Interruption(folder) as interruption, threadpool_limits(1):
        results = _train_all(experiments, folder, interruption, compiled)
    _report(results, folder)
    if interruption.requested:
        echo(f"interrupted: the results so far are in {folder}", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED)
    if any(metrics.status == "diverged" for metrics in results):
        raise click.exceptions.Exit(EXIT_FAILED)


def _experiments(
    model: str | None, seed: int, device: str, shuffle_seq: bool, changes: dict[str, Any]
) -> "list[Experiment]":
    """Combine the default settings of the models with those that the user gave."""
    from tinygrad_lab.train.experiment import Experiment
    from tinygrad_lab.train.settings import DEFAULTS

    given = {name: value for name, value in changes.items() if value is not None}
    return [
        Experiment(name, replace(DEFAULTS[name], **given), seed, device, shuffle_seq)
        for name in ([model] if model else MODEL_NAMES)
    ]


def _check_device(device: str) -> None:
    """Raise if the device is missing, before a folder is made for the run."""
    from tinygrad_lab.backends import backend_for_device

    backend_for_device(device)


def _run_folder(out: Path | None, name: str, overwrite: bool) -> Path:
    from tinygrad_lab.train.files import make_run_folder, next_run_folder

    if out is not None:
        return make_run_folder(out, overwrite=overwrite)
    if overwrite:
        raise click.UsageError(
            "--overwrite goes with --out; without it every run gets a new folder"
        )
    return next_run_folder(Path("runs"), name)


def _train_all(
    experiments: "list[Experiment]", folder: Path, interruption: Interruption, compiled: bool
) -> "list[Metrics]":
    """Train one model after the other, and update the table of results after each."""
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
        _tell_divergence(metrics)
        if interruption.requested:
            break
    if len(experiments) > 1:
        write_comparison(folder / "comparison.png", results)
    return results


def _tell_divergence(metrics: "Metrics") -> None:
    """Name in one line the step at which a training diverged, and what made it."""
    if metrics.status != "diverged":
        return
    cause = f": {in_one_line(metrics.cause)}" if metrics.cause else ""
    echo(
        f"error: the training of {metrics.model} diverged at step {metrics.history[-1].step}"
        f"{cause}. A learning rate below {metrics.settings.lr:g} (--lr) may help",
        err=True,
    )


def _report(results: "Sequence[Metrics]", folder: Path) -> None:
    from tinygrad_lab.train.report import results_table

    echo(results_table(results))
    names = sorted(f"{file.name}{'/' if file.is_dir() else ''}" for file in folder.iterdir())
    echo(f"in {folder}: {', '.join(names)}")


def _describe_steps(compiled: bool, device: str) -> str:
    """Say whether training steps are compiled, and why not."""
    from tinygrad_lab.train.loop import compiles_on

    if not compiled:
        return "steps: not compiled (--no-compile)"
    if not compiles_on(device):
        return f"steps: not compiled (a compiled step is NumPy code, and the device is {device})"
    return "steps: compiled, with the same numbers bit for bit (turn off with --no-compile)"
