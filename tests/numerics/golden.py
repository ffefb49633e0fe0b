"""Golden files: read, compare, and add entries without ever changing one."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent / "expected"
RECORDED_ON = "recorded on"
TIGHT, LOOSE, LOOSE_PROJECTIONS = 1e-5, 2e-3, 2e-2
"""Relative tolerances on the CPU class that recorded an entry, and elsewhere. Measured without AVX2
against with it: losses up to 7e-4 away (but for ResNet 1e-4), norms 5e-4, projections 5e-3."""
SOLVED, AT_MINIMUM = 1e-5, 1e-4
"""Those of probes everywhere: a minimum does not depend on how it was found. Its own value hardly
depends on where a solver stops; the cross-entropy of other items there depends on it more."""
DIGITS = 9
FLAGS = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16", "sve", "bf16")


def cpu_class() -> str:
    """What the last bits depend on: the kind of CPU, and torch's version."""
    known = torch.cpu.get_capabilities()
    flags = [flag for flag in FLAGS if known.get(flag)]
    version = torch.__version__.partition("+")[0]
    name = " ".join(str(known.get("cpu_name", "")).split())
    return ", ".join([" ".join([platform.machine(), name, *flags]), f"torch {version}"])


def path_of(component: str, folder: Path = FOLDER) -> Path:
    """The file of a component's entries."""
    return folder / f"{component}.json"


def read(component: str, folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """All entries of a component by their key; none if there is no file."""
    path = path_of(component, folder)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def add(component: str, key: str, values: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Write an entry under a new key.

    Raises:
        ValueError: there is an entry of this key already.
    """
    entries = read(component, folder)
    if key in entries:
        raise ValueError(
            f"{component} has an entry of {key!r} already. An entry is never changed: raise the "
            "number `numerics` in the yaml of what computes differently now, and record again."
        )
    entries[key] = {RECORDED_ON: cpu_class()} | {n: _rounded(v) for n, v in values.items()}
    path = path_of(component, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(entries), encoding="utf-8")


def differences(
    component: str, key: str, values: Mapping[str, Any], folder: Path = FOLDER
) -> list[str]:
    """What an entry says otherwise, in words; nothing if all is within the tolerance.

    The distance of two lists is relative to the largest magnitude of the expected one.
    """
    entries = read(component, folder)
    if key not in entries:
        known = "; ".join(entries) or "none"
        return [
            f"{component} has no entry of {key!r} (there are: {known}): record it with "
            f"python -m tests.numerics.record {component}"
        ]
    expected = dict(entries[key])
    recorded_on = expected.pop(RECORDED_ON)
    if set(expected) != set(values):
        return [f"{component}: expected {sorted(expected)}, got {sorted(values)}"]
    found = []
    for name, wanted in expected.items():
        rtol, away = tolerance(component, name, recorded_on), distance(wanted, values[name])
        if away > rtol:
            found.append(
                f"{component}, {name}: expected {wanted}, got {_rounded(values[name])}: {away:.1e} "
                f"away, tolerance {rtol:g} (recorded on {recorded_on})"
            )
    return found


def tolerance(component: str, name: str, recorded_on: str) -> float:
    """The relative tolerance of a value on this machine."""
    if component.startswith("probe/"):
        return AT_MINIMUM if "cross" in name else SOLVED
    if recorded_on == cpu_class():
        return TIGHT
    return LOOSE_PROJECTIONS if "projections" in name else LOOSE


def distance(expected: Any, found: Any) -> float:
    """The largest difference, relative to the largest magnitude that is expected."""
    if isinstance(expected, str) or isinstance(found, str):
        return 0.0 if expected == found else float("inf")
    wanted, got = np.atleast_1d(np.asarray(expected)), np.atleast_1d(np.asarray(found))
    if wanted.shape != got.shape or not np.isfinite(got).all():
        return float("inf")
    difference = float(np.abs(wanted - got).max())
    return difference / max(float(np.abs(wanted).max()), 1e-12)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _text(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Sorted json, one name a line."""
    blocks = []
    for key in sorted(entries):
        lines = [f"  {json.dumps(n)}: {json.dumps(v)}" for n, v in sorted(entries[key].items())]
        blocks.append(f" {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"
