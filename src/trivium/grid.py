"""A grid: which cells (dataset x objective) are trained with which seeds, and where each lies.

A grid is a yaml of `conf/grid`. Its `cells` map the name of a dataset (or a label, with `data` and
`part` beside it) to `objectives` (METHOD or PARADIGM/METHOD; `all`: every one of that modality),
`overrides` of their pretraining, `probe` and `finetune` (overrides of those stages), `finetuned`
(the objectives that are fine-tuned as well), `probe_on` (datasets that are probed instead of its
own), `raw` (whether the raw input is probed, too) and `points` (of a scaling grid: a name and the
overrides that make it). Composing needs a Hydra application that has begun; torch is not imported.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trivium.compose import Compositions, objectives, suitable
from trivium.config import Config, finetuning_values, pretraining_values, probe_values
from trivium.identity import (
    RAW,
    fingerprint_of,
    measurement_place,
    prepared_fingerprint,
    run_place,
    store_folder,
)

KEYS = frozenset(
    {
        "data", "part", "objectives", "overrides", "probe", "finetune", "finetuned", "probe_on",
        "raw", "points",
    }
)  # fmt: skip
GRID_KEYS = frozenset({"name", "seeds", "overrides", "cells", "report", "index"})


class Cell(NamedTuple):
    """What is trained once per seed: an objective on a dataset or one of its parts."""

    data: str
    part: str | None
    objective: str
    point: str
    overrides: tuple[str, ...]
    probe: tuple[str, ...]
    finetune: tuple[str, ...] | None
    probe_on: tuple[str, ...]

    @property
    def dataset(self) -> str:
        """DATASET, or DATASET.PART."""
        return f"{self.data}.{self.part}" if self.part else self.data

    @property
    def name(self) -> str:
        """DATASET-METHOD, with the point of a scaling grid behind it."""
        name = f"{self.dataset}-{self.objective.rpartition('/')[2]}"
        return f"{name}-{self.point}" if self.point else name


class Job(NamedTuple):
    """One run of a stage.

    `folder` and `identity` are None as long as the data are not prepared or the encoder is not
    trained; `done` says that the folder holds it, finished. `blocked` says what is missing.
    """

    name: str
    overrides: tuple[str, ...]
    values: Config
    folder: Path | None = None
    identity: str | None = None
    done: bool = False
    blocked: str = ""


class Entry(NamedTuple):
    """What a report reads of one cell and seed, or of a raw input (`run` is None)."""

    cell: str
    point: str
    seed: int
    run: Path | None
    probes: tuple[Path, ...]
    finetuned: Path | None


class Grid:
    """A grid by its composed values (`grid` of a config).

    Raises:
        ValueError: an unknown key, objective, or entry without objectives.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        if unknown := sorted(set(values) - GRID_KEYS):
            raise ValueError(
                f"grid.{unknown[0]} is unknown; a grid has: {', '.join(sorted(GRID_KEYS))}"
            )
        self.name = str(values["name"])
        self.seeds = [int(seed) for seed in values["seeds"]]
        self.report = str(values.get("report") or "comparison")
        self.compositions = Compositions()
        self._runs: dict[tuple[Cell, int, tuple[str, ...]], Job] = {}
        common = tuple(values.get("overrides") or ())
        self.entries = {label: _checked(label, entry) for label, entry in values["cells"].items()}
        self.cells = [
            cell for label, entry in self.entries.items() for cell in _cells(label, entry, common)
        ]

    def jobs(self, stage: str, extras: Sequence[str] = ()) -> list[Job]:
        """The jobs of prepare, pretrain, probe or finetune, with overrides of every job."""
        seeded = [*itertools.product(self.cells, self.seeds)]
        made: dict[str, Callable[[], Iterable[Job]]] = {
            "prepare": lambda: self._prepare(extras),
            "pretrain": lambda: (self.run(*one, extras) for one in seeded),
            "probe": lambda: itertools.chain(
                (self.raw(data, extras) for data in self.raw_datasets()),  # wide inputs take long
                *(self.probes(*one, extras) for one in seeded),
            ),
            "finetune": lambda: (
                self.finetuning(*one, extras) for one in seeded if one[0].finetune is not None
            ),
        }
        if stage not in made:
            raise ValueError(f"a grid has no jobs for {stage}; it has: {', '.join(made)}")
        return list(made[stage]())

    def run(self, cell: Cell, seed: int, extras: Sequence[str] = ()) -> Job:
        """The pretraining of a cell with a seed, composed once; finished, it stays so."""
        key = (cell, seed, tuple(extras))
        if key not in self._runs:
            words = (*_data_words(cell.data, cell.part), f"objective={cell.objective}")
            words = (*words, *cell.overrides, *extras)
            values = pretraining_values(self.compositions.of("pretrain", words, seed))
            self._runs[key] = Job(f"{cell.name}-{seed}", (*words, f"seed={seed}"), values)
        job = self._runs[key]
        if not job.done and (fingerprint := fingerprint_of(job.values)) is not None:
            job = job._replace(**run_place(job.values, fingerprint)._asdict())
            self._runs[key] = job
        return job

    def probes(self, cell: Cell, seed: int, extras: Sequence[str] = ()) -> list[Job]:
        """The probes of a cell's encoder: on its own data, or on each of `probe_on`."""
        run = self.run(cell, seed)
        places: list[tuple[str, str | None, tuple[str, ...]]] = [
            (one, None, self._probe_words(one)) for one in cell.probe_on
        ]
        found = []
        for data, part, own in places or [(cell.data, cell.part, cell.probe)]:
            words = (*_data_words(data, part), *own, *extras)
            where = "" if data == cell.data else f" on {data}"
            found.append(self._measurement("probe", f"{run.name}{where}", words, run))
        return found

    def finetuning(self, cell: Cell, seed: int, extras: Sequence[str] = ()) -> Job:
        """The fine-tuning of a cell's encoder."""
        words = (*_data_words(cell.data, cell.part), *(cell.finetune or ()), *extras)
        run = self.run(cell, seed)
        return self._measurement("finetune", run.name, words, run)

    def raw(self, data: str, extras: Sequence[str] = ()) -> Job:
        """The probe of a dataset's raw input."""
        words = (*_data_words(data, None), *self._probe_words(data), *extras)
        return self._measurement("probe", f"{data}-raw", words, None)

    def raw_datasets(self) -> list[str]:
        """The datasets whose raw input is probed."""
        own = [
            str(entry.get("data") or label)
            for label, entry in self.entries.items()
            if entry.get("raw", not entry.get("part")) and not entry.get("probe_on")
        ]
        return list(dict.fromkeys([*own, *(one for cell in self.cells for one in cell.probe_on)]))

    def report_entries(self) -> list[Entry]:
        """Every raw input, and every cell and seed with what was measured of it.

        Raises:
            LookupError: some of it is not finished; the message names what and which stage.
        """
        found = [Entry(f"{d}-raw", "", 0, None, (_done(self.raw(d)),), None)
                 for d in self.raw_datasets()]  # fmt: skip
        for cell, seed in itertools.product(self.cells, self.seeds):
            run = self.run(cell, seed)
            probes = tuple(_done(job) for job in self.probes(cell, seed))
            tuned = None if cell.finetune is None else _done(self.finetuning(cell, seed))
            found.append(Entry(cell.name, cell.point, seed, run.folder, probes, tuned))
        return found

    def _prepare(self, extras: Sequence[str]) -> Iterator[Job]:
        seen: dict[str, tuple[str, ...]] = {}
        for cell in self.cells:
            own = tuple(word for word in cell.overrides if word.startswith("data."))
            for data, words in ((cell.data, own), *((one, ()) for one in cell.probe_on)):
                seen.setdefault(data, (f"data={data}", *words, *extras))
        for data, words in seen.items():
            values = self.compositions.of("prepare", words)
            folder = store_folder(values)
            fingerprint = prepared_fingerprint(folder, values["data"], None)
            done = fingerprint is not None and not _from_folder(folder)
            yield Job(data, words, values, folder, fingerprint, done)

    def _probe_words(self, data: str) -> tuple[str, ...]:
        """What the grid's own entry of a dataset says of its probes."""
        for label, entry in self.entries.items():
            if (entry.get("data") or label) == data and not entry.get("part"):
                return tuple(entry.get("probe") or ())
        return ()

    def _measurement(self, stage: str, name: str, words: tuple[str, ...], run: Job | None) -> Job:
        values = self.compositions.of(stage, ("checkpoint=raw", *words))
        values = probe_values(values) if stage == "probe" else finetuning_values(values)
        if run is not None and not run.done:
            return Job(name, words, values, blocked=f"{run.name} is not pretrained")
        values["checkpoint"] = RAW if run is None else str(run.folder)
        words = (f"checkpoint={values['checkpoint']}", *words)
        fingerprint = fingerprint_of(values)
        if fingerprint is None:
            return Job(name, words, values, blocked=f"{values['data']['name']} is not prepared")
        return Job(name, words, values, *measurement_place(values, fingerprint))


def _checked(label: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    if unknown := sorted(set(entry) - KEYS):
        raise ValueError(
            f"grid.cells.{label}.{unknown[0]} is unknown; an entry has: {', '.join(sorted(KEYS))}"
        )
    if not entry.get("objectives"):
        raise ValueError(f"grid.cells.{label} names no objectives: give METHOD, or all.")
    return entry


def _cells(label: str, entry: Mapping[str, Any], common: tuple[str, ...]) -> Iterator[Cell]:
    data, part = str(entry.get("data") or label), entry.get("part")
    known, asked = objectives(), entry["objectives"]
    tuned = list(entry.get("finetuned") or ())
    methods = suitable(data, part) if asked == "all" else [str(one) for one in asked]
    names = {path.rpartition("/")[2]: path for path in known}
    for method in [*methods, *tuned]:
        if method not in names and method not in known:
            raise ValueError(
                f"grid.cells.{label} asks for the objective {method!r}; known are: "
                f"{', '.join(sorted(names))}."
            )
    if absent := sorted(set(tuned) - set(methods)):
        raise ValueError(
            f"grid.cells.{label}: {', '.join(absent)} of `finetuned` is not in `objectives`."
        )
    own, probe, finetune, probe_on = (
        tuple(entry.get(key) or ()) for key in ("overrides", "probe", "finetune", "probe_on")
    )
    for point, more in (entry.get("points") or {"": ()}).items():
        for method in methods:
            yield Cell(
                data=data,
                part=part,
                objective=names.get(method, method),
                point=point,
                overrides=(*own, *more, *common),
                probe=probe,
                finetune=finetune if method in tuned else None,
                probe_on=probe_on,
            )


def _data_words(data: str, part: str | None) -> tuple[str, ...]:
    return (f"data={data}", *((f"part={part}",) if part else ()))


def _from_folder(store: Path) -> bool:
    """Whether a store was made from a folder of the user's own, whose files may have changed."""
    source = str(json.loads((store / "meta.json").read_bytes()).get("source", ""))
    return source.startswith("folder ")


def _done(job: Job) -> Path:
    if job.done and job.folder is not None:
        return job.folder
    raise LookupError(
        f"{job.name} is not measured yet{f' ({job.blocked})' if job.blocked else ''}: run the "
        "stages before this one (dvc repro, or pipelines/pretrain.py, probe.py and finetune.py "
        "with -m grid=NAME)."
    )
