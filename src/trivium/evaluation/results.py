"""The result of one probe stage: records and predictions, in memory and in a folder."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trivium.io import write_bytes, write_text

RECORDS = "probe.json"
PREDICTIONS = "predictions.npz"
FEATURES = "features.npy"
EXAMPLES = "examples.json"
EPOCH = (1980, 1, 1, 0, 0, 0)

Record = dict[str, str | int | float]
UNLABELLED = frozenset({"diagnostics", "retrieval", "zero-shot"})
"""Probes that learn from no label; their records say 1.0 where others name the fraction."""


class Measure(NamedTuple):
    """What was measured: `fraction` is the share of labels learnt from, None without labels."""

    probe: str
    metric: str
    split: str
    fraction: float | None


@dataclass(frozen=True)
class Evaluation:
    """Everything that the protocol measured on one checkpoint.

    Attributes:
        protocol: Version of the protocol.
        checkpoint: Hash of the checkpoint.
        facts: dataset, modality, paradigm, objective, encoder, seed, flops, samples, task.
        records: One measured number each, see `record`, with C, k or lr where one was chosen.
        predictions: int16 class indices of the test items by `probe/fraction/draw`, `labels`, and
            `groups` where test items belong together.
        features: Of some validation items, centred and scaled, in half precision; None if none
            were kept.
        examples: Of retrieval, some queries with what was found, see
            `trivium.evaluation.examples`.
    """

    protocol: str
    checkpoint: str
    facts: Mapping[str, Any]
    records: tuple[Record, ...]
    predictions: Mapping[str, np.ndarray]
    features: np.ndarray | None = None
    examples: tuple[Mapping[str, Any], ...] = ()

    def summary(self) -> dict[Measure, float]:
        """Means over the draws."""
        found: dict[Measure, list[float]] = {}
        for one in self.records:
            probe, metric, split = (str(one[key]) for key in ("probe", "metric", "split"))
            fraction = None if probe in UNLABELLED else float(one["fraction"])
            found.setdefault(Measure(probe, metric, split, fraction), []).append(
                float(one["value"])
            )
        return {measure: float(np.mean(values)) for measure, values in found.items()}


def record(
    task: str,
    probe: str,
    metric: str,
    value: float,
    num_test: int,
    *,
    fraction: float = 1.0,
    draw: int = 0,
    split: str = "test",
) -> Record:
    """One measured number over `num_test` items; by default of test, with all labels or none."""
    return {
        "task": task,
        "probe": probe,
        "fraction": fraction,
        "draw": draw,
        "split": split,
        "metric": metric,
        "value": value,
        "num_test": num_test,
    }


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `probe.json`, `predictions.npz` and what else there is; equal evaluations, equal bytes.

    Each file is replaced in one step, the records last.

    Raises:
        ValueError: A record or fact that is no plain, finite value.
    """
    content = {
        "protocol": evaluation.protocol,
        "checkpoint": evaluation.checkpoint,
        "facts": dict(evaluation.facts),
        "records": list(evaluation.records),
    }
    try:
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"records and facts must be plain, finite values: {error}") from error
    for optional in (FEATURES, EXAMPLES):
        (folder / optional).unlink(missing_ok=True)
    if evaluation.features is not None:
        buffer = io.BytesIO()
        np.save(buffer, evaluation.features, allow_pickle=False)
        write_bytes(folder / FEATURES, buffer.getvalue())
    if evaluation.examples:
        examples = json.dumps(list(evaluation.examples), indent=1, ensure_ascii=False)
        write_text(folder / EXAMPLES, examples + "\n")
    write_bytes(folder / PREDICTIONS, _archive(evaluation.predictions))
    write_text(folder / RECORDS, text + "\n")


def read_evaluation(folder: Path) -> Evaluation:
    """Read what `write_evaluation` wrote.

    Raises:
        FileNotFoundError: The folder holds no evaluation.
        ValueError: A file is damaged.
    """
    for name in (RECORDS, PREDICTIONS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} does not exist: run the probe stage first")
    features, examples = folder / FEATURES, folder / EXAMPLES
    try:
        content = json.loads((folder / RECORDS).read_text(encoding="utf-8"))
        with np.load(folder / PREDICTIONS, allow_pickle=False) as archive:
            predictions = dict(archive)
        return Evaluation(
            content["protocol"],
            content["checkpoint"],
            content["facts"],
            tuple(content["records"]),
            predictions,
            np.load(features, allow_pickle=False) if features.is_file() else None,
            tuple(json.loads(examples.read_text("utf-8"))) if examples.is_file() else (),
        )
    except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{folder} holds a damaged evaluation ({error}): probe again") from error


def _archive(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An npz whose bytes depend on its arrays alone (NumPy's own carry the time of writing)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.asarray(arrays[name]), allow_pickle=False)
    return buffer.getvalue()
