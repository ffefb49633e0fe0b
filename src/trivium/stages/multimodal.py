"""What the probe stage measures of encoders of several modalities, one evaluation at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

FUSED = "fused"


def trained(
    values: dict[str, Any],
    source: Path,
    store: Any,
    protocol: Any,
    facts: dict[str, Any],
    label_free: Any,
) -> Iterator[tuple[str, Any]]:
    """Each tower on its modality, the fused features with and without each, and retrieval."""
    from trivium.encoders.checkpoint import checkpoint_hash
    from trivium.evaluation.pairs import evaluate_retrieval
    from trivium.evaluation.protocol import evaluate
    from trivium.features import cached_features, embed, load_encoder

    digest, cache = checkpoint_hash(source), Path(values["features"])
    encoder: Any = load_encoder(source)
    task = store.task(values["task"]) if store.meta.tasks else None
    of_towers = {
        one: cached_features(source, part, cache, part=one) for one, part in store.parts.items()
    }
    if task is not None:
        for one, features in of_towers.items():
            known = {**facts, "modality": one, "task": task}
            part = store.part(one)
            found = evaluate(features, part, protocol, known, checkpoint=digest, task=task)
            if one != "text" and facts["joint"] and "text" in store.parts:
                found = with_zero_shot(found, encoder, one, features, part, values, task)
            yield one, label_free(values, found, encoder.tower(one), part, features)
        known = {**facts, "modality": store.meta.modality, "task": task}
        fused = cached_features(source, store, cache)
        test = store.split("test")
        variants = {
            f"without {one}": embed(encoder, store, test, without=[one]) for one in store.parts
        }
        found = evaluate(
            fused, store, protocol, known, checkpoint=digest, task=task, variants=variants
        )
        yield FUSED, label_free(values, found, None, store, fused)
    for one, features in of_towers.items():
        yield from linear_retrieval(values, one, features, store, facts, digest)
    if facts["joint"]:
        joint = {one: in_joint(encoder, one, features) for one, features in of_towers.items()}
        most = values["candidates"]
        for found in evaluate_retrieval(joint, store, facts, checkpoint=digest, candidates=most):
            yield str(found.facts["task"]), with_examples(found, joint, store, most)


def raw(
    values: dict[str, Any],
    store: Any,
    protocol: Any,
    facts: dict[str, Any],
    raw_features: Any,
    label_free: Any,
) -> Iterator[tuple[str, Any]]:
    """The controls without an encoder: raw inputs of each modality, ridge regression, duration."""
    from trivium.evaluation.controls import evaluate_controls
    from trivium.evaluation.protocol import evaluate

    features = {one: raw_features(part) for one, part in store.parts.items()}
    digest = f"raw-{store.fingerprint}"
    task = store.task(values["task"]) if store.meta.tasks else None
    if task is not None:
        for one, (table, name) in features.items():
            known = {**facts, "modality": one, "encoder": name, "task": task}
            part = store.part(one)
            found = evaluate(table, part, protocol, known, checkpoint=digest, task=task)
            yield one, label_free(values, found, None, part, table)
    tables = {one: table for one, (table, _) in features.items()}
    for one, (table, name) in features.items():
        known = {**facts, "encoder": name}
        yield from linear_retrieval(values, one, table, store, known, digest)
    for found in evaluate_controls(
        tables, store, facts, checkpoint=digest, candidates=values["candidates"]
    ):
        yield f"{found.facts['objective']} {found.facts['task']}", found


def linear_retrieval(
    values: dict[str, Any], modality: str, features: Any, store: Any, facts: Any, digest: str
) -> Iterator[tuple[str, Any]]:
    """Texts searched by the features of another modality, and the reverse."""
    from trivium.evaluation import controls
    from trivium.evaluation.linear_retrieval import evaluate_linear_retrieval

    if modality == "text" or "text" not in store.parts:
        return
    for found in evaluate_linear_retrieval(
        features,
        controls.features(store.part("text")),
        store,
        facts,
        modality=cast(Any, modality),
        checkpoint=digest,
        candidates=values["candidates"],
    ):
        yield f"linear {found.facts['task']}", found


def with_examples(found: Any, joint: Any, store: Any, most: int | None) -> Any:
    """The evaluation of a direction with some queries of its first draw and what was found."""
    from dataclasses import replace

    from trivium.evaluation.examples import examples
    from trivium.evaluation.pair_search import search

    first, _, second = found.facts["task"].partition(" to ")
    asked = search(store, first, second, most=most)
    return replace(found, examples=tuple(examples(joint, store, asked)))


def in_joint(encoder: Any, modality: str, features: Any) -> Any:
    """Features of a tower in the joint space."""
    import numpy as np
    import torch

    with torch.inference_mode():
        return encoder.joint(modality, torch.from_numpy(np.array(features))).numpy()


def with_zero_shot(
    found: Any,
    encoder: Any,
    modality: str,
    features: Any,
    part: Any,
    values: dict[str, Any],
    task: str,
) -> Any:
    """The evaluation of a tower with the zero-shot classification of its test items."""
    from dataclasses import replace

    from trivium.evaluation.zero_shot import zero_shot
    from trivium.features import embed

    tower = encoder.tower("text")
    tower.tokenizer = encoder.tokenizer
    test = part.split("test")
    records, predictions = zero_shot(
        in_joint(encoder, modality, features[test]),
        part.labels(task)[test],
        part.meta.tasks[task],
        lambda texts: in_joint(encoder, "text", embed(tower, texts)),
        templates=values["templates"],
        task=task,
    )
    return replace(
        found,
        records=(*found.records, *records),
        predictions={**found.predictions, **predictions},
    )
