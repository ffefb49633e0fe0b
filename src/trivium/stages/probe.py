"""Probe a frozen encoder, or the raw input."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from trivium.config import probe_values, without_numerics
from trivium.identity import is_measured, measurement_identity, measurement_name
from trivium.stages.tracked import Home, home, mark_measured, origin, track

RAW = "raw"


def main(values: dict[str, Any]) -> None:
    """Measure what an encoder knows; what is measured already is not measured again."""
    values = probe_values(values)
    checkpoint = values["checkpoint"]
    if checkpoint != RAW:
        from trivium.encoders.checkpoint import read_facts
        from trivium.features import find_encoder

        source = find_encoder(checkpoint)
    else:
        source = None
    import torch

    from trivium.data.prepare import prepare

    torch.set_num_threads(values["num_threads"])
    whole = prepare(values["data"], Path(values["stores"]) / values["data"]["name"])
    store = whole if values["part"] is None else whole.part(values["part"])
    identity = measurement_identity(values, store.fingerprint, source)
    folder = probe_folder(values, source, identity)
    if is_measured(folder, identity) and not values["overwrite"]:
        print(f"{folder} holds this already{origin(folder, values)}; overwrite=true repeats it.")
        return
    with features_folder(values) as features:
        built = {**without_numerics(values), "features": str(features), "probe_dir": str(folder)}
        if store.parts and (source is None or "+" in read_facts(source)["modality"]):
            several(built, source, store)
        else:
            alone(built, source, store, whole)
    mark_measured(folder, identity)


def probe_folder(values: dict[str, Any], source: Path | None, identity: str) -> Path:
    """The probe's folder: as given, or named by what is probed, on what, and the identity."""
    if values["probe_dir"]:
        return Path(values["probe_dir"])
    return Path("outputs/probes") / measurement_name(values, source, identity)


@contextmanager
def features_folder(values: dict[str, Any]) -> Iterator[Path]:
    """Where features are cached: for the next probes as well, or for this one alone."""
    folder = Path(values["features"])
    if values["keep_features"]:
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        yield Path(scratch)


def alone(values: dict[str, Any], source: Path | None, store: Any, whole: Any) -> None:
    """Measure an encoder of one modality; of more tasks than one there is a folder of each.

    `whole` are the data that the store is a part of; where they have texts, other modalities search
    them as well, and each evaluation has a folder of its own.
    """
    from trivium.evaluation.protocol import evaluate
    from trivium.evaluation.results import write_evaluation
    from trivium.features import load_encoder
    from trivium.stages import multimodal as of_several

    main = store.task(values["task"])
    tasks = list(dict.fromkeys([main, *(store.task(one) for one in values["more_tasks"])]))
    features, facts, digest = embedded(values, source, store)
    encoder, protocol = load_encoder(source) if source else None, instantiate(values["probe"])
    label = f"{facts['dataset']}-{facts['objective']}" + (f"-{facts['seed']}" if source else "")
    if facts["dataset"] != store.meta.name:
        label += f"-on-{store.meta.name}"
    folder = Path(values["probe_dir"])
    read = (
        []
        if store is whole
        else [
            *of_several.linear_retrieval(
                values, store.meta.modality, features, whole, facts, digest
            )
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
    from trivium.evaluation.results import write_evaluation

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

    from trivium.evaluation.label_free import with_sensitivity
    from trivium.features import embed_layers

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

    from trivium.evaluation.label_free import with_label_free
    from trivium.features import embed_views

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
    from trivium.encoders.checkpoint import read_facts
    from trivium.stages import multimodal as of_several

    protocol = instantiate(values["probe"])
    if source is None:
        facts = raw_facts(store, RAW)
        made = of_several.raw(values, store, protocol, facts, raw_features, label_free)
        label = f"{store.meta.name}-{RAW}"
    else:
        read = read_facts(source)
        check_tokenizer(read, store, source)
        facts = {key: read[key] for key in (*FACTS, "joint")}
        made = of_several.trained(values, source, store, protocol, facts, label_free)
        label = f"{facts['dataset']}-{facts['objective']}-{facts['seed']}"
    folder = Path(values["probe_dir"])
    own = home(source, store, store.task(values["task"]) if store.meta.tasks else None)
    for name, evaluation in made:
        keep(evaluation, store, folder, name, label, own)


def embedded(
    values: dict[str, Any], source: Path | None, store: Any
) -> tuple[Any, dict[str, Any], str]:
    """Features of every item, the facts of the encoder, and the hash of its checkpoint."""
    from trivium.encoders.checkpoint import checkpoint_hash, read_facts
    from trivium.features import cached_features

    if source is None:
        features, name = raw_features(store)
        return features, raw_facts(store, name), f"raw-{store.fingerprint}"
    facts = read_facts(source)
    check_tokenizer(facts, store, source)
    features = cached_features(source, store, Path(values["features"]))
    return features, {key: facts[key] for key in FACTS}, checkpoint_hash(source)


FACTS = (
    "dataset", "modality", "paradigm", "objective", "encoder", "seed", "flops", "samples", "task",
    "identity",
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
        from trivium.evaluation import controls

        return controls.features(store), controls.NAME
    from trivium.encoders.baselines import MelStatistics, Raw
    from trivium.features import embed

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
