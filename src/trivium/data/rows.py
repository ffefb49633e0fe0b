"""What the samples of several modalities say of the rows that they name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from trivium.data.errors import DataError
from trivium.types import MODALITIES, Modality

if TYPE_CHECKING:
    from trivium.data.writer import Parsed


def check_rows(name: str, parsed: "Parsed", parts: "Mapping[Modality, Parsed]") -> None:
    """Refuse rows that do not exist, and samples with fewer than two modalities.

    Raises:
        DataError: names the modality or counts the samples.
    """
    rows = parsed.rows or {}
    order = [one for one in MODALITIES if one in parts]
    if len(order) < 2 or list(parts) != order or list(rows) != order:
        raise DataError(
            f"{name}: parts {[*parts]} and rows {[*rows]} must name the same modalities, two at "
            f"least, in the order {', '.join(MODALITIES)}"
        )
    for one, named in rows.items():
        count = parts[one].num_samples
        if len(named) != parsed.num_samples or named.min() < -1 or named.max() >= count:
            raise DataError(
                f"{name}: each of {parsed.num_samples} samples must name one of {count} rows of "
                f"{one}, or -1"
            )
    poor = np.flatnonzero(sum((named >= 0).astype(int) for named in rows.values()) < 2)
    if len(poor):
        raise DataError(
            f"{name}: {len(poor)} samples have fewer than two modalities, the first is number "
            f"{poor[0]}"
        )
    if parsed.strata is not None and (
        len(parsed.strata) != parsed.num_samples
        or parsed.strata.min() < 0
        or parsed.strata.max() >= len(parsed.stratum_names)
    ):
        raise DataError(f"{name}: strata must be one of {len(parsed.stratum_names)} per sample")


def describe_rows(
    name: str,
    modality: Modality,
    parsed: "Parsed",
    part: "Parsed",
    splits: Mapping[str, np.ndarray],
) -> "tuple[Parsed, dict[str, np.ndarray]]":
    """A part with the labels and groups of its rows, and the rows of each split.

    Rows that no sample of a split names are in none.

    Raises:
        DataError: samples that name the same row disagree on its split, group or label.
    """
    assert parsed.rows is not None
    named, count = parsed.rows[modality], part.num_samples
    split = np.full(parsed.num_samples, -1)
    for number, chosen in enumerate(splits.values()):
        split[chosen] = number

    def of_rows(values: np.ndarray, what: str, used: np.ndarray) -> np.ndarray:
        found = np.zeros(count, np.int64)
        found[named[used]] = values[used]
        if wrong := int((found[named[used]] != values[used]).sum()):
            raise DataError(
                f"{name}: {wrong} samples name a row of {modality} that another sample of "
                f"another {what} names, too"
            )
        return found

    used = np.flatnonzero((named >= 0) & (split >= 0))
    labels = {task: of_rows(ids, task, used) for task, ids in parsed.labels.items()}
    groups = None
    if parsed.groups is not None:
        groups = of_rows(parsed.groups, "group", used)
    rows_split = np.where(np.isin(np.arange(count), named[used]), of_rows(split, "split", used), -1)
    theirs = {one: np.flatnonzero(rows_split == number) for number, one in enumerate(splits)}
    described = part._replace(labels=labels, tasks=dict(parsed.tasks), groups=groups)
    for one, rows in theirs.items():
        if len(rows) == 0:
            raise DataError(f"{name}: no sample of {one} has {modality}")
    return described, theirs
