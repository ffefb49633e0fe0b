"""What retrieval found for a few queries, to be looked at and listened to."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from trivium.comparison.cells import Scores
from trivium.comparison.records import Measured
from trivium.comparison.retrieval import MAIN
from trivium.probes.evaluation import EXAMPLES

NOTE = (
    "Queries evenly spread over the test queries, whatever was found for them, each with its most "
    "similar candidates; ✓ marks right ones. By the method with the best recall@5, its first seed."
)


class Examples(NamedTuple):
    """Of one direction: `shown` are as `trivium.probes.examples` describes them."""

    paradigm: str
    objective: str
    seed: int
    shown: tuple[dict[str, Any], ...]


def examples_of(scores: Sequence[Scores], measured: Sequence[Measured]) -> Examples | None:
    """The examples of one place; None where no method left any.

    Raises:
        ValueError: A file of examples is not JSON.
    """
    recalls = {
        (one.cell.objective, one.cell.encoder): one.interval.mean
        for one in scores
        if one.cell.metric == MAIN and one.cell.split == "test"
    }
    kept = [one for one in measured if (one.entry.probe_folder / EXAMPLES).is_file()]
    ranked = sorted(
        kept,
        key=lambda one: (-recalls.get((one.facts.objective, one.facts.encoder), 0), one.facts.seed),
    )
    if not ranked:
        return None
    best = ranked[0]
    path = best.entry.probe_folder / EXAMPLES
    try:
        shown = tuple(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): run the probe stage again.") from error
    return Examples(best.facts.paradigm, best.facts.objective, best.facts.seed, shown)
