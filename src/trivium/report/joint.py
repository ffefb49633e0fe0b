"""Does learning together help each sense alone? Towers against encoders of one modality."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from trivium.colours import NAMES
from trivium.report.cells import Scores
from trivium.report.leaders import answers
from trivium.report.pairwise import Comparison, Verdict
from trivium.report.records import PARADIGMS
from trivium.report.scores import RETRIEVAL
from trivium.report.tables import beats, fraction, label, listed, percent, points

QUESTION = "Does learning together help each sense alone?"
ANY = "any"
"""In place of a paradigm: the best of all."""


class Pairing(NamedTuple):
    """At one label fraction, the best encoder that learnt alone and the best tower.

    Both are examined on one modality; `paradigm` is that of both, or `any`. `comparison` is the
    tower minus the other, corrected with all pairs of its column.
    """

    modality: str
    fraction: float
    paradigm: str
    alone: Scores
    tower: Scores
    comparison: Comparison

    @property
    def column(self) -> str:
        """What was measured: with which share of labels, or recall of retrieval."""
        if self.tower.cell.probe == RETRIEVAL:
            return self.tower.cell.metric
        return f"{fraction(self.fraction)} of the labels"


class Together(NamedTuple):
    """The pairings of one dataset's task, and a sentence for each modality."""

    dataset: str
    task: str
    probe: str
    pairings: tuple[Pairing, ...]
    sentences: tuple[str, ...]


def joint_comparisons(
    scores: Sequence[Scores], comparisons: Sequence[Comparison]
) -> tuple[Together, ...]:
    """One answer per dataset and task on which both kinds of encoders were examined.

    Of each kind the one with the highest test score is taken, without the controls; that is sound
    because all pairs of a column are corrected for together.
    """
    places: dict[tuple[str, str], dict[str, list[Scores]]] = defaultdict(lambda: defaultdict(list))
    for one in scores:
        if "+" not in one.cell.modality:
            places[one.cell.dataset, one.cell.task][one.cell.modality].append(one)
    found = []
    for place, by_modality in places.items():
        paired = {
            modality: pairings
            for modality, mine in by_modality.items()
            if (pairings := _pairings(modality, mine, comparisons))
        }
        if paired:
            every = tuple(one for pairings in paired.values() for one in pairings)
            sentences = tuple(_sentence(pairings) for pairings in paired.values())
            found.append(Together(*place, every[0].tower.cell.probe, every, sentences))
    return tuple(found)


def paradigm(one: Pairing) -> str:
    """The label of a pairing's paradigm."""
    return NAMES.get(one.paradigm, one.paradigm)


def named(one: Scores) -> str:
    """An objective's name and mean."""
    return f"{label(one.cell.objective)} {percent(one.interval.mean)} %"


def _pairings(
    modality: str, mine: Sequence[Scores], comparisons: Sequence[Comparison]
) -> list[Pairing]:
    verdicts = {(one.first, one.second): one for one in comparisons}
    found = []
    for answer in answers(mine, comparisons):
        cell = answer.leader.cell
        column = [
            one
            for one in mine
            if one.cell.paradigm != "control"
            and one.cell._replace(paradigm="", objective="", encoder="")
            == cell._replace(paradigm="", objective="", encoder="")
        ]
        for wanted in (ANY, *PARADIGMS):
            some = [one for one in column if wanted in (ANY, one.cell.paradigm)]
            alone = max((o for o in some if not o.others), key=_mean, default=None)
            tower = max((o for o in some if o.others), key=_mean, default=None)
            if alone and tower and (told := beats(tower.cell, alone.cell, verdicts)):
                found.append(Pairing(modality, answer.fraction, wanted, alone, tower, told))
    return found


def _sentence(pairings: Sequence[Pairing]) -> str:
    """What the best of all paradigms say of one modality, label fractions of a verdict together."""
    best = [one for one in pairings if one.paradigm == ANY]
    others = listed(tuple(dict.fromkeys(name for one in best for name in one.tower.others)))
    said: dict[Verdict, str] = {
        "better": "helps the {} encoder",
        "worse": "does not help the {} encoder",
        "not distinguishable": "is not distinguishable from learning alone for the {} encoder",
    }
    parts = []
    for verdict, words in said.items():
        some = [one for one in best if one.comparison.verdict == verdict]
        if some:
            details = "; ".join(_detail(one) for one in some)
            parts.append(f"{words.format(best[0].modality)} {details}")
    return f"Learning with {others} " + ". It ".join(parts) + "."


def _detail(one: Pairing) -> str:
    by = "in" if one.tower.cell.probe == RETRIEVAL else "with"
    return (
        f"{by} {one.column}: {points(one.comparison)} "
        f"({named(one.tower)} against {named(one.alone)})"
    )


def _mean(one: Scores) -> float:
    return one.interval.mean
