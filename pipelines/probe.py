"""Probe a frozen encoder: python pipelines/probe.py checkpoint=DIR data=NAME."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig

from _house import clear_errors
from trivium.config import plain, register

register()
RAW = "raw"


class Home(NamedTuple):
    """What an encoder learnt from, and for how many optimiser steps."""

    dataset: str
    task: str | None
    num_steps: int


@hydra.main(version_base="1.3", config_path="../conf", config_name="probe")
@clear_errors
def main(config: DictConfig) -> None:
    values = plain(config)
    checkpoint = values["checkpoint"]
    if checkpoint != RAW:
        from trivium.embedding import find_encoder
        from trivium.encoders.checkpoint import read_facts

        source = find_encoder(checkpoint)
    else:
        source = None
    import torch

    from trivium.data.catalogue import prepare

    torch.set_num_threads(values["num_threads"])
    whole = prepare(values["data"], Path(values["stores"]) / values["data"]["name"])
    store = whole if values["part"] is None else whole.part(values["part"])
    if store.parts and (source is None or "+" in read_facts(source)["modality"]):
        several(values, source, store)
    else:
        alone(values, source, store, whole)


def alone(values: dict[str, Any], source: Path | None, store: Any, whole: Any) -> None:
    """Measure an encoder of one modality; of more tasks than one there is a folder of each.

    `whole` are the data that the store is a part of; where they have texts, other modalities search
    them as well, and each evaluation has a folder of its own.
    """
    import _several
    from trivium.embedding import load_encoder
    from trivium.probes.protocol import evaluate, write_evaluation

    main = store.task(values["task"])
    tasks = list(dict.fromkeys([main, *(store.task(one) for one in values["more_tasks"])]))
    features, facts, digest = embedded(values, source, store)
    encoder, protocol = load_encoder(source) if source else None, instantiate(values["probe"])
    label = f"{facts['dataset']}-{facts['objective']}" + (f"-{facts['seed']}" if source else "")
    if facts["dataset"] != store.meta.name:
        label += f"-on-{store.meta.name}"
    folder = Path(values["probe_dir"] or f"outputs/probes/{label}-{digest[:8]}")
    read = (
        []
        if store is whole
        else [
            *_several.linear_retrieval(values, store.meta.modality, features, whole, facts, digest)
        ]
    )
    for task in tasks:
        known = {**facts, "task": task}
        evaluation = evaluate(features, store, protocol, known, checkpoint=digest, task=task)
        if task == main:
            evaluation = label_free(values, evaluation, encoder, store, features)
            evaluation = sensitivity(values, evaluation, encoder, store, features, protocol)
        where = folder / task if len(tasks) > 1 else folder
        where = where / store.meta.modality if read else where
        write_evaluation(evaluation, where)
        track(evaluation, store, where, home(source, store, main))
        for one in evaluation.records:
            if one["split"] == "test" and one["metric"] == "accuracy" and one["draw"] == 0:
                print(
                    f"{label}, {task}: {one['probe']} probe, {one['fraction']:.0%} of labels: "
                    f"test accuracy {one['value']:.4f}"
                )

    for name, evaluation in read:
        keep(evaluation, whole, folder, name, label, home(source, whole, main))


def keep(evaluation: Any, store: Any, folder: Path, name: str, label: str, own: Home) -> None:
    """Write, track and tell one of several evaluations, in a folder of its own."""
    from trivium.probes.protocol import write_evaluation

    write_evaluation(evaluation, folder / name)
    track(evaluation, store, folder / name, own, [name])
    for record in evaluation.records:
        if (
            record["split"] == "test"
            and record["metric"] in ("accuracy", "recall@5")
            and record["fraction"] == 1.0
        ):
            print(f"{label}, {name}: {record['probe']}, {record['metric']} {record['value']:.4f}")


def sensitivity(
    values: dict[str, Any], evaluation: Any, encoder: Any, store: Any, features: Any, protocol: Any
) -> Any:
    """The evaluation with varied probes; raw texts have no dense features."""
    import numpy as np

    from trivium.embedding import embed_layers
    from trivium.probes.sensitivity import with_sensitivity

    if not isinstance(features, np.ndarray):
        return evaluation
    settings, layers = instantiate(values["sensitivity"]), None
    if encoder is not None and encoder.contextual:
        items = settings.items(store, evaluation.facts["task"])
        found = embed_layers(encoder, store, items)
        layers = np.zeros((store.num_items, *found.shape[1:]), found.dtype)
        layers[items] = found
    return with_sensitivity(evaluation, features, layers, store, protocol, settings)


def label_free(
    values: dict[str, Any], evaluation: Any, encoder: Any, store: Any, features: Any
) -> Any:
    """The evaluation with what is measured without labels; raw texts have no dense features.

    `encoder` makes features of views; None where there are none.
    """
    import numpy as np

    from trivium.embedding import embed_views
    from trivium.probes.label_free import with_label_free

    if not isinstance(features, np.ndarray):
        return evaluation
    settings = instantiate(values["label_free"])
    items, views = settings.items(store), None
    if encoder is not None:
        recipe = settings.recipe(store.meta.modality, encoder.column)
        if recipe is not None:
            views = embed_views(encoder, store, items, recipe, num_views=settings.num_views)
    task = evaluation.facts["task"]
    return with_label_free(evaluation, np.asarray(features[items]), views, task)


def several(values: dict[str, Any], source: Path | None, store: Any) -> None:
    """Measure each modality, all of them together, and retrieval: a folder of each evaluation."""
    import _several
    from trivium.encoders.checkpoint import checkpoint_hash, read_facts

    protocol = instantiate(values["probe"])
    if source is None:
        facts, digest = raw_facts(store, RAW), store.fingerprint
        made = _several.raw(values, store, protocol, facts, raw_features, label_free)
        label = f"{store.meta.name}-{RAW}"
    else:
        read = read_facts(source)
        check_tokenizer(read, store, source)
        facts = {key: read[key] for key in (*FACTS, "joint")}
        made = _several.trained(values, source, store, protocol, facts, label_free)
        digest = checkpoint_hash(source)
        label = f"{facts['dataset']}-{facts['objective']}-{facts['seed']}"
    folder = Path(values["probe_dir"] or f"outputs/probes/{label}-{digest[:8]}")
    own = home(source, store, store.task(values["task"]) if store.meta.tasks else None)
    for name, evaluation in made:
        keep(evaluation, store, folder, name, label, own)


def facts_name(evaluation: Any) -> str:
    """The run's name in the tracker."""
    facts = evaluation.facts
    return f"{facts['objective']} · {facts['seed']} · {facts['dataset']}"


def embedded(
    values: dict[str, Any], source: Path | None, store: Any
) -> tuple[Any, dict[str, Any], str]:
    """Features of every item, the facts of the encoder, and the hash of its checkpoint."""
    from trivium.embedding import cached_features
    from trivium.encoders.checkpoint import checkpoint_hash, read_facts

    if source is None:
        features, name = raw_features(store)
        return features, raw_facts(store, name), f"raw-{store.fingerprint}"
    facts = read_facts(source)
    check_tokenizer(facts, store, source)
    features = cached_features(source, store, Path(values["features"]))
    return features, {key: facts[key] for key in FACTS}, checkpoint_hash(source)


FACTS = (
    "dataset", "modality", "paradigm", "objective", "encoder", "seed", "flops", "samples", "task",
    "digest",
)  # fmt: skip
"""What an evaluation says of the encoder."""


def raw_facts(store: Any, encoder: str) -> dict[str, Any]:
    """The same of the raw input."""
    return {
        "dataset": store.meta.name,
        "modality": store.meta.modality,
        "paradigm": "control",
        "objective": RAW,
        "encoder": encoder,
        "seed": 0,
        "flops": 0,
        "samples": 0,
    }


def raw_features(store: Any) -> tuple[Any, str]:
    """The input itself as features of every item, and what made them."""
    if store.meta.modality == "text":
        from trivium import tfidf

        return tfidf.features(store), tfidf.NAME
    from trivium.embedding import embed
    from trivium.encoders.mel_statistics import MelStatistics
    from trivium.encoders.raw import Raw

    encoder = MelStatistics(store.spec()) if store.meta.modality == "audio" else Raw(store.spec())
    return embed(encoder, store), encoder.name


def check_tokenizer(facts: dict[str, Any], store: Any, source: Path) -> None:
    """Refuse a store whose ids mean something else to an encoder of text than those it learnt from.

    Raises:
        ValueError: The store was made with another tokenizer.
    """
    both_text = "text" in facts["modality"].split("+") and "text" in store.meta.modality.split("+")
    if both_text and facts.get("tokenizer") != store.tokenizer_sum:
        raise ValueError(
            f"{store.meta.name} was tokenised otherwise than the texts that {source} learnt from: "
            "probe again with its tokenizer, and with a folder for the stores made by it: "
            f"data.tokenizer.kind=file data.tokenizer.path={source / 'tokenizer.json'} "
            "stores=outputs/stores_of_run"
        )


def home(source: Path | None, store: Any, task: str | None) -> Home:
    """That of an encoder; the raw input is at home wherever it is probed."""
    from trivium.encoders.checkpoint import read_facts

    if source is None:
        return Home(store.meta.name, task, 0)
    facts = read_facts(source)
    return Home(facts["dataset"], facts["task"], int(facts.get("num_steps", 0)))


def track(
    evaluation: Any,
    store: Any,
    folder: Path,
    own: Home,
    one_of: Sequence[str] = (),
    below: Sequence[str] = (),
) -> None:
    """Add the results to the encoder's run in MLflow, or to a run of their own.

    They stand at the encoder's last step. Names set apart those on another dataset or task than
    its own, and those of one of several evaluations, `one_of`; its files lie in the folder of its
    task, or `below` it.
    """
    from trivium.tracking import names
    from trivium.tracking.lifecycle import find_run, reopen, start_run

    run_id = find_run({names.CHECKPOINT: evaluation.checkpoint})
    if run_id is None:
        tags = names.encoder_tags(evaluation.facts) | {
            names.PROTOCOL: evaluation.protocol,
            names.CHECKPOINT: evaluation.checkpoint,
            names.KIND: names.Kind.PROBE,
        }
        writer = start_run(facts_name(evaluation), tags, {})
    else:
        writer = reopen(run_id)
    with writer:
        writer.log_dataset(store.meta.name, store.fingerprint, store.meta.source, context="probe")
        task = str(evaluation.facts["task"])
        # A direction of retrieval is no task that an encoder could have learnt.
        known = own.task if task in store.meta.tasks else task
        at_home = (own.dataset, known) == (store.meta.name, task)
        where = [*([] if at_home else [names.elsewhere(store.meta.name, task)]), *one_of]
        results = evaluation.summary().items()
        found = {names.probe(*measure, *where): value for measure, value in results}
        writer.log_metrics(found, own.num_steps)
        more = [*below, *([folder.name] if store.parts else [])]  # several may share a task
        writer.log_artifacts(folder, to=names.evaluation_files(store.meta.name, task, *more))


if __name__ == "__main__":
    main()
