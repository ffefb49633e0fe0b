"""Pretrain one encoder."""

from pathlib import Path
from typing import Any, cast

from hydra.utils import get_class, instantiate

from trivium.config import pretraining_values, recipe_names, without_numerics
from trivium.identity import is_finished, prepared_fingerprint, run_identity
from trivium.stages.entry import in_sweep


def main(values: dict[str, Any]) -> float | None:
    """Pretrain by a composed config; the validation accuracy, None on unlabelled data.

    A run that is finished already is used again.
    """
    values = pretraining_values(values)
    if (finished := finished_folder(values)) is not None:
        return reused(values, finished)
    built = without_numerics(values)
    data, budget, trainer = check(built)
    for settings in values["towers"].values():
        from trivium.features import find_encoder

        settings["checkpoint"] = str(find_encoder(settings["checkpoint"]))
    from trivium.data.prepare import prepare
    from trivium.training.folder import RunFolder

    store = prepare(values["data"], Path(values["stores"]) / data.name)
    store = store if values["part"] is None else store.part(values["part"])
    identity = run_identity(values, store.fingerprint)
    folder = RunFolder(run_folder(values, identity), identity)
    if folder.finished and not values["overwrite"]:  # it was prepared anew, and is the same
        return reused(values, folder.path)
    folder.begin(values)
    return run({**built, "towers": values["towers"]}, values, store, budget, trainer, folder)


def finished_folder(values: dict[str, Any]) -> Path | None:
    """The folder of this very run if it is finished; found without torch."""
    store = Path(values["stores"]) / values["data"]["name"]
    fingerprint = prepared_fingerprint(store, values["data"], values["part"])
    if fingerprint is None or values["overwrite"]:
        return None
    try:
        identity = run_identity(values, fingerprint)
    except FileNotFoundError:  # a tower that the tracker keeps
        return None
    folder = run_folder(values, identity)
    return folder if is_finished(folder, identity) else None


def reused(values: dict[str, Any], folder: Path) -> float | None:
    """Say that the run is finished already; what it returned."""
    from trivium.stages.tracked import origin

    print(f"{folder} holds this run already{origin(folder, values)}; overwrite=true repeats it.")
    metrics = finished_metrics(folder)
    if in_sweep():
        note_reuse(values, metrics)
    accuracy: float | None = metrics.get("validation_accuracy")
    return accuracy


def run_folder(values: dict[str, Any], identity: str) -> Path:
    """The run's folder: as given, or named by what the run computes."""
    if values["run_dir"]:
        return Path(values["run_dir"])
    return Path(f"outputs/runs/{values['cell']}-{values['seed']}-{identity}")


def check(values: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Refuse what cannot work before any data or weights are loaded."""
    from trivium.data.prepare import spec_from_config
    from trivium.data.splits import check_share
    from trivium.objectives.compatibility import check as check_contract
    from trivium.training.budget import Budget
    from trivium.training.settings import TrainerSettings

    budget, trainer = Budget(**values["budget"]), TrainerSettings(**values["trainer"])
    store = Path(values["stores"]) / values["data"]["name"]
    data = spec_from_config(values["data"], values["task"], store, values["part"])
    objective: Any = get_class(values["objective"]["_target_"])
    views = views_of(values)
    check_share(values["data_fraction"])
    try_optimiser(values["optimizer"])
    check_contract(
        objective.needs,
        values["method"],
        get_class(values["encoder"]["_target_"]),
        data,
        views.num_views,
        column=views.gives,
        causal=bool(values["encoder"].get("causal", False)),
    )
    return data, budget, trainer


def try_optimiser(settings: dict[str, Any]) -> None:
    """Build the optimizer over a dummy parameter, so that a wrong setting costs no training."""
    import torch

    try:
        dummy = torch.nn.Parameter(torch.zeros(1))
        optimiser(settings)([{"params": [dummy], "weight_decay": settings["weight_decay"]}])
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"optimizer {settings['_target_']} cannot be built: {cause}") from error


def views_of(values: dict[str, Any]) -> Any:
    """What makes the views: one recipe, or one for each of several modalities."""
    made = {
        modality: instantiate(values["views"][modality][name])
        for modality, name in recipe_names(values).items()
    }
    if len(made) == 1:
        return next(iter(made.values()))
    from trivium.transforms.multimodal import MultimodalViews

    return MultimodalViews(cast(Any, made))


def load_towers(encoder: Any, towers: dict[str, Any]) -> None:
    """Let towers begin with pretrained encoders, frozen or not."""
    from trivium.features import load_encoder

    for modality, settings in towers.items():
        if modality not in getattr(encoder, "modalities", ()):
            raise ValueError(
                f"towers.{modality} is set, but the encoder {encoder.name} has no such tower."
            )
        found: Any = load_encoder(settings["checkpoint"])
        if modality in getattr(found, "modalities", ()):
            found = found.tower(modality)
        encoder.load_tower(modality, found, frozen=bool(settings.get("frozen", False)))


def optimiser(settings: dict[str, Any]) -> Any:
    """The optimizer's constructor; the weight decay goes to the parameter groups."""
    return instantiate({key: value for key, value in settings.items() if key != "weight_decay"})


def run(
    values: dict[str, Any],
    config: dict[str, Any],
    store: Any,
    budget: Any,
    trainer: Any,
    folder: Any,
) -> float | None:
    """Build the parts by `values` and pretrain; `config` is kept for the record."""
    import torch

    from trivium.evaluation.protocol import PROTOCOL
    from trivium.training.run import pretrain
    from trivium.training.settings import MonitorSettings, PretrainingRun

    data = store.spec(values["task"])
    task = store.task(values["task"]) if store.meta.tasks else None
    torch.manual_seed(values["seed"])
    encoder = instantiate(values["encoder"], data=data)
    load_towers(encoder, values["towers"])
    objective = instantiate(values["objective"], encoder=encoder, data=data)
    pretraining = PretrainingRun(
        objective=objective,
        views=views_of(values),
        optimiser=optimiser(values["optimizer"]),
        schedule=instantiate(values["schedule"]),
        weight_decay=values["optimizer"]["weight_decay"],
        budget=budget,
        trainer=trainer,
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
    label = f"{values['method']} · {values['seed']} · {data.name}"
    return pretrain(pretraining, store, folder, name=label, **values["tracking"])


def note_reuse(values: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Let a finished run count as a trial of this sweep."""
    from trivium.tracking import names
    from trivium.tracking.run import start_run

    label = f"{values['method']} · {values['seed']} · {values['data']['name']}"
    with start_run(label, {names.KIND: names.Kind.REUSED}, values, **values["tracking"]) as writer:
        if (accuracy := metrics.get("validation_accuracy")) is not None:
            writer.log_metrics({names.SELECTION_ACCURACY: accuracy}, metrics["num_steps"])


def finished_metrics(folder: Path) -> dict[str, Any]:
    """What a finished run measured."""
    import json

    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics
