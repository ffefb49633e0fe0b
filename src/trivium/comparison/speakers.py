"""Which objective speaks for its paradigm: the one that validation chooses, never the test."""

from collections.abc import Sequence

from trivium.comparison.cells import Scores
from trivium.comparison.records import PARADIGMS
from trivium.comparison.tables import WITHOUT


def speaker(mine: Sequence[Scores]) -> Scores | None:
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


def speakers(scores: Sequence[Scores]) -> tuple[Scores, ...]:
    """Of one place, the speaker of each paradigm that has one, controls aside.

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
    found = (speaker([o for o in column if o.cell.paradigm == way]) for way in PARADIGMS[:-1])
    return tuple(one for one in found if one)
