"""How do models learn: one run of each paradigm, step by step, as the page opens."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from trivium.comparison.cells import Scores
from trivium.comparison.panels import SHOWN, Panel
from trivium.comparison.runs import Run
from trivium.types import MODALITIES

ORDER = tuple(map(str, MODALITIES))
QUESTION = "How do models learn?"
NOTE = (
    "Of each way of learning the objective with the best validation accuracy is shown, of those "
    "that left what its panel needs, and of it the first seed; of the datasets the one that fills "
    "the most panels, pictures before texts before sounds, and where these objectives are right "
    "most often. This is an illustration: the tables below are the examination. In the matrix the "
    "strength of a colour is the square root of a share, so that rare mistakes are seen. The map "
    "is the plane of the two first principal components of a look's features, at one size, turned "
    "to lie as near as possible to the next look's (orthogonal Procrustes)."
)


class Opening(NamedTuple):
    """A panel for each way of learning that left something to look at, all on one dataset."""

    dataset: str
    panels: tuple[Panel, ...]

    @property
    def drawing(self) -> dict[str, Any]:
        """What the page's script needs."""
        return {"panels": [panel.drawing for panel in self.panels]}


class _Candidate(NamedTuple):
    """What could open the page; `accuracy` is the mean of validation over the panels' runs."""

    opening: Opening
    modality: str
    accuracy: float


def opening(scores: Sequence[Scores], runs: Sequence[Run]) -> Opening | None:
    """The panels of the dataset that suits best, by the rule of `NOTE`; None if there are none."""
    known = _validated(scores)
    places = dict.fromkeys((run.facts.dataset, run.facts.modality) for run in runs)
    found = [_candidate(*place, runs, known) for place in places]
    best = max((one for one in found if one.opening.panels), key=_suits, default=None)
    return best.opening if best else None


Known = dict[tuple[str, str, str, str], float]
"""Validation accuracy by dataset, modality, objective and encoder."""


def _candidate(dataset: str, modality: str, runs: Sequence[Run], known: Known) -> _Candidate:
    panels, right = [], []
    for paradigm, panel_of in SHOWN.items():
        mine = [
            run
            for run in runs
            if (run.facts.dataset, run.facts.modality, run.facts.paradigm)
            == (dataset, modality, paradigm)
        ]
        ranked = sorted(mine, key=lambda run: (-known.get(_key(run), 0.0), _order(run)))
        panel = next((panel for run in ranked if (panel := panel_of(run))), None)
        if panel:
            panels.append(panel)
            right.append(known.get(_key(panel.run), 0.0))
    return _Candidate(Opening(dataset, tuple(panels)), modality, fmean(right or [0.0]))


def _validated(scores: Sequence[Scores]) -> Known:
    """Of each way the linear probe's (or the first one's) accuracy with the most labels."""
    found: dict[tuple[str, str, str, str], tuple[tuple[object, ...], float]] = {}
    for one in scores:
        cell = one.cell
        if (cell.metric, cell.split) == ("accuracy", "validation"):
            key = (cell.dataset, cell.modality, cell.objective, cell.encoder)
            rank = (cell.probe == "linear", cell.fraction)
            if key not in found or rank > found[key][0]:
                found[key] = (rank, one.interval.mean)
    return {key: mean for key, (_, mean) in found.items()}


def _key(run: Run) -> tuple[str, str, str, str]:
    return (run.facts.dataset, run.facts.modality, run.facts.objective, run.facts.encoder)


def _order(run: Run) -> tuple[str, str, int]:
    return (run.facts.objective, run.facts.encoder, run.facts.seed)


def _suits(one: _Candidate) -> tuple[float, ...]:
    parts = one.modality.split("+")
    return (len(one.opening.panels), -len(parts), -ORDER.index(parts[0]), one.accuracy)
