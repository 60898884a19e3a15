"""Training: the paper's nets, the loop, and the files that a run leaves."""

import csv
import inspect
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import matplotlib.image
import numpy as np
import pytest
from safetensors.numpy import save_file

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, DataError, StateDictError
from tinygrad_lab.nn import Module
from tinygrad_lab.optim import AdamW
from tinygrad_lab.random.generator import default_generator
from tinygrad_lab.train import (
    DEFAULTS,
    MLP,
    MODELS,
    PUBLISHED,
    PUBLISHED_SHUFFLED,
    Checkpoint,
    Experiment,
    Measurement,
    Metrics,
    Settings,
    evaluate,
    fit,
    load_checkpoint,
    load_model,
    make_model,
    run,
    save_checkpoint,
    train_steps,
    update,
)
from tinygrad_lab.train.curves import write_comparison, write_curves
from tinygrad_lab.train.files import make_run_folder, next_run_folder
from tinygrad_lab.train.loop import status
from tinygrad_lab.train.report import results_table, write_csv, write_metrics

every_model = pytest.mark.parametrize("name", MODELS)

SHORT = Settings(steps=30, batch_size=50)
DIVERGING = Settings(steps=30, batch_size=50, lr=1e30)
RUN_FILES = {
    "metrics.json",
    "metrics.csv",
    "checkpoint.safetensors",
    "curves.png",
    "graph.svg",
}


@pytest.fixture(scope="module")
def digits() -> tg.data.MNIST1D:
    return tg.data.mnist1d(num_samples=500)


def fresh(name: str, seed: int = 0) -> Module:
    tg.seed(seed)
    return make_model(name)


def bits(model: Module) -> list[bytes]:
    return [value.numpy().tobytes() for value in model.state_dict().values()]


class Steep(Module):
    """Its first backward makes infinity: the slope of a square root at 0."""

    STEP = 1

    def __init__(self) -> None:
        super().__init__()
        self.linear = tg.nn.Linear(40, 10)
        self.offset = tg.nn.Parameter(tg.zeros((10,)))

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.linear(x) + tg.sqrt(self.offset**2)  # the cause


class Growing(Module):
    """Its third forward makes infinity; it draws random numbers."""

    STEP = 3

    def __init__(self, by: int = 30) -> None:
        super().__init__()
        self.by = by
        self.linear = tg.nn.Linear(40, 10)
        self.dropout = tg.nn.Dropout(0.5)
        self.register_buffer("exponent", tg.zeros(()))

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        self.exponent.data = self.exponent + self.by
        return self.linear(self.dropout(x)) * tg.exp(self.exponent)  # the cause


def line_of_the_cause(module: type[Module]) -> int:
    lines, start = inspect.getsourcelines(module)
    return start + next(i for i, line in enumerate(lines) if "# the cause" in line)


def metrics_of(history: list[Measurement], **changes: Any) -> Metrics:
    fields: dict[str, Any] = {
        "model": "mlp",
        "settings": SHORT,
        "seed": 3,
        "device": "cpu",
        "shuffle_seq": False,
        "parameters": 15210,
        "status": "finished",
        "seconds": 1.5,
        "compiled": True,
        "history": history,
    }
    return Metrics(**{**fields, **changes})


def a_history(*steps: int) -> list[Measurement]:
    return [Measurement(step, 2.0 / step, 60.0, 2.5 / step, 50.0 + step) for step in steps]


def strict_json(path: Path) -> Any:
    """Parse JSON without the NaN and Infinity that Python would let pass."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


class TestSettings:
    @pytest.mark.parametrize(
        "nonsense",
        [
            {"steps": 0},
            {"lr": 0.0},
            {"lr": -1.0},
            {"lr": math.inf},
            {"lr": math.nan},
            {"batch_size": 0},
            {"weight_decay": -0.1},
            {"weight_decay": math.nan},
            {"schedule": "linear"},
        ],
    )
    def test_nonsense_is_refused_by_name(self, nonsense: dict[str, Any]) -> None:
        with pytest.raises(ArgumentError, match=next(iter(nonsense))):
            Settings(**nonsense)

    def test_a_constant_learning_rate_is_constant(self) -> None:
        settings = Settings(steps=10, lr=0.3)
        assert {settings.learning_rate(step) for step in range(1, 11)} == {0.3}

    def test_a_cosine_falls_from_the_learning_rate_to_just_above_zero(self) -> None:
        settings = Settings(steps=100, lr=0.3, schedule="cosine")
        rates = [settings.learning_rate(step) for step in range(1, 101)]
        assert rates[0] == 0.3
        assert rates == sorted(rates, reverse=True)
        assert 0 < rates[-1] < 0.001 * 0.3

    def test_steps_fall_to_a_tenth_after_half_and_to_a_hundredth_after_four_fifths(self) -> None:
        settings = Settings(steps=10, lr=1.0, schedule="steps")
        rates = [settings.learning_rate(step) for step in range(1, 11)]
        assert rates == [1.0] * 5 + [0.1] * 3 + [0.01] * 2

    def test_every_model_has_settings_and_published_results(self) -> None:
        assert list(MODELS) == list(DEFAULTS) == list(PUBLISHED) == list(PUBLISHED_SHUFFLED)


class TestModels:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("logistic", 40 * 10 + 10),
            ("mlp", (40 * 100 + 100) + (100 * 100 + 100) + (100 * 10 + 10)),
            ("cnn", (5 * 25 + 25) + 2 * (3 * 25 * 25 + 25) + (125 * 10 + 10)),
            ("gru", 2 * 3 * (6 * 1 + 6 * 6 + 6 + 6) + (40 * 2 * 6 * 10 + 10)),
        ],
    )
    def test_parameters_are_as_many_as_counted_by_hand(self, name: str, expected: int) -> None:
        assert sum(parameter.size for parameter in make_model(name).parameters()) == expected
        assert expected == {"logistic": 410, "mlp": 15210, "cnn": 5210, "gru": 5134}[name]

    @every_model
    @pytest.mark.parametrize("num_samples", [1, 7])
    def test_signals_become_logits_of_ten_digits(self, name: str, num_samples: int) -> None:
        signals = tg.tensor(np.zeros((num_samples, 40), dtype=np.float32))
        logits = make_model(name)(signals)
        assert logits.shape == (num_samples, 10)
        assert logits.dtype == np.float32

    @every_model
    def test_each_sample_is_classified_on_its_own(self, name: str, digits: tg.data.MNIST1D) -> None:
        model = make_model(name)
        together = model(tg.tensor(digits.x[:5])).detach().numpy()
        alone = [model(tg.tensor(digits.x[i : i + 1])).detach().numpy()[0] for i in range(5)]
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)

    def test_the_mlp_has_a_residual_around_its_second_layer(self, digits: tg.data.MNIST1D) -> None:
        model = fresh("mlp")
        w = {name: value.numpy() for name, value in model.state_dict().items()}
        hidden = np.maximum(digits.x @ w["linear1.weight"].T + w["linear1.bias"], 0)
        hidden += np.maximum(hidden @ w["linear2.weight"].T + w["linear2.bias"], 0)
        expected = hidden @ w["linear3.weight"].T + w["linear3.bias"]
        logits = model(tg.tensor(digits.x)).detach().numpy()
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)

    @every_model
    def test_every_parameter_gets_a_gradient(self, name: str, digits: tg.data.MNIST1D) -> None:
        model = fresh(name)
        logits = model(tg.tensor(digits.x[:20]))
        tg.nn.functional.cross_entropy(logits, tg.tensor(digits.y[:20])).backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            assert np.abs(parameter.grad.numpy()).max() > 0

    def test_an_unknown_name_is_an_error_that_lists_the_known(self) -> None:
        with pytest.raises(ArgumentError, match="logistic, mlp, cnn, gru; got 'rnn'"):
            make_model("rnn")


class TestLoop:
    @every_model
    def test_a_short_training_lowers_the_loss(self, name: str, digits: tg.data.MNIST1D) -> None:
        losses = [step.loss for step in train_steps(fresh(name), digits, SHORT)]
        assert len(losses) == 30
        assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])

    @every_model
    def test_the_same_seed_gives_the_same_bits(self, name: str, digits: tg.data.MNIST1D) -> None:
        first, second = fresh(name, 1), fresh(name, 1)
        settings = replace(SHORT, steps=8)
        assert fit(first, digits, settings, seed=1) == fit(second, digits, settings, seed=1)
        assert bits(first) == bits(second)

    @every_model
    def test_compiled_steps_give_the_same_bits(self, name: str, digits: tg.data.MNIST1D) -> None:
        settings = replace(SHORT, steps=8, weight_decay=0.1, schedule="steps")
        compiled, plain = fresh(name), fresh(name)
        measured = fit(compiled, digits, settings, measure_every=3)
        assert measured == fit(plain, digits, settings, measure_every=3, compiled=False)
        assert bits(compiled) == bits(plain)

    def test_compiled_steps_end_at_the_same_loss_that_is_not_finite(
        self, digits: tg.data.MNIST1D
    ) -> None:
        x = digits.x.copy()
        x[7] = np.nan
        compiled, plain = fresh("mlp"), fresh("mlp")
        steps = list(train_steps(compiled, replace(digits, x=x), SHORT))
        assert 4 < len(steps) < 30, "it comes when steps are replayed"
        others = list(train_steps(plain, replace(digits, x=x), SHORT, compiled=False))
        assert repr(steps) == repr(others)  # a NaN equals itself only as text
        assert bits(compiled) == bits(plain)

    def test_a_model_that_cannot_be_compiled_is_trained_as_it_is_with_one_warning(
        self, digits: tg.data.MNIST1D
    ) -> None:
        class Peeking(MLP):
            def forward(self, x: tg.Tensor) -> tg.Tensor:
                x = tg.nn.functional.dropout(x, 0.1, training=self.training)
                logits = super().forward(x)
                return logits * 2.0 if logits.mean().item() > 0 else logits

        def trained(**options: bool) -> list[bytes]:
            tg.seed(0)
            model = Peeking()
            fit(model, digits, replace(SHORT, steps=4), **options)
            return bits(model)

        with pytest.warns(UserWarning, match="continues uncompiled") as caught:
            compiled = trained()
        assert len(caught) == 1
        assert compiled == trained(compiled=False)

    def test_another_seed_of_the_batches_gives_other_numbers(self, digits: tg.data.MNIST1D) -> None:
        first = fit(fresh("mlp"), digits, SHORT, seed=1)
        assert first != fit(fresh("mlp"), digits, SHORT, seed=2)

    def test_another_seed_of_the_parameters_gives_other_numbers(
        self, digits: tg.data.MNIST1D
    ) -> None:
        assert fit(fresh("mlp", 1), digits, SHORT) != fit(fresh("mlp", 2), digits, SHORT)

    def test_measures_at_the_steps_asked_for_and_at_the_last(self, digits: tg.data.MNIST1D) -> None:
        history = fit(fresh("logistic"), digits, SHORT, measure_every=8)
        assert [measurement.step for measurement in history] == [8, 16, 24, 30]

    def test_a_measurement_is_the_mean_of_its_batches_and_the_whole_test_set(
        self, digits: tg.data.MNIST1D
    ) -> None:
        model = fresh("mlp")
        steps = list(train_steps(fresh("mlp"), digits, SHORT))
        *_, last = fit(model, digits, SHORT, measure_every=10)
        assert last.loss == pytest.approx(np.mean([step.loss for step in steps[20:]]))
        assert last.train_accuracy == pytest.approx(np.mean([s.accuracy for s in steps[20:]]))
        x_test, y_test = tg.tensor(digits.x_test), tg.tensor(digits.y_test)
        assert (last.test_loss, last.test_accuracy) == evaluate(model, x_test, y_test)

    def test_measuring_does_not_change_the_training(self, digits: tg.data.MNIST1D) -> None:
        often, seldom = fresh("mlp"), fresh("mlp")
        fit(often, digits, SHORT, measure_every=1)
        fit(seldom, digits, SHORT, measure_every=30)
        assert bits(often) == bits(seldom)

    def test_stops_between_two_steps_when_asked_to(self, digits: tg.data.MNIST1D) -> None:
        seen: list[int] = []
        history = fit(
            fresh("logistic"),
            digits,
            SHORT,
            on_step=lambda step: seen.append(step.number),
            should_stop=lambda: len(seen) == 5,
        )
        assert seen == [1, 2, 3, 4, 5]
        assert history[-1].step == 5
        assert status(history, SHORT) == "interrupted"

    def test_a_loss_that_is_not_finite_ends_the_training_and_is_told(
        self, digits: tg.data.MNIST1D
    ) -> None:
        history = fit(fresh("mlp"), digits, DIVERGING)
        assert history[-1].step < 30
        assert not history[-1].is_finite
        assert status(history, DIVERGING) == "diverged"

    @pytest.mark.parametrize("compiled", [True, False])
    def test_the_last_step_names_the_op_and_the_line_that_made_nan_or_infinity(
        self, digits: tg.data.MNIST1D, compiled: bool
    ) -> None:
        for module, op in [(Steep, "the rule of sqrt made -inf"), (Growing, "exp made inf")]:
            tg.seed(0)
            *steps, last = train_steps(module(), digits, SHORT, compiled=compiled)
            assert all(step.cause is None for step in steps)
            assert op in (last.cause or "")
            assert f"at test_train.py:{line_of_the_cause(module)}: " in (last.cause or "")
            assert f"at step {module.STEP} " in (last.cause or "")

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_was_in_the_data_is_called_that(
        self, digits: tg.data.MNIST1D, value: float
    ) -> None:
        x = digits.x.copy()
        x[7, 3] = value
        *_, last = train_steps(fresh("mlp"), replace(digits, x=x), replace(SHORT, steps=300))
        assert last.cause == f"at step {last.number} the data had {value} in sample 7 at [3]"

    def test_looking_for_the_cause_leaves_random_numbers_as_they_were(
        self, digits: tg.data.MNIST1D
    ) -> None:
        states = []
        for model in (Growing(by=0), Growing()):
            tg.seed(5)
            *_, last = train_steps(model, digits, replace(SHORT, steps=Growing.STEP))
            states.append((last.cause is None, default_generator.get_state()))
        assert states[0] == (True, states[1][1])
        assert not states[1][0]

    def test_an_update_without_a_finite_loss_leaves_the_model_as_it_is(self) -> None:
        model = fresh("logistic")
        before = bits(model)
        x = tg.tensor(np.full((3, 40), np.nan, dtype=np.float32))
        loss, _ = update(model, AdamW(model.parameters()), x, tg.tensor([0, 1, 2]))
        assert math.isnan(loss)
        assert bits(model) == before

    def test_a_cosine_starts_like_a_constant_rate_and_ends_elsewhere(
        self, digits: tg.data.MNIST1D
    ) -> None:
        constant = list(train_steps(fresh("mlp"), digits, SHORT))
        cosine = list(train_steps(fresh("mlp"), digits, replace(SHORT, schedule="cosine")))
        assert constant[:2] == cosine[:2]
        assert constant[-1] != cosine[-1]

    def test_weight_decay_makes_smaller_parameters(self, digits: tg.data.MNIST1D) -> None:
        def size_after(weight_decay: float) -> float:
            model = fresh("mlp")
            fit(model, digits, replace(SHORT, weight_decay=weight_decay))
            return sum(float((p.numpy() ** 2).sum()) for p in model.state_dict().values())

        assert size_after(1.0) < 0.9 * size_after(0.0)

    def test_a_batch_larger_than_the_training_set_is_an_error(
        self, digits: tg.data.MNIST1D
    ) -> None:
        with pytest.raises(ArgumentError, match=r"batch of 401 .* 400 samples"):
            fit(fresh("logistic"), digits, Settings(batch_size=401))

    def test_evaluating_gives_the_mode_back_and_leaves_no_gradients(
        self, digits: tg.data.MNIST1D
    ) -> None:
        model = fresh("mlp").train()
        loss, accuracy = evaluate(model, tg.tensor(digits.x), tg.tensor(digits.y))
        assert model.training
        assert all(parameter.grad is None for parameter in model.parameters())
        assert loss == pytest.approx(math.log(10), rel=0.1)
        assert 0 <= accuracy <= 40


class TestFiles:
    def test_an_earlier_run_is_never_overwritten_silently(self, tmp_path: Path) -> None:
        folders = [next_run_folder(tmp_path / "runs", "mlp-seed0").name for _ in range(3)]
        assert folders == ["mlp-seed0", "mlp-seed0-2", "mlp-seed0-3"]

    def test_a_folder_with_something_in_it_is_refused_unless_it_may_be_overwritten(
        self, tmp_path: Path
    ) -> None:
        folder = make_run_folder(tmp_path / "new" / "run")
        assert make_run_folder(folder) == folder, "an empty one is taken"
        (folder / "notes.txt").write_text("mine")
        with pytest.raises(ArgumentError, match="not empty"):
            make_run_folder(folder)
        assert make_run_folder(folder, overwrite=True) == folder
        assert (folder / "notes.txt").read_text() == "mine"


class TestCheckpoint:
    about = Checkpoint("mlp", step=30, seed=0, shuffle_seq=False, settings=SHORT)

    @every_model
    def test_a_model_comes_back_with_the_same_bits_and_accuracy(
        self, name: str, digits: tg.data.MNIST1D, tmp_path: Path
    ) -> None:
        model, path = fresh(name), tmp_path / "checkpoint.safetensors"
        history = fit(model, digits, replace(SHORT, steps=5))
        about = replace(self.about, model=name)
        save_checkpoint(path, model, about)
        loaded, loaded_about = load_model(path)
        assert loaded_about == about
        assert bits(loaded) == bits(model)
        x_test, y_test = tg.tensor(digits.x_test), tg.tensor(digits.y_test)
        assert evaluate(loaded, x_test, y_test)[1] == history[-1].test_accuracy

    def test_parameters_in_any_memory_order_come_back_right(self, tmp_path: Path) -> None:
        model, path = MLP(), tmp_path / "checkpoint.safetensors"
        weight = np.asfortranarray(model.state_dict()["linear1.weight"].numpy())
        model.linear1.weight.data = weight
        save_checkpoint(path, model, self.about)
        other = MLP()
        load_checkpoint(path, other)
        np.testing.assert_array_equal(other.linear1.weight.detach().numpy(), weight)

    def test_another_model_is_refused_and_stays_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        save_checkpoint(path, fresh("mlp"), self.about)
        other = fresh("cnn")
        before = bits(other)
        with pytest.raises(StateDictError):
            load_checkpoint(path, other)
        assert bits(other) == before

    def test_a_file_that_is_no_checkpoint_is_named_in_the_error(self, tmp_path: Path) -> None:
        garbage = tmp_path / "garbage.safetensors"
        garbage.write_bytes(b"not a header")
        with pytest.raises(DataError, match=r"garbage.*safetensors file"):
            load_model(garbage)
        foreign = tmp_path / "foreign.safetensors"
        save_file({"weight": np.zeros(3)}, foreign)
        with pytest.raises(DataError, match=r"foreign.*metadata"):
            load_model(foreign)
        with pytest.raises(FileNotFoundError, match="missing"):
            load_model(tmp_path / "missing.safetensors")

    def test_a_checkpoint_of_an_unknown_model_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "checkpoint.safetensors"
        save_checkpoint(path, fresh("mlp"), replace(self.about, model="transformer"))
        with pytest.raises(DataError, match="transformer"):
            load_model(path)


class TestReport:
    def test_metrics_say_what_was_trained_and_how_well(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.json"
        write_metrics(path, metrics_of(a_history(10, 20)))
        metrics = strict_json(path)
        assert metrics["test_accuracy"] == 70.0
        assert (metrics["published_accuracy"], metrics["published_spread"]) == (68, 2)
        assert (metrics["model"], metrics["seed"], metrics["status"]) == ("mlp", 3, "finished")
        assert metrics["settings"]["steps"] == 30
        assert metrics["steps_done"] == 20
        assert metrics["versions"]["numpy"] == np.__version__
        assert metrics["history"][0] == {
            "step": 10,
            "loss": 0.2,
            "train_accuracy": 60.0,
            "test_loss": 0.25,
            "test_accuracy": 60.0,
        }

    def test_what_is_not_finite_is_null_in_json_and_empty_in_csv(self, tmp_path: Path) -> None:
        history = [*a_history(1), Measurement(2, math.nan, 10.0, math.inf, 10.0)]
        write_metrics(tmp_path / "metrics.json", metrics_of(history, status="diverged"))
        metrics = strict_json(tmp_path / "metrics.json")
        assert metrics["test_accuracy"] is None
        assert metrics["history"][1]["loss"] is None
        assert metrics["history"][1]["test_loss"] is None
        write_csv(tmp_path / "metrics.csv", history)
        assert (tmp_path / "metrics.csv").read_text().splitlines() == [
            "step,loss,train_accuracy,test_loss,test_accuracy",
            "1,2.0,60.0,2.5,51.0",
            "2,,10.0,,10.0",
        ]

    def test_the_table_sets_results_beside_the_published_ones(self) -> None:
        runs = [
            metrics_of(a_history(30), model="logistic", parameters=410),
            metrics_of(a_history(12), status="interrupted"),
            metrics_of([Measurement(2, math.nan, 10, math.nan, 10)], status="diverged"),
        ]
        assert results_table(runs).splitlines() == [
            "| model    | test accuracy, % | published, % | parameters |    steps | seconds |",
            "| -------- | ---------------: | -----------: | ---------: | -------: | ------: |",
            "| logistic |             80.0 |       32 ± 1 |        410 |       30 |     1.5 |",
            "| mlp      |             62.0 |       68 ± 2 |     15,210 | 12 of 30 |     1.5 |",
            "| mlp      |         diverged |       68 ± 2 |     15,210 |        2 |     1.5 |",
        ]

    def test_shuffled_points_are_compared_with_the_paper_s_shuffled_points(self) -> None:
        published = {
            name: metrics_of(a_history(1), model=name, shuffle_seq=True).published.accuracy
            for name in MODELS
        }
        assert published == {"logistic": 32, "mlp": 68, "cnn": 56, "gru": 57}

    @pytest.mark.parametrize(
        "history",
        [
            a_history(1),
            a_history(*range(1, 31)),
            [Measurement(1, math.nan, 10.0, math.inf, 10.0)],
        ],
        ids=["one step", "many", "diverged"],
    )
    def test_curves_are_drawn_for_any_history(
        self, history: list[Measurement], tmp_path: Path
    ) -> None:
        path = tmp_path / "curves.png"
        write_curves(path, metrics_of(history))
        image = matplotlib.image.imread(path)
        assert image.shape == (600, 1500, 4)
        assert image.std() > 0.05, "not blank"

    def test_models_are_compared_in_one_picture(self, tmp_path: Path) -> None:
        runs = [metrics_of(a_history(10, 20), model=name) for name in MODELS]
        write_comparison(tmp_path / "comparison.png", runs)
        assert matplotlib.image.imread(tmp_path / "comparison.png").shape[0] > 400


class TestRun:
    experiment = Experiment("mlp", replace(SHORT, steps=10), seed=4)

    def test_leaves_everything_in_its_folder(self, digits: tg.data.MNIST1D, tmp_path: Path) -> None:
        metrics = run(self.experiment, digits, tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == RUN_FILES
        written = strict_json(tmp_path / "metrics.json")
        assert written["status"] == "finished"
        assert written["test_accuracy"] == metrics.test_accuracy
        with (tmp_path / "metrics.csv").open(newline="") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        assert rows == written["history"]
        assert "<svg" in (tmp_path / "graph.svg").read_text(encoding="utf-8")

    def test_the_checkpoint_has_the_accuracy_of_the_metrics(
        self, digits: tg.data.MNIST1D, tmp_path: Path
    ) -> None:
        metrics = run(self.experiment, digits, tmp_path)
        model, about = load_model(tmp_path / "checkpoint.safetensors")
        accuracy = evaluate(model, tg.tensor(digits.x_test), tg.tensor(digits.y_test))[1]
        assert accuracy == metrics.test_accuracy
        assert about == Checkpoint("mlp", 10, 4, False, self.experiment.settings)

    def test_metrics_and_checkpoint_are_there_at_every_measurement(
        self, digits: tg.data.MNIST1D, tmp_path: Path
    ) -> None:
        measured: list[int] = []

        def check(history: list[Measurement]) -> None:
            metrics = strict_json(tmp_path / "metrics.json")
            assert metrics["status"] == "running"
            assert len(metrics["history"]) == len(history)
            assert load_model(tmp_path / "checkpoint.safetensors")[1].step == history[-1].step
            measured.append(history[-1].step)

        run(self.experiment, digits, tmp_path, on_measurement=check)
        assert measured == list(range(1, 11))

    def test_a_diverged_run_keeps_the_checkpoint_from_before(
        self, digits: tg.data.MNIST1D, tmp_path: Path
    ) -> None:
        x = digits.x.copy()
        x[7] = np.nan  # the batch that it is in has no finite loss
        metrics = run(self.experiment, replace(digits, x=x), tmp_path)
        assert metrics.status == "diverged"
        assert strict_json(tmp_path / "metrics.json")["test_accuracy"] is None
        model, about = load_model(tmp_path / "checkpoint.safetensors")
        assert about.step == metrics.history[-1].step - 1
        assert all(np.isfinite(value.numpy()).all() for value in model.state_dict().values())

    def test_a_run_that_diverges_at_once_still_leaves_metrics_and_pictures(
        self, digits: tg.data.MNIST1D, tmp_path: Path
    ) -> None:
        (tmp_path / "checkpoint.safetensors").write_text("of an earlier run")
        run(replace(self.experiment, settings=DIVERGING), digits, tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == RUN_FILES - {"checkpoint.safetensors"}
