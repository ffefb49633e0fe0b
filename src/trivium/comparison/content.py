"""What the report says, assembled once for all of its files."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from trivium.comparison import figures
from trivium.comparison.answer import Answer, answers, headline
from trivium.comparison.cells import Scores, group, resamplings_of
from trivium.comparison.pairwise import Comparison, compare
from trivium.comparison.palette import Shades, shades
from trivium.comparison.pictures import BUDGET, Strip, strips
from trivium.comparison.records import PARADIGMS, Entry, read_entries
from trivium.comparison.runs import Run, read_runs
from trivium.comparison.sounds import BUDGET as SOUND_BUDGET
from trivium.comparison.sounds import Playlist, playlists
from trivium.comparison.tables import Table, tables
from trivium.comparison.texts import Reading, Sheet, readings, sheets

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


class Section(NamedTuple):
    """Everything that the page says about one task of one dataset."""

    dataset: str
    task: str
    modality: str
    headline: str
    answers: tuple[Answer, ...]
    tables: tuple[Table, ...]
    comparisons: tuple[Comparison, ...]
    runs: tuple[Run, ...]
    drawn: dict[str, figures.Figure]
    maps: tuple[tuple[Run, str], ...]
    legend: tuple[tuple[str, str], ...]
    strips: tuple[Strip, ...]
    sheets: tuple[Sheet, ...]
    readings: tuple[Reading, ...]
    playlists: tuple[Playlist, ...]
    costs: tuple[dict[str, Any], ...]


class Report(NamedTuple):
    """What is written: the same numbers for all four files."""

    protocol: str
    commit: str
    records: list[dict[str, object]]
    scores: tuple[Scores, ...]
    comparisons: tuple[Comparison, ...]
    runs: tuple[Run, ...]
    sections: tuple[Section, ...]


def assemble(entries: Sequence[Entry], *, commit: str) -> Report:
    """Read, group and compare; nothing is written."""
    measured = read_entries(entries)
    resamplings = resamplings_of(measured)
    scores = group(measured, resamplings)
    comparisons = compare(scores, resamplings)
    runs = tuple(sorted(read_runs(measured), key=_order))
    colours = shades((one.facts.paradigm, one.facts.objective) for one in measured)
    places = dict.fromkeys((o.cell.dataset, o.cell.task, o.cell.modality) for o in scores)
    num_audible = sum(modality == "audio" for _, _, modality in places)
    return Report(
        measured[0].protocol,
        commit,
        [record._asdict() for one in measured for record in one.records],
        scores,
        comparisons,
        runs,
        tuple(
            _section(
                place,
                scores,
                comparisons,
                runs,
                colours,
                budget=BUDGET // len(places),
                sound_budget=SOUND_BUDGET // max(num_audible, 1),
            )
            for place in places
        ),
    )


def _section(
    place: tuple[str, str, str],
    scores: Sequence[Scores],
    comparisons: Sequence[Comparison],
    runs: Sequence[Run],
    colours: Shades,
    *,
    budget: int,
    sound_budget: int,
) -> Section:
    mine = [o for o in scores if (o.cell.dataset, o.cell.task, o.cell.modality) == place]
    pairs = tuple(o for o in comparisons if (o.first.dataset, o.first.task) == place[:2])
    local = tuple(run for run in runs if run.facts.dataset == place[0])
    found = answers(mine, pairs)
    shown = tables(mine, pairs)
    drawn = {
        "labels": _efficiency(shown, found, colours),
        "monitor": figures.monitor(local, colours),
        "losses": figures.losses(local, colours),
        "language": figures.language(local, colours),
        "costs": figures.costs(local, colours),
    }
    maps = []
    for run in local:
        figure = figures.embedding(run)
        name = f"map-{run.facts.objective}-{run.facts.encoder}"
        if figure and name not in drawn:
            drawn[name] = figure
            maps.append((run, name))
    return Section(
        *place,
        headline(found, place[0]),
        found,
        shown,
        pairs,
        local,
        {name: figure for name, figure in drawn.items() if figure},
        tuple(maps),
        figures.classes(maps[0][0]) if maps else (),
        strips(local, budget=budget),
        sheets(local),
        readings(local),
        playlists(local, budget=sound_budget),
        tuple(_costs(local)),
    )


def _efficiency(
    shown: Sequence[Table], found: Sequence[Answer], colours: Shades
) -> figures.Figure | None:
    accuracy = [table for table in shown if table.metric == "accuracy"]
    if not accuracy or not found:
        return None
    return figures.label_efficiency(accuracy[0], found[0].probe, colours)


def _costs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Mean price per objective over its seeds; None where it is unknown."""
    found = []
    for key in dict.fromkeys(_identity(run) for run in runs):
        mine = [run for run in runs if _identity(run) == key]
        prices = {
            name: [value for run in mine if (value := figures.price(run, name)) is not None]
            for name in PRICES
        }
        means = {name: fmean(values) if values else None for name, values in prices.items()}
        found.append(key._asdict() | means)
    return found


class Identity(NamedTuple):
    """Which runs differ in nothing but their seed."""

    paradigm: str
    objective: str
    encoder: str


def _order(run: Run) -> tuple[object, ...]:
    facts = run.facts
    rank = PARADIGMS.index(facts.paradigm)
    return facts.dataset, rank, facts.objective, facts.encoder, facts.seed


def _identity(run: Run) -> Identity:
    return Identity(run.facts.paradigm, run.facts.objective, run.facts.encoder)
