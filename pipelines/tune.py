"""Choose an objective's settings on validation: tune.py objective=PARADIGM/METHOD."""

import os
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from _compose import cell_choices, composed, modality_of, read_grid
from _house import clear_errors, start
from trivium.config import register
from trivium.tracking import names

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="tune")
@clear_errors
def main(config: DictConfig) -> None:
    search: Any = OmegaConf.to_container(config.search, resolve=True)
    if not search:
        raise ValueError(f"the yaml of {config.method} has no `search`: there is nothing to tune.")
    import optuna
    from filelock import FileLock

    from trivium.tracking.lifecycle import PARENT, start_run
    from trivium.tracking.sweep import Table

    sweep, method = config.sweep, str(config.method)
    if config.data.modality != "image":
        method += f"-{config.data.modality}"
    folder = Path(sweep.storage)
    folder.mkdir(parents=True, exist_ok=True)
    trials = Trials(config, search)
    lock = FileLock(folder / f"{method}.lock", timeout=0)
    tags = {names.KIND: names.Kind.SWEEP, names.SWEEP_METRIC: METRIC}
    parameters = {names.SEARCH: search, names.TUNING: OmegaConf.to_container(sweep)}
    label, experiment = f"tune {method}", config.tracking.experiment
    with lock, start_run(label, tags, parameters, experiment=experiment) as run:
        study = open_study(folder / f"{method}.db", method, trials.defaults())
        if run.run_id:
            os.environ[PARENT] = run.run_id
        while (trial_number := num_complete(study)) < sweep.num_trials:
            # A fixed seed would repeat its suggestions after a resume.
            seed = len(study.trials)
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=NUM_RANDOM)
            study.optimize(trials, n_trials=1)
            print(f"== {method}: trial {trial_number + 1}/{sweep.num_trials} done", flush=True)
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

    def __init__(self, config: DictConfig, search: dict[str, Any]) -> None:
        self.config = config
        self.search = search
        self.grid = read_grid(config.sweep.grid)
        own = [name for name in self.grid["datasets"] if modality_of(name) == config.data.modality]
        self.grid["datasets"] = list(config.sweep.datasets or own)
        self.own = [
            item
            for item in HydraConfig.get().overrides.task
            if not item.startswith(("sweep", "objective=", "data=", "seed="))
        ]

    def defaults(self) -> dict[str, Any]:
        """The settings as the yaml has them now."""
        return {key: OmegaConf.select(self.config, key) for key in self.search}

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
        from pretrain import pretrained

        chosen = [f"{key}={value}" for key, value in self.suggest(trial).items()]
        scores = []
        for dataset in self.grid["datasets"]:
            choices = cell_choices(f"{dataset}-{self.config.method}", self.grid)
            price = [f"budget.flops={self.config.sweep.flops}", f"seed={self.config.sweep.seed}"]
            values = composed("pretrain", [*choices, *self.own, *price, *chosen])
            try:
                scores.append(pretrained(values) or 0.0)
            except (ArithmeticError, RuntimeError) as error:
                print(f"{dataset}: {error}", flush=True)
                trial.set_user_attr(f"{dataset} broke down", str(error))
                scores.append(0.0)
            trial.set_user_attr(dataset, round(scores[-1], 4))
        return sum(scores) / len(scores)


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


if __name__ == "__main__":
    start(main)
