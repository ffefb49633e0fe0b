"""Fine-tune a pretrained encoder: python pipelines/finetune.py checkpoint=DIR data=NAME."""

from pathlib import Path
from typing import Any

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig

from _house import clear_errors, start
from pretrain import optimiser, try_optimiser, views_of
from probe import FACTS, RAW, check_tokenizer, home, track
from trivium.config import plain, prune, register

register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="finetune")
@clear_errors
def main(config: DictConfig) -> None:
    values = prune(plain(config))
    encoder, source, facts = check(values)
    import torch

    from trivium.data.catalogue import prepare
    from trivium.encoders.checkpoint import checkpoint_hash
    from trivium.pretraining.finetuned import finetune
    from trivium.probes.protocol import Protocol, write_evaluation

    how = finetuning(values, facts)
    protocol = Protocol(fractions=values["fractions"], num_draws=values["num_draws"])
    if how.trainer.num_threads is not None:
        torch.set_num_threads(how.trainer.num_threads)
    store = prepare(values["data"], Path(values["stores"]) / values["data"]["name"])
    store = store if values["part"] is None else store.part(values["part"])
    check_tokenizer(facts, store, source)
    digest, task = checkpoint_hash(source), store.task(values["task"])
    known = {key: facts[key] for key in FACTS} | {"task": task}
    evaluation = finetune(how, encoder, store, protocol, known, checkpoint=digest, task=task)
    own = home(source, store, task)
    label = "-".join(str(facts[key]) for key in ("dataset", "objective", "seed"))
    label += "" if own[:2] == (store.meta.name, task) else f"-on-{store.meta.name}-{task}"
    folder = Path(values["finetune_dir"] or f"outputs/finetuned/{label}-{digest[:8]}")
    write_evaluation(evaluation, folder)
    # In the tracker its files lie below those of the probes of that task, not over them.
    track(evaluation, store, folder, own, below=["finetune"])
    for one in evaluation.records:
        if (one["split"], one["metric"]) == ("test", "accuracy"):
            print(
                f"{label}, {task}: fine-tuned on {one['fraction']:.0%} of labels, draw "
                f"{one['draw']}, lr {one['lr']:g}: test accuracy {one['value']:.4f}"
            )


def check(values: dict[str, Any]) -> tuple[Any, Path, dict[str, Any]]:
    """Refuse what cannot work before any data are loaded; the encoder, its folder and facts."""
    if values["checkpoint"] == RAW:
        raise ValueError(
            "checkpoint=raw is the input itself, without weights to fine-tune: give a run's folder."
        )
    from trivium.data.catalogue import spec_from_config
    from trivium.embedding import find_encoder, load_encoder
    from trivium.encoders.checkpoint import read_facts
    from trivium.objectives.contract import check as check_contract
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
    from trivium.pretraining.budget import Budget
    from trivium.pretraining.finetuning import FineTuning
    from trivium.pretraining.settings import trainer_settings

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
        trainer=trainer_settings(values["trainer"]),
        layer_decay=values["layer_decay"],
        seed=facts["seed"] if values["seed"] is None else values["seed"],
    )


if __name__ == "__main__":
    start(main)
