"""Fine-tune a pretrained encoder."""

from pathlib import Path
from typing import TYPE_CHECKING

from hydra.utils import instantiate

from trivium.config import Config, finetuning_values, without_numerics
from trivium.identity import RAW, finished_folder, measurement_place, store_folder
from trivium.stages.prepare import open_store
from trivium.stages.pretrain import optimiser, try_optimiser, views_of
from trivium.stages.tracked import keep, mark_measured, pretrained_on, tell_reuse

if TYPE_CHECKING:
    from trivium.training.finetune import FineTuning
    from trivium.types import Encoder


def main(values: Config) -> None:
    """Fine-tune by a composed config; what is finished already is not repeated."""
    values = finetuning_values(values)
    if (finished := finished_folder(values, measurement_place)) is not None:
        return tell_reuse(finished, values)
    built = without_numerics(values)
    encoder, source, facts = check(built)
    import torch

    from trivium.encoders.checkpoint import checkpoint_hash
    from trivium.evaluation.protocol import Protocol
    from trivium.stages.subject import FACTS, check_tokenizer
    from trivium.training.finetune import finetune

    how = finetuning(built, facts)
    protocol = Protocol(fractions=values["fractions"], num_draws=values["num_draws"])
    if how.trainer.num_threads is not None:
        torch.set_num_threads(how.trainer.num_threads)
    _, store = open_store(values)
    check_tokenizer(facts, store, source)
    values["checkpoint"] = str(source)
    folder, identity, done = measurement_place(values, store.fingerprint)
    if done and not values["overwrite"]:  # of an encoder that the tracker keeps
        return tell_reuse(folder, values)
    digest, task = checkpoint_hash(source), store.task(values["task"])
    known = {key: facts[key] for key in FACTS} | {"task": task}
    evaluation = finetune(how, encoder, store, protocol, known, checkpoint=digest, task=task)
    # In the tracker its files lie below those of the probes of that task, not over them.
    keep(evaluation, store, folder, pretrained_on(source, store, task), below=["finetune"])
    mark_measured(folder, identity)
    return None


def check(values: Config) -> "tuple[Encoder, Path, Config]":
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
    where = store_folder(values)
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


def finetuning(values: Config, facts: Config) -> "FineTuning":
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
