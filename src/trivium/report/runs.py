"""What a pretraining run has written: cost, curves, samples; the best objective of a paradigm."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from trivium.report.cells import Scores
from trivium.report.records import PARADIGMS, Facts, Measured
from trivium.report.tables import WITHOUT

Document = dict[str, Any]
"""One of the run folder's JSON files."""


class Sample(NamedTuple):
    """A file of samples at one step: a grid (PNG), texts (JSON), sounds (MP3) or tiles (NPZ)."""

    name: str
    step: int
    path: Path


@dataclass(frozen=True)
class Run:
    """One pretraining run; whatever its folder lacks is None or empty.

    `facts` are of the examination that saw the most modalities: what the encoder is of.
    `metrics`: the deterministic price (flops, flops_per_step, samples, num_steps,
    num_parameters, final); `curves`: terms and online monitor over steps, samples and FLOPs;
    `cost`: wall-clock (seconds, peak_memory_mb, data_wait_share, samples_per_second);
    `snapshots`: at each evaluation of the online probe, x and y of some validation items (with
    their labels and the classes' names) and its confusion matrix; `pictures`, `texts`, `sounds`
    and `tiles` (rows of samples as uint8 arrays): files of samples, by name and step.
    """

    facts: Facts
    run_id: str | None
    metrics: Document | None
    curves: Document | None
    cost: Document | None
    snapshots: Document | None
    pictures: tuple[Sample, ...]
    texts: tuple[Sample, ...] = ()
    sounds: tuple[Sample, ...] = ()
    tiles: tuple[Sample, ...] = ()


def read_runs(measured: Sequence[Measured]) -> tuple[Run, ...]:
    """Read the run folders beside the probe folders, each run once.

    Raises:
        ValueError: if a file in a run folder is not a JSON object.
    """
    runs: dict[tuple[object, ...], Run] = {}
    for one in measured:
        facts, folder = one.facts, one.entry.run_folder
        key = (facts.dataset, facts.objective, facts.encoder, facts.seed, folder)
        if key not in runs:
            runs[key] = _read(facts, folder, one.entry.run_id)
        elif "+" in facts.modality and "+" not in runs[key].facts.modality:
            runs[key] = replace(runs[key], facts=facts)
    return tuple(runs.values())


def _read(facts: Facts, folder: Path | None, run_id: str | None) -> Run:
    if folder is None:
        return Run(facts, run_id, None, None, None, None, ())
    return Run(
        facts,
        run_id,
        _document(folder / "metrics.json"),
        _document(folder / "curves.json"),
        _document(folder / "cost.json"),
        _document(folder / "looks.json"),
        _shown(folder / "pictures", "png"),
        _shown(folder / "pictures", "json"),
        _shown(folder / "pictures", "mp3"),
        _shown(folder / "pictures", "npz"),
    )


def _document(path: Path) -> Document | None:
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): pretrain this cell again.") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds {type(document).__name__}, expected a JSON object.")
    return document


def _shown(folder: Path, ending: str) -> tuple[Sample, ...]:
    found = []
    for path in sorted(folder.glob(f"*.{ending}")) if folder.is_dir() else ():
        named = re.fullmatch(r"(?P<name>.+)-step(?P<step>\d+)", path.stem)
        if named:
            found.append(Sample(named["name"], int(named["step"]), path))
    return tuple(sorted(found))


def best(mine: Sequence[Scores]) -> Scores | None:
    """The test scores of the objective that validation chooses; the only one needs no choice."""
    key = {(one.cell.objective, one.cell.encoder, one.cell.split): one for one in mine}
    tested = [one for one in mine if one.cell.split == "test"]
    known = [
        (held_out.interval.mean, one)
        for one in tested
        if (held_out := key.get((one.cell.objective, one.cell.encoder, "validation")))
    ]
    if len(tested) == 1:
        return tested[0]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def best_by_validation(scores: Sequence[Scores]) -> tuple[Scores, ...]:
    """Of one place, the best objective of each paradigm that has one, controls aside.

    By accuracy with the most labels of the linear probe, or of the first one there is; what was
    measured with a modality withheld does not count.
    """
    mine = [o for o in scores if o.cell.metric == "accuracy" and WITHOUT not in o.cell.probe]
    tested = [one.cell for one in mine if one.cell.split == "test"]
    if not tested:
        return ()
    probes = [cell.probe for cell in tested]
    probe = "linear" if "linear" in probes else probes[0]
    most = max(cell.fraction for cell in tested if cell.probe == probe)
    column = [one for one in mine if (one.cell.probe, one.cell.fraction) == (probe, most)]
    found = (best([o for o in column if o.cell.paradigm == way]) for way in PARADIGMS[:-1])
    return tuple(one for one in found if one)
