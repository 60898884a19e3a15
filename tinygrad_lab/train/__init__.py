"""Training on MNIST-1D: the paper's four nets, the loop, and the files of a run.

Not imported by ``import tinygrad_lab``; the command ``tinygrad-lab train`` uses it.
"""

from tinygrad_lab.train.checkpoint import Checkpoint, load_checkpoint, load_model, save_checkpoint
from tinygrad_lab.train.experiment import Experiment, run
from tinygrad_lab.train.looks.summary import LayerSummary, Summary, summary
from tinygrad_lab.train.loop import Measurement, Step, evaluate, fit, train_steps, update
from tinygrad_lab.train.models import CNN, GRU, MLP, MODELS, Logistic, make_model
from tinygrad_lab.train.report import Metrics
from tinygrad_lab.train.settings import (
    DEFAULTS,
    PUBLISHED,
    PUBLISHED_SHUFFLED,
    REFERENCE,
    Published,
    Settings,
)

__all__ = [
    "CNN",
    "DEFAULTS",
    "GRU",
    "MLP",
    "MODELS",
    "PUBLISHED",
    "PUBLISHED_SHUFFLED",
    "REFERENCE",
    "Checkpoint",
    "Experiment",
    "LayerSummary",
    "Logistic",
    "Measurement",
    "Metrics",
    "Published",
    "Settings",
    "Step",
    "Summary",
    "evaluate",
    "fit",
    "load_checkpoint",
    "load_model",
    "make_model",
    "run",
    "save_checkpoint",
    "summary",
    "train_steps",
    "update",
]
