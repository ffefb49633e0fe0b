"""Who overtakes whom: with more labels, and in the course of pretraining."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import NamedTuple, TypeVar

from trivium.comparison.amounts import prefixed
from trivium.comparison.bootstrap import Resampling
from trivium.comparison.cells import Scores
from trivium.comparison.crossing import Crossing, Curve, Race, by_labels, over_seeds
from trivium.comparison.curves import flops_at
from trivium.comparison.figures import key_of
from trivium.comparison.palette import NAMES
from trivium.comparison.records import PARADIGMS
from trivium.comparison.runs import Run
from trivium.comparison.speakers import speakers
from trivium.comparison.tables import label

Member = TypeVar("Member")
LABELS, FLOPS = "labels", "FLOPs"
QUESTIONS = {LABELS: "Where the ways cross", FLOPS: "Who overtakes whom on the way"}
NOTES = {
    LABELS: (
        "Of each paradigm the objective with the best validation accuracy at the most labels. "
        "Accuracy is interpolated on the logarithm of the share of labels; the interval holds all "
        "shares near the crossing at which the two cannot be told apart (95 %, over seeds, label "
        "draws and test items, not corrected for the number of pairs)."
    ),
    FLOPS: (
        "Of each paradigm the objective with the best validation accuracy of the online monitor at "
        "the end. Each seed's curve is interpolated between its looks; the interval holds all "
        "prices near the crossing at which the two cannot be told apart over the seeds (95 %, not "
        "corrected for the number of pairs). Of several crossings the last counts."
    ),
}


class Overtaking(NamedTuple):
    """Two speakers along one axis; `first` is ahead at its end."""

    axis: str
    first: str
    second: str
    paradigms: tuple[str, str]
    race: Race

    @property
    def sentence(self) -> str:
        """What it says."""
        found, show = self.race, SHOWN[self.axis]
        if not found.crossings:
            said = f"{self.first} is ahead of {self.second} all the way"
            end = "" if found.is_told else ", nor can they be told apart"
            return _capital(f"{said}: they do not cross{end}.")
        places = " and ".join(f"{show(one.at)} {self.bounds(one)}" for one in found.crossings)
        said = f"{self.first} overtakes {self.second} at {places}"
        if len(found.crossings) > 1:
            said = f"{self.first} and {self.second} cross at {places}"
        return _capital(f"{said}{'' if found.is_told else '; nowhere can the two be told apart'}.")

    @property
    def ahead(self) -> tuple[str, str]:
        """Who is ahead at the start and at the end."""
        is_same = self.race.leads_first == self.race.leads_last
        return self.first if is_same else self.second, self.first

    @property
    def places(self) -> str:
        """Where they cross, for a table."""
        return ", ".join(SHOWN[self.axis](one.at) for one in self.race.crossings) or "never"

    @property
    def intervals(self) -> str:
        """The intervals of the crossings, for a table."""
        return ", ".join(self.bounds(one) for one in self.race.crossings) or "-"

    def bounds(self, one: Crossing) -> str:
        """An interval; a side without a bound reaches the end of what was measured."""
        show = SHOWN[self.axis]
        low = f"below {show(self.race.start)}" if one.low is None else show(one.low)
        high = f"beyond {show(self.race.end)}" if one.high is None else show(one.high)
        return f"[{low}, {high}]"


def with_labels(
    scores: Sequence[Scores], resamplings: Mapping[int, Resampling]
) -> tuple[Overtaking, ...]:
    """All pairs of the speakers of one place, along the share of labels."""
    curves = {}
    for spoken in speakers(scores):
        cell = spoken.cell
        same = [o for o in scores if o.cell == cell._replace(fraction=o.cell.fraction)]
        curves[cell.paradigm, cell.objective] = same
    return _pairs(LABELS, curves, lambda one, two: by_labels(one, two, resamplings))


def with_flops(runs: Sequence[Run]) -> tuple[Overtaking, ...]:
    """All pairs of the objectives that the online monitor prefers, along training FLOPs."""
    watched: dict[tuple[str, str], list[Curve]] = {}
    for run in runs:
        seen = (run.curves or {}).get("monitor") or {}
        if seen.get("step") and "accuracy" in seen:
            flops = flops_at(run, seen["step"])
            # Before the first step all encoders are untrained.
            points = [pair for pair in zip(flops, seen["accuracy"], strict=True) if pair[0] > 0]
            if points:
                x, y = zip(*points, strict=True)
                watched.setdefault(key_of(run), []).append((x, y))
    last = {key: fmean(y[-1] for _, y in found) for key, found in watched.items()}
    curves = {}
    for way in PARADIGMS[:-1]:
        mine = [key for key in watched if key[0] == way]
        if mine:
            best = max(mine, key=lambda key: last[key])
            curves[best] = watched[best]

    def last_crossing(one: Sequence[Curve], two: Sequence[Curve]) -> Race | None:
        found = over_seeds(one, two)
        return found and found._replace(crossings=found.crossings[-1:])

    return _pairs(FLOPS, curves, last_crossing)


def by_axis(*found: tuple[Overtaking, ...]) -> dict[str, tuple[Overtaking, ...]]:
    """The pairs of each axis that has any."""
    return {pairs[0].axis: pairs for pairs in found if pairs}


def markdown(found: Sequence[Overtaking]) -> str:
    """The sentences and the table of one axis."""
    axis = found[0].axis
    lines = [*(f"- {one.sentence}" for one in found), ""]
    lines += [f"| ahead with fewest {axis} | ahead with most | cross at | 95 % interval |"]
    lines += ["|-|-|-|-|"]
    lines += [f"| {' | '.join((*one.ahead, one.places, one.intervals))} |" for one in found]
    return "\n".join([*lines, "", NOTES[axis]])


def _pairs(
    axis: str,
    curves: Mapping[tuple[str, str], Sequence[Member]],
    compare: Callable[[Sequence[Member], Sequence[Member]], Race | None],
) -> tuple[Overtaking, ...]:
    found = []
    for one, two in combinations(curves, 2):
        made = compare(curves[one], curves[two])
        if made is None:
            continue
        if not made.leads_last:
            one, two, made = two, one, _turned(made)
        found.append(Overtaking(axis, _name(one), _name(two), (one[0], two[0]), made))
    return tuple(found)


def _turned(found: Race) -> Race:
    return found._replace(leads_first=not found.leads_first, leads_last=not found.leads_last)


def _name(key: tuple[str, str]) -> str:
    return f"{NAMES[key[0]]} {label(key[1])}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


SHOWN: dict[str, Callable[[float], str]] = {
    LABELS: lambda value: f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %",
    FLOPS: lambda value: prefixed(value, "FLOPs"),
}
"""How a position is written, by axis."""
