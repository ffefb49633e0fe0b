"""What makes a run again, and what of it may have changed since it was measured."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trivium.config import numerics_of, pretraining_values, probe_values, without_numerics
from trivium.identity import digest, measurement_settings, prepared_fingerprint, settings_of

if TYPE_CHECKING:
    from trivium.grid import Grid

Composer = Callable[[str, Sequence[str]], Mapping[str, Any]]
"""The values of a stage's config with overrides."""
CHECKPOINT = "checkpoint="
ASPECTS = ("data", "settings", "numerics")
"""What is compared with a record's own: a change of any of them makes it incomparable."""


class Recipe(NamedTuple):
    """The overrides that make a run and its probe again, and what they stand for.

    Attributes:
        data: Fingerprint of the store; empty where it is not prepared.
        settings: A digest of what computes, but for `numerics` and for the precision, which
            follows from the machine.
        numerics: The declared numbers by the place where each stands, as JSON.
        pretrain: Overrides of the pretraining; empty of the raw input.
        probe: Overrides of the probe, without the checkpoint.
    """

    data: str
    settings: str
    numerics: str
    pretrain: tuple[str, ...]
    probe: tuple[str, ...]

    def changed(self, record: Mapping[str, Any]) -> list[str]:
        """The aspects in which a published run (a row of `runs.csv`) differs from this."""
        return [name for name in ASPECTS if getattr(self, name) != record[name]]


def recipe(compose: Composer, pretrain: Iterable[str], probe: Iterable[str]) -> Recipe:
    """What overrides stand for today.

    Args:
        compose: Composes `pretrain` and `probe`.
        pretrain: Overrides of the pretraining; none for the raw input.
        probe: Overrides of the probe.
    """
    pretrain = tuple(pretrain)
    probe = tuple(word for word in probe if not word.startswith(CHECKPOINT))
    measured = probe_values(compose("probe", [f"{CHECKPOINT}raw", *probe]))
    numerics = {f"probe.{place}": n for place, n in numerics_of(measured).items()}
    settings: list[Any] = [measurement_settings(without_numerics(measured))]
    if pretrain:
        trained = pretraining_values(compose("pretrain", pretrain))
        numerics |= {f"pretrain.{place}": n for place, n in numerics_of(trained).items()}
        plain = without_numerics(trained)
        plain["trainer"] = {k: v for k, v in plain["trainer"].items() if k != "precision"}
        settings.append(settings_of(plain))
    store = Path(measured["stores"]) / measured["data"]["name"]
    data = prepared_fingerprint(store, measured["data"], measured["part"]) or ""
    return Recipe(data, digest(settings), json.dumps(numerics, sort_keys=True), pretrain, probe)


def recipes(grid: "Grid") -> Callable[[str, int], Recipe]:
    """The recipe of each cell and seed of a grid, and of each raw input.

    A run that is probed on several data sets is made again with the first of them.
    """
    raw = {f"{data}-raw": data for data in grid.raw_datasets()}
    cells = {cell.name: cell for cell in grid.cells}

    def found(name: str, seed: int) -> Recipe:
        if name in raw:
            return recipe(grid.compositions.of, (), grid.raw(raw[name]).overrides)
        if name not in cells:
            raise ValueError(f"the report's cell {name} is none of the grid {grid.name}")
        cell = cells[name]
        run, probe = grid.run(cell, seed), grid.probes(cell, seed)[0]
        return recipe(grid.compositions.of, run.overrides, probe.overrides)

    return found
