"""Fine-tune a pretrained encoder."""

from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from trivium.config import finetuning_values, without_numerics
from trivium.identity import is_measured, measurement_identity, measurement_name
from trivium.stages.pretrain import optimiser, try_optimiser, views_of
from trivium.stages.probe import FACTS, RAW, check_tokenizer
from trivium.stages.tracked import home, mark_measured, origin, track


def main(values: dict[str, Any]) -> None:
    """Fine-tune by a composed config; what is finished already is not repeated."""
    values = finetuning_values(values)
    built = without_numerics(values)
    encoder, source, facts = check(built)
    import torch

    from trivium.data.prepare import prepare
    from trivium.encoders.checkpoint import checkpoint_hash
    from trivium.evaluation.protocol import Protocol
    from trivium.evaluation.results import write_evaluation
    from trivium.training.finetune import finetune

    how = finetuning(built, facts)
    protocol = Protocol(fractions=values["fractions"], num_draws=values["num_draws"])
    if how.trainer.num_threads is not None:
        torch.set_num_threads(how.trainer.num_threads)
    store = prepare(values["data"], Path(values["stores"]) / values["data"]["name"])
    store = store if values["part"] is None else store.part(values["part"])
    check_tokenizer(facts, store, source)
    identity = measurement_identity(values, store.fingerprint, source)
    folder = finetune_folder(values, source, identity)
    if is_measured(folder, identity) and not values["overwrite"]:
        print(f"{folder} holds this already{origin(folder, values)}; overwrite=true repeats it.")
        return
    digest, task = checkpoint_hash(source), store.task(values["task"])
    known = {key: facts[key] for key in FACTS} | {"task": task}
    evaluation = finetune(how, encoder, store, protocol, known, checkpoint=digest, task=task)
    own = home(source, store, task)
    label = "-".join(str(facts[key]) for key in ("dataset", "objective", "seed"))
    label += "" if own[:2] == (store.meta.name, task) else f"-on-{store.meta.name}-{task}"
    write_evaluation(evaluation, folder)
    # In the tracker its files lie below those of the probes of that task, not over them.
    track(evaluation, store, folder, own, below=["finetune"])
    for one in evaluation.records:
        if (one["split"], one["metric"]) == ("test", "accuracy"):
            print(
                f"{label}, {task}: fine-tuned on {one['fraction']:.0%} of labels, draw "
                f"{one['draw']}, lr {one['lr']:g}: test accuracy {one['value']:.4f}"
            )
    mark_measured(folder, identity)


def finetune_folder(values: dict[str, Any], source: Path, identity: str) -> Path:
    """The folder of the results: as given, or named like a probe's."""
    if values["finetune_dir"]:
        return Path(values["finetune_dir"])
    return Path("outputs/finetuned") / measurement_name(values, source, identity)


def check(values: dict[str, Any]) -> tuple[Any, Path, dict[str, Any]]:
    """Refuse what cannot work before any data are loaded; the encoder, its folder and facts."""
    if values["checkpoint"] == RAW:
        raise ValueError(
            "checkpoint=raw is the input itself, without weights to fine-tune: give a run's folder."
        )
    from trivium.data.prepare import spec_from_config
    from trivium.encoders.checkpoint import read_facts
    from trivium.features import find_encoder, load_encoder
    from trivium.objectives.compatibility import check as check_contract
    from trivium.objectives.supervised.cross_entropy import CrossEntropy

    source = find_encoder(values["checkpoint"])
    facts = read_facts(source)
    where = Path(values["stores"]) / values["data"]["name"]
    data = spec_from_config(values["data"], values["task"], where, values["part"])
    for name, modality in ((source, facts["modality"]), (data.name, data.modality)):
        if "+" in modality:
            raise ValueError(
                f"{name} is of {modality}; fine-tuning is of one modality so far: give the run of "
                "one modality and its data (of several modalities with part=image, text or audio)."
            )
    encoder, views = load_encoder(source), views_of(values)
    check_contract(
        CrossEntropy.needs, "fine-tuning", encoder, data, views.num_views, column=views.gives
    )
    return encoder, source, facts


def finetuning(values: dict[str, Any], facts: dict[str, Any]) -> Any:
    """What a fine-tuning is made of; wrong settings are refused."""
    from trivium.training.budget import Budget
    from trivium.training.finetune import FineTuning
    from trivium.training.settings import TrainerSettings

    settings, lr = values["optimizer"], values["optimizer"]["lr"]
    by_lr = {float(one): {**settings, "lr": one} for one in (lr if isinstance(lr, list) else [lr])}
    for one in by_lr.values():
        try_optimiser(one)
    return FineTuning(
        objective=lambda encoder, data: instantiate(
            values["objective"], encoder=encoder, data=data
        ),
        views=views_of(values),
        optimisers={one: optimiser(chosen) for one, chosen in by_lr.items()},
        schedule=instantiate(values["schedule"]),
        weight_decay=settings["weight_decay"],
        budget=Budget(**values["budget"]),
        trainer=TrainerSettings(**values["trainer"]),
        layer_decay=values["layer_decay"],
        seed=facts["seed"] if values["seed"] is None else values["seed"],
    )
