"""Pretrain one encoder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.utils import get_class, instantiate

from trivium.config import Config, pretraining_values, recipe_names, without_numerics
from trivium.identity import finished_folder, run_place, store_folder
from trivium.stages.entry import in_sweep
from trivium.stages.prepare import open_store

if TYPE_CHECKING:
    from trivium.data.store import Store
    from trivium.encoders.towers import Towers
    from trivium.training.folder import RunFolder
    from trivium.training.optimizer import OptimiserFactory
    from trivium.types import Encoder, Modality, Objective


def main(values: Config) -> float | None:
    """Pretrain by a composed config; the validation accuracy, None on unlabelled data.

    A run that is finished already is used again.
    """
    values = pretraining_values(values)
    if (finished := finished_folder(values, run_place)) is not None:
        return reused(values, finished)
    check(without_numerics(values))
    for settings in values["towers"].values():
        from trivium.features import find_encoder

        settings["checkpoint"] = str(find_encoder(settings["checkpoint"]))
    from trivium.training.folder import RunFolder

    _, store = open_store(values)
    path, identity, done = run_place(values, store.fingerprint)
    if done and not values["overwrite"]:  # it was prepared anew, and is the same
        return reused(values, path)
    folder = RunFolder(path, identity)
    folder.begin(values)
    return run(values, store, folder)


def reused(values: Config, folder: Path) -> float | None:
    """Say that the run is finished already; what it returned. It counts as a trial of a sweep."""
    from trivium.stages.tracked import origin

    print(f"{folder} holds this run already{origin(folder, values)}; overwrite=true repeats it.")
    metrics = json.loads((folder / "metrics.json").read_text())
    accuracy: float | None = metrics.get("validation_accuracy")
    if in_sweep():
        from trivium.tracking import names
        from trivium.tracking.run import start_run

        tags = {names.KIND: names.Kind.REUSED}
        with start_run(label(values), tags, values, **values["tracking"]) as writer:
            if accuracy is not None:
                writer.log_metrics({names.SELECTION_ACCURACY: accuracy}, metrics["num_steps"])
    return accuracy


def label(values: Config) -> str:
    """The name of a tracked run."""
    return f"{values['method']} · {values['seed']} · {values['data']['name']}"


def check(values: Config) -> None:
    """Refuse what cannot work before any data or weights are loaded."""
    from trivium.data.prepare import spec_from_config
    from trivium.data.splits import check_share
    from trivium.objectives.compatibility import check as check_compatibility
    from trivium.training.budget import Budget
    from trivium.training.settings import TrainerSettings

    Budget(**values["budget"])
    TrainerSettings(**values["trainer"])
    data = spec_from_config(values["data"], values["task"], store_folder(values), values["part"])
    objective = cast("type[Objective]", get_class(values["objective"]["_target_"]))
    views = views_of(values)
    check_share(values["data_fraction"])
    try_optimiser(values["optimizer"])
    check_compatibility(
        objective.needs,
        values["method"],
        get_class(values["encoder"]["_target_"]),
        data,
        views.num_views,
        column=views.gives,
        causal=bool(values["encoder"].get("causal", False)),
    )


def try_optimiser(settings: Config) -> None:
    """Build the optimizer over a dummy parameter, so that a wrong setting costs no training."""
    import torch

    try:
        dummy = torch.nn.Parameter(torch.zeros(1))
        optimiser(settings)([{"params": [dummy], "weight_decay": settings["weight_decay"]}])
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"optimizer {settings['_target_']} cannot be built: {cause}") from error


def views_of(values: Config) -> Any:
    """What makes the views, a `ViewsRecipe`: one recipe, or one for each of several modalities."""
    made = {
        modality: instantiate(values["views"][modality][name])
        for modality, name in recipe_names(values).items()
    }
    if len(made) == 1:
        return next(iter(made.values()))
    from trivium.transforms.multimodal import MultimodalViews

    return MultimodalViews(cast(Any, made))


def load_towers(encoder: "Encoder", towers: "dict[Modality, Config]") -> None:
    """Let towers begin with pretrained encoders, frozen or not."""
    from trivium.features import load_encoder

    for modality, settings in towers.items():
        if modality not in getattr(encoder, "modalities", ()):
            raise ValueError(
                f"towers.{modality} is set, but the encoder {encoder.name} has no such tower."
            )
        found = load_encoder(settings["checkpoint"])
        if modality in getattr(found, "modalities", ()):
            found = cast("Towers", found).tower(modality)
        frozen = bool(settings.get("frozen", False))
        cast("Towers", encoder).load_tower(modality, found, frozen=frozen)


def optimiser(settings: Config) -> "OptimiserFactory":
    """The optimizer's constructor; the weight decay goes to the parameter groups."""
    made: OptimiserFactory = instantiate({k: v for k, v in settings.items() if k != "weight_decay"})
    return made


def run(config: Config, store: "Store", folder: "RunFolder") -> float | None:
    """Build the parts and pretrain; the config is kept for the record."""
    import torch

    from trivium.evaluation.protocol import PROTOCOL
    from trivium.training.budget import Budget
    from trivium.training.run import pretrain
    from trivium.training.settings import MonitorSettings, PretrainingRun, TrainerSettings

    values = without_numerics(config)
    data = store.spec(values["task"])
    task = store.task(values["task"]) if store.meta.tasks else None
    torch.manual_seed(values["seed"])
    encoder: Encoder = instantiate(values["encoder"], data=data)
    load_towers(encoder, values["towers"])
    objective: Objective = instantiate(values["objective"], encoder=encoder, data=data)
    pretraining = PretrainingRun(
        objective=objective,
        views=views_of(values),
        optimiser=optimiser(values["optimizer"]),
        schedule=instantiate(values["schedule"]),
        weight_decay=values["optimizer"]["weight_decay"],
        budget=Budget(**values["budget"]),
        trainer=TrainerSettings(**values["trainer"]),
        monitor=MonitorSettings(**values["monitor"]),
        seed=values["seed"],
        task=task,
        facts={
            "dataset": data.name,
            "modality": data.modality,
            "paradigm": objective.paradigm,
            "objective": values["method"],
            "encoder": encoder.name,
            "seed": values["seed"],
            "data_fraction": values["data_fraction"],
            "task": task,
            "protocol": PROTOCOL,
            **({"joint": objective.joint} if store.parts else {}),
            "identity": folder.identity,
            "store": store.fingerprint,
            **({"tokenizer": store.tokenizer_sum} if store.tokenizer_sum else {}),
        },
        config=config,
        data_fraction=values["data_fraction"],
    )
    return pretrain(pretraining, store, folder, name=label(values), **values["tracking"])
