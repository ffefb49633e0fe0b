"""Runs that no grid names: any selection of the tracking store as entries of a report."""

from collections import defaultdict
from collections.abc import Sequence

from trivium.comparison.records import Entry
from trivium.tracking import names
from trivium.tracking.reading import Tracked


def selected(runs: Sequence[Tracked]) -> list[Entry]:
    """An entry for each evaluation of each run.

    Runs of one objective on one dataset that differ in a setting (of a sweep) become rows of their
    own, named by it: `simclr · temperature=0.2`. Of runs that differ in nothing but their age, the
    newest counts.

    Args:
        runs: From the oldest to the newest.
    """
    families: dict[tuple[str, ...], list[Tracked]] = defaultdict(list)
    for run in runs:
        families[tuple(run.tags.get(name, "") for name in names.ENCODER)].append(run)
    entries = []
    for family in families.values():
        short = _shortened(differing(family))
        newest = {(_variant(run, short), _seed(run)): run for run in family}
        for (variant, seed), run in newest.items():
            cell = f"{run.tags.get(names.DATASET, run.name)}-{run.tags.get(names.OBJECTIVE, '')}"
            entries += [
                Entry(cell, seed, probe, run.folder, run.run_id, variant) for probe in run.probes
            ]
    return entries


def differing(family: Sequence[Tracked]) -> list[str]:
    """The settings in which some of these runs differ, but those of `names.ASIDE`."""
    keys = dict.fromkeys(key for run in family for key in run.params)
    return [
        key
        for key in keys
        if key not in names.ASIDE
        and key.partition(".")[0] not in names.ASIDE
        and len({run.params.get(key) for run in family}) > 1
    ]


def _shortened(keys: Sequence[str]) -> dict[str, str]:
    """The shortest name of each setting that no other one has."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)
    }


def _variant(run: Tracked, settings: dict[str, str]) -> str:
    return ", ".join(f"{short}={run.params.get(key, '-')}" for key, short in settings.items())


def _seed(run: Tracked) -> int:
    return int(run.tags.get(names.SEED, 0))
