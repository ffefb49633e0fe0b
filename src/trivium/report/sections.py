"""What the report says, assembled once for all of its files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trivium.colours import Shades, shades
from trivium.report import curves, figures
from trivium.report.animation import Animation, animation
from trivium.report.bootstrap import Resampling
from trivium.report.cells import Scores, group, resamplings_of
from trivium.report.confusion import Confusion, class_names, confused
from trivium.report.confusion import drawn as confusion_maps
from trivium.report.crossover import Crossover, by_axis, with_flops, with_labels
from trivium.report.joint import Together, joint_comparisons
from trivium.report.label_free import LabelFree, label_free
from trivium.report.leaders import Answer, answers, headline
from trivium.report.media import (
    PICTURE_BUDGET,
    SOUND_BUDGET,
    Examples,
    Reading,
    Strip,
    TextSamples,
    examples_of,
    playlists,
    readings,
    strips,
    text_samples,
)
from trivium.report.pairwise import Comparison, compare
from trivium.report.provenance import Provenance, Way, provenances
from trivium.report.ranking import Ranking, rankings
from trivium.report.records import PARADIGMS, Entry, Measured, read_entries
from trivium.report.retrieval import Retrieval, retrieved
from trivium.report.runs import Run, read_runs
from trivium.report.sensitivity import Sensitivity, sensitive
from trivium.report.tables import Table, tables

PRICES = (
    "flops",
    "samples",
    "num_parameters",
    "seconds",
    "samples_per_second",
    "peak_memory_mb",
    "data_wait_share",
)
"""What the cost table lists."""


class Place(NamedTuple):
    """What one section is about."""

    dataset: str
    task: str
    modality: str


class Section(NamedTuple):
    """Everything that a page says about one task of one dataset, by one or more modalities.

    `runs` are of encoders of this modality; their curves, costs and samples are in the first
    section of a dataset and modality (`is_home`), `together` is in the first of a dataset.
    """

    dataset: str
    task: str
    modality: str
    is_several: bool
    is_home: bool
    headline: str
    answers: tuple[Answer, ...]
    tables: tuple[Table, ...]
    comparisons: tuple[Comparison, ...]
    runs: tuple[Run, ...]
    drawn: dict[str, figures.Figure]
    maps: tuple[tuple[Run, str], ...]
    strips: tuple[Strip, ...]
    texts: tuple[TextSamples, ...]
    readings: tuple[Reading, ...]
    playlists: tuple[tuple[Strip, ...], ...]
    costs: tuple[dict[str, Any], ...]
    retrieval: Retrieval | None
    examples: Examples | None
    overtaking: dict[str, tuple[Crossover, ...]]
    confusion: Confusion | None
    diagnosis: LabelFree | None
    sensitivity: Sensitivity | None
    together: tuple[Together, ...]

    @property
    def title(self) -> str:
        """Task and modality in brackets, as headings of a dataset of several modalities name it."""
        if not self.is_several:
            return self.task
        named = self.retrieval and self.retrieval.called(self.task)
        return named or f"{self.task}, {self.modality}"


class Report(NamedTuple):
    """What is written: the same numbers for all files."""

    protocol: str
    commit: str
    records: list[dict[str, object]]
    examined: tuple[Measured, ...]
    scores: tuple[Scores, ...]
    comparisons: tuple[Comparison, ...]
    runs: tuple[Run, ...]
    animation: Animation | None
    rankings: tuple[Ranking, ...]
    provenances: dict[Way, tuple[Provenance, ...]]
    sections: tuple[Section, ...]


def assemble(entries: Sequence[Entry], *, commit: str, stores: Path | None = None) -> Report:
    """Read, group and compare; nothing is written. `stores` knows what classes are called."""
    measured = read_entries(entries)
    resamplings = resamplings_of(measured)
    scores = group(measured, resamplings)
    comparisons = compare(scores, resamplings)
    runs = tuple(sorted(read_runs(measured), key=_order))
    varied = [one.variations for one in measured if one.variations]
    variations = group(varied, resamplings)
    colours = shades((one.facts.paradigm, one.facts.objective) for one in measured)
    places = list(dict.fromkeys(Place(*one.cell.place) for one in scores))
    together = joint_comparisons(scores, comparisons)
    sections = [
        _section(
            place,
            places,
            [one for one in scores if one.cell.place == place],
            [one for one in comparisons if one.first.place == place],
            [one for one in measured if one.place == place],
            [one for one in variations if one.cell.place == place],
            [run for run in runs if run.facts.dataset == place.dataset],
            colours,
            resamplings,
            class_names(stores, place.dataset, place.task),
            [one for one in together if one.dataset == place.dataset],
        )
        for place in places
    ]
    return Report(
        measured[0].protocol,
        commit,
        [record._asdict() for one in (*measured, *varied) for record in one.records],
        measured,
        scores,
        comparisons,
        runs,
        animation(scores, runs),
        rankings(scores),
        provenances(measured),
        tuple(sections),
    )


def _section(
    place: Place,
    places: Sequence[Place],
    mine: Sequence[Scores],
    pairs: Sequence[Comparison],
    measured: Sequence[Measured],
    variations: Sequence[Scores],
    runs: Sequence[Run],
    colours: Shades,
    resamplings: Mapping[int, Resampling],
    classes: Sequence[str],
    together: Sequence[Together],
) -> Section:
    """One section; `runs` and `together` are of its dataset, all others of its place alone."""
    siblings = [one for one in places if one.dataset == place.dataset]
    homes = list({one.modality: one for one in reversed(siblings)}.values())
    is_several = len(homes) > 1 or "+" in place.modality
    is_home = place in homes
    own = tuple(run for run in runs if not is_several or run.facts.modality == place.modality)
    local = own if is_home else ()
    found = answers(mine, pairs)
    retrieval = retrieved(mine, pairs, resamplings)
    shown = () if retrieval else tables(mine, pairs)
    diagnosis = label_free(mine, measured, own)
    sensitivity = sensitive(mine, variations)
    confusion = confused(mine, measured, classes)
    maps: dict[str, tuple[Run, figures.Figure]] = {}
    for run in local:
        name = f"map-{run.facts.objective}-{run.facts.encoder}"
        if name not in maps and (figure := figures.embedding(run)):
            maps[name] = run, figure
    drawn = {
        "labels": _efficiency(shown, found, colours),
        "monitor": curves.monitor(local, colours),
        "clock": curves.clock(local, colours),
        "losses": curves.losses(local, colours),
        "language": curves.language(local, colours),
        "costs": figures.costs(local, colours),
        "foretold": figures.foretold(diagnosis.foretold, colours) if diagnosis else None,
        "likeness": figures.likeness(diagnosis.likeness) if diagnosis else None,
        "layers": curves.by_layer(sensitivity, colours) if sensitivity else None,
        **confusion_maps(confusion),
        **{name: figure for name, (_, figure) in maps.items()},
    }
    num_audible = sum("audio" in one.modality for one in homes)
    return Section(
        *place,
        is_several,
        is_home,
        headline(found, _name(place, is_several, retrieval)),
        found,
        shown,
        tuple(pairs),
        own,
        {name: figure for name, figure in drawn.items() if figure},
        tuple((run, name) for name, (run, _) in maps.items()),
        strips(local, budget=PICTURE_BUDGET // len(homes)),
        text_samples(local),
        readings(local),
        playlists(local, budget=SOUND_BUDGET // max(num_audible, 1)),
        tuple(_costs(local)),
        retrieval,
        examples_of(mine, measured) if retrieval else None,
        by_axis(with_labels(mine, resamplings), with_flops(local)),
        confusion,
        diagnosis,
        sensitivity,
        tuple(together) if place == siblings[0] else (),
    )


def _name(place: Place, is_several: bool, retrieval: Retrieval | None) -> str:
    """How a headline calls a section."""
    if not is_several:
        return place.dataset
    return f"{place.dataset} ({retrieval.called(place.task) if retrieval else place.modality})"


def _efficiency(
    shown: Sequence[Table], found: Sequence[Answer], colours: Shades
) -> figures.Figure | None:
    accuracy = [table for table in shown if table.metric == "accuracy"]
    if not accuracy or not found:
        return None
    return figures.label_efficiency(accuracy[0], found[0].probe, colours)


def _costs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Mean price per objective and encoder over its seeds; None where it is unknown."""
    ways: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        facts = run.facts
        ways.setdefault((facts.paradigm, facts.objective, facts.encoder), []).append(run)
    return [
        dict(zip(("paradigm", "objective", "encoder"), way, strict=True))
        | {name: figures.mean_price(mine, name) for name in PRICES}
        for way, mine in ways.items()
    ]


def _order(run: Run) -> tuple[object, ...]:
    facts = run.facts
    rank = PARADIGMS.index(facts.paradigm)
    return facts.dataset, rank, facts.objective, facts.encoder, facts.seed
