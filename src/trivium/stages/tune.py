"""Choose an objective's settings on validation."""

import os
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from trivium.compose import composed, grid_values
from trivium.config import Config, modality_of
from trivium.grid import Cell, Grid
from trivium.tracking import names

if TYPE_CHECKING:
    from optuna import Study, Trial

METRIC = names.SELECTION_ACCURACY
NUM_RANDOM = 4
"""Trials before the sampler (TPE, NeurIPS 2011) models what it has seen."""
FAILED = "broke down"


def main(values: Config) -> None:
    """Tune by a composed config: as many trials as it says, those of an earlier time included."""
    search, tune, method = values["search"], values["tune"], str(values["method"])
    if not search:
        raise ValueError(f"the yaml of {method} has no `search`: there is nothing to tune.")
    import optuna
    from filelock import FileLock

    from trivium.tracking.query import Trials
    from trivium.tracking.run import PARENT, start_run

    if values["data"]["modality"] != "image":
        method += f"-{values['data']['modality']}"
    folder = Path(tune["storage"])
    folder.mkdir(parents=True, exist_ok=True)
    tuning = Tuning(values)
    lock = FileLock(folder / f"{method}.lock", timeout=0)
    tags = {names.KIND: names.Kind.SWEEP, names.SWEEP_METRIC: METRIC}
    parameters = {names.SEARCH: search, names.TUNING: tune}
    label, experiment = f"tune {method}", values["tracking"]["experiment"]
    with lock, start_run(label, tags, parameters, experiment=experiment) as run:
        study = open_study(folder / f"{method}.db", method, tuning.defaults())
        if run.run_id:
            os.environ[PARENT] = run.run_id
        while (num_done := len(complete(study))) < tune["num_trials"]:
            # A fixed seed would repeat its suggestions after a resume.
            seed = len(study.trials)
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=NUM_RANDOM)
            study.optimize(tuning, n_trials=1)
            print(f"== {method}: trial {num_done + 1}/{tune['num_trials']} done", flush=True)
        os.environ.pop(PARENT, None)
        text = summary(study)
        (folder / f"{method}.md").write_text(text)
        print(text)
        run.log_text(text, "summary.md")
        run.describe(text)
        if run.run_id:
            run.log_metrics(Trials.of(run.run_id, METRIC).metrics(), step=0)


class Tuning:
    """What one trial does: pretrain on every dataset of the grid with the suggested settings."""

    def __init__(self, values: Config) -> None:
        self.values, self.search = values, values["search"]
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

    def defaults(self) -> Config:
        """The settings as the yaml has them now."""
        return {key: reduce(getitem, key.split("."), self.values) for key in self.search}

    def suggest(self, trial: "Trial") -> Config:
        """Settings of one trial."""
        found: Config = {}
        for key, space in self.search.items():
            if "choices" in space:
                found[key] = trial.suggest_categorical(key, space["choices"])
            elif isinstance(space["low"], int):
                found[key] = trial.suggest_int(key, **space)
            else:
                found[key] = trial.suggest_float(key, **space)
        return found

    def __call__(self, trial: "Trial") -> float:
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
                trial.set_user_attr(f"{cell.dataset} {FAILED}", str(error))
                scores.append(0.0)
            trial.set_user_attr(cell.dataset, round(scores[-1], 4))
        return sum(scores) / len(scores)


def open_study(path: Path, name: str, defaults: Config) -> "Study":
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


def complete(study: "Study") -> list[Any]:
    """The trials that came to their end."""
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def summary(study: "Study") -> str:
    """The trials as a markdown table, best first."""
    from trivium.tracking.query import markdown

    done = sorted(complete(study), key=lambda trial: -trial.value)
    keys = list(done[0].params)
    datasets = [key for key in done[0].user_attrs if not key.endswith(FAILED)]
    rows = []
    for trial in done:
        values = [trial.params[key] for key in keys]
        settings = [f"{one:.3g}" if isinstance(one, float) else str(one) for one in values]
        scores = [f"{trial.user_attrs[name]:.4f}" for name in datasets]
        rows.append([str(trial.number), *settings, *scores, f"{trial.value:.4f}"])
    return markdown(["trial", *keys, *datasets, "mean"], rows) + "\n"
