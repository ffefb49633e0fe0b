"""Pretrain one encoder: python pipelines/pretrain.py data=NAME objective=PARADIGM/METHOD seed=N."""

from pathlib import Path
from typing import Any

import hydra
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig

from _house import clear_errors
from trivium.config import digest, plain, prune, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="pretrain")
@clear_errors
def main(config: DictConfig) -> float | None:
    values = prune(plain(config))
    data, budget = check(values)
    from trivium.pretraining.folder import RunFolder

    name = digest(values)
    where = Path(values["run_dir"] or f"outputs/runs/{values['cell']}-{values['seed']}-{name}")
    folder = RunFolder(where, name)
    if folder.finished and not values["overwrite"]:
        print(f"{where} holds this run already; overwrite=true repeats it.")
        return finished_accuracy(where)
    folder.begin(values)
    return run(values, data, budget, folder)


def check(values: dict[str, Any]) -> tuple[Any, Any]:
    """Refuse what cannot work before any data or weights are loaded."""
    from trivium.data.catalogue import spec_from_config
    from trivium.objectives.contract import check as check_contract
    from trivium.pretraining.budget import Budget

    budget = Budget(**values["budget"])
    store = Path(values["stores"]) / values["data"]["name"]
    data = spec_from_config(values["data"], values["task"], store)
    objective = get_class(values["objective"]["_target_"])
    views = values["views"][data.modality][values["objective_views"]]["views"]
    check_contract(
        objective.needs,
        values["method"],
        get_class(values["encoder"]["_target_"]),
        data,
        len(views),
    )
    return data, budget


def run(values: dict[str, Any], data: Any, budget: Any, folder: Any) -> float | None:
    """Build the parts and pretrain."""
    import torch

    from trivium.data.catalogue import prepare
    from trivium.pretraining.run import Recipe, pretrain
    from trivium.pretraining.settings import TrainerSettings, monitor_settings
    from trivium.probes.protocol import PROTOCOL

    store = prepare(values["data"], Path(values["stores"]) / data.name)
    task = store.task(values["task"]) if store.meta.tasks else None
    torch.manual_seed(values["seed"])
    encoder = instantiate(values["encoder"], data=data)
    objective = instantiate(values["objective"], encoder=encoder, data=data)
    optimiser = {key: value for key, value in values["optimizer"].items() if key != "weight_decay"}
    recipe = Recipe(
        objective=objective,
        views=instantiate(values["views"][data.modality][values["objective_views"]]),
        optimiser=instantiate(optimiser),
        schedule=instantiate(values["schedule"]),
        weight_decay=values["optimizer"]["weight_decay"],
        budget=budget,
        trainer=TrainerSettings(**values["trainer"]),
        monitor=monitor_settings(values["monitor"]),
        seed=values["seed"],
        task=task,
        facts={
            "dataset": data.name,
            "modality": data.modality,
            "paradigm": objective.paradigm,
            "objective": values["method"],
            "encoder": encoder.name,
            "seed": values["seed"],
            "task": task,
            "protocol": PROTOCOL,
            "digest": folder.digest,
            "store": store.fingerprint,
        },
        config=values,
    )
    label = f"{values['method']} · {values['seed']} · {data.name}"
    return pretrain(recipe, store, folder, name=label, experiment=values["tracking"]["experiment"])


def finished_accuracy(folder: Path) -> float | None:
    """What the finished run returned."""
    import json

    accuracy: float | None = json.loads((folder / "metrics.json").read_text()).get(
        "validation_accuracy"
    )
    return accuracy


if __name__ == "__main__":
    main()
