"""Choose an objective's settings on validation."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from trivium.compose import composed, grid_values
from trivium.config import modality_of
from trivium.grid import Cell, Grid
from trivium.tracking import names


def main(values: dict[str, Any]) -> None:
    """Tune by a composed config: as many trials as it says, those of an earlier time included."""
    search = values["search"]
    if not search:
        raise ValueError(
            f"the yaml of {values['method']} has no `search`: there is nothing to tune."
        )
    import optuna
    from filelock import FileLock

    from trivium.tracking.run import PARENT, start_run
    from trivium.tracking.sweep import Table

    tune, method = values["tune"], str(values["method"])
    if values["data"]["modality"] != "image":
        method += f"-{values['data']['modality']}"
    folder = Path(tune["storage"])
    folder.mkdir(parents=True, exist_ok=True)
    trials = Trials(values, search)
    lock = FileLock(folder / f"{method}.lock", timeout=0)
    tags = {names.KIND: names.Kind.SWEEP, names.SWEEP_METRIC: METRIC}
    parameters = {names.SEARCH: search, names.TUNING: tune}
    label, experiment = f"tune {method}", values["tracking"]["experiment"]
    with lock, start_run(label, tags, parameters, experiment=experiment) as run:
        study = open_study(folder / f"{method}.db", method, trials.defaults())
        if run.run_id:
            os.environ[PARENT] = run.run_id
        while (trial_number := num_complete(study)) < tune["num_trials"]:
            # A fixed seed would repeat its suggestions after a resume.
            seed = len(study.trials)
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=NUM_RANDOM)
            study.optimize(trials, n_trials=1)
            print(f"== {method}: trial {trial_number + 1}/{tune['num_trials']} done", flush=True)
        os.environ.pop(PARENT, None)
        text = summary(study)
        (folder / f"{method}.md").write_text(text)
        print(text)
        run.log_text(text, "summary.md")
        run.describe(text)
        if run.run_id:
            run.log_metrics(Table(run.run_id, METRIC).metrics(), step=0)


METRIC = names.SELECTION_ACCURACY
NUM_RANDOM = 4
"""Trials before the sampler (TPE, NeurIPS 2011) models what it has seen."""


class Trials:
    """What one trial does: pretrain on every dataset of the grid with the suggested settings."""

    def __init__(self, values: dict[str, Any], search: dict[str, Any]) -> None:
        self.values = values
        self.search = search
        self.cells = list(self._cells())
        self.own = [
            item
            for item in HydraConfig.get().overrides.task
            if not item.startswith(("tune", "objective=", "data=", "seed="))
        ]

    def _cells(self) -> Iterator[Cell]:
        """The objective on each of the grid's datasets that are of the modality, or as asked."""
        objective = HydraConfig.get().runtime.choices["objective"]
        asked = self.values["tune"]["datasets"]
        entries = grid_values(self.values["tune"]["grid"])["cells"]
        wanted = {label: one for label, one in entries.items() if asked is None or label in asked}
        wanted |= {label: {} for label in asked or () if label not in entries}
        for label, entry in wanted.items():
            entry = {**entry, "objectives": [objective], "finetuned": []}
            (cell,) = Grid({"name": "tune", "seeds": [], "cells": {label: entry}}).cells
            data = composed("prepare", [f"data={cell.data}"])["data"]
            of = modality_of({"data": data, "part": cell.part})
            if asked is not None or of == self.values["data"]["modality"]:
                yield cell

    def defaults(self) -> dict[str, Any]:
        """The settings as the yaml has them now."""
        return {key: _selected(self.values, key) for key in self.search}

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Settings of one trial."""
        found = {}
        for key, space in self.search.items():
            if "choices" in space:
                found[key] = trial.suggest_categorical(key, space["choices"])
            elif isinstance(space["low"], int):
                found[key] = trial.suggest_int(key, **space)
            else:
                found[key] = trial.suggest_float(key, **space)
        return found

    def __call__(self, trial: Any) -> float:
        """Mean validation accuracy over the datasets; 0 where the training broke down."""
        from trivium.stages.pretrain import main as pretrain

        chosen = [f"{key}={value}" for key, value in self.suggest(trial).items()]
        tune, scores = self.values["tune"], []
        for cell in self.cells:
            part = [f"part={cell.part}"] if cell.part else []
            choices = [f"data={cell.data}", *part, f"objective={cell.objective}", *cell.overrides]
            price = [f"budget.flops={tune['flops']}", f"seed={tune['seed']}"]
            values = composed("pretrain", [*choices, *self.own, *price, *chosen])
            try:
                scores.append(pretrain(values) or 0.0)
            except (ArithmeticError, RuntimeError) as error:
                print(f"{cell.dataset}: {error}", flush=True)
                trial.set_user_attr(f"{cell.dataset} broke down", str(error))
                scores.append(0.0)
            trial.set_user_attr(cell.dataset, round(scores[-1], 4))
        return sum(scores) / len(scores)


def _selected(values: dict[str, Any], key: str) -> Any:
    """The value at a dotted key."""
    for name in key.split("."):
        values = values[name]
    return values


def open_study(path: Path, name: str, defaults: dict[str, Any]) -> Any:
    """The study on disk, or a new one that begins with the present settings."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{path}", study_name=name, direction="maximize", load_if_exists=True
    )
    for trial in study.trials:
        if trial.state.name == "RUNNING":  # its process was killed: try these settings again
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params or defaults)
    if not study.trials:
        study.enqueue_trial(defaults)
    return study


def num_complete(study: Any) -> int:
    """Trials that came to their end."""
    return sum(trial.state.name == "COMPLETE" for trial in study.trials)


def summary(study: Any) -> str:
    """The trials as a markdown table, best first."""
    from trivium.tracking.sweep import markdown

    done = sorted((t for t in study.trials if t.state.name == "COMPLETE"), key=lambda t: -t.value)
    keys = list(done[0].params)
    datasets = [key for key in done[0].user_attrs if not key.endswith("broke down")]
    header = ["trial", *keys, *datasets, "mean"]
    rows = []
    for trial in done:
        settings = [
            f"{value:.3g}" if isinstance(value, float) else str(value)
            for value in (trial.params[key] for key in keys)
        ]
        scores = [f"{trial.user_attrs[name]:.4f}" for name in datasets]
        rows.append([str(trial.number), *settings, *scores, f"{trial.value:.4f}"])
    return markdown(header, rows) + "\n"
