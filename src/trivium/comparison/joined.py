"""Evaluations of one encoder on one task, such as its probes and its fine-tuning, as one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trivium.comparison.records import Measured


def joined(measured: "Sequence[Measured]") -> "tuple[Measured, ...]":
    """Those that share all facts but no probe, together in the first of them; others as they are.

    Args:
        measured: Of one task all have the same test items.
    """
    found: list[Measured] = []
    for one in measured:
        same = [n for n, other in enumerate(found) if other.facts == one.facts]
        same = [n for n in same if _probes(found[n]).isdisjoint(_probes(one))]
        if not same:
            found.append(one)
            continue
        first = found[same[0]]
        found[same[0]] = replace(
            first,
            records=first.records + one.records,
            predictions={**first.predictions, **one.predictions},
        )
    return tuple(found)


def _probes(one: "Measured") -> set[str]:
    return {record.probe for record in one.records}
