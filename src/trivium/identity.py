"""What runs, probes and stores are known by: what they compute, never where or by which code.

A component says how it computes by a declared number, `numerics`, in its yaml; golden values
(tests/numerics) hold it to that. Nothing here imports torch, so that finished runs are found fast.
"""

import hashlib
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

RUN_FREE = frozenset(
    {
        "run_dir", "overwrite", "stores", "tracking", "cell", "search", "tune", "grid", "adamw",
        "objective_views", "data", "towers",
    }
)  # fmt: skip
"""Keys of a pretraining's config that do not change what it computes, or enter otherwise."""
TRAINER_FREE = frozenset(
    {"accelerator", "devices", "strategy", "checkpoint_seconds", "checkpoint_steps"}
)
"""Settings of the trainer that change where a run computes and what it keeps on the way."""
PROBE_FREE = frozenset(
    {"stores", "features", "probe_dir", "finetune_dir", "checkpoint", "grid", "data", "overwrite"}
    | {"tracking", "adamw", "objective_views", "cell", "method"}
)
"""The same of a probe's or a fine-tuning's config."""
CONTENT = (
    "format", "modality", "shape", "columns", "tasks", "statistics", "counts", "vocabulary",
    "sound", "parts", "strata", "files",
)  # fmt: skip
"""What of a store's description says which data it holds."""
META = "meta.json"
DESCRIPTION = "encoder.yaml"
ENVIRONMENT = "environment.json"
"""Code and machine that a folder's content was computed by; the last file that a probe writes."""
PACKAGE = "trivium"
RAW = "raw"
"""The checkpoint of the input itself."""


def digest(values: Any) -> str:
    """Twelve hexadecimal digits of plain values, whatever the order of their keys."""
    return config_digest(values)[:12]


class Place(NamedTuple):
    """Where a run or a measurement lies, what it is known by, and whether it is finished."""

    folder: Path
    identity: str
    done: bool


def run_place(values: Mapping[str, Any], fingerprint: str) -> Place:
    """The place of a pretraining: its folder as given, or CELL-SEED-IDENTITY.

    Raises:
        FileNotFoundError: a pretrained tower's folder holds no encoder.
    """
    identity = run_identity(values, fingerprint)
    name = f"outputs/runs/{values['cell']}-{values['seed']}-{identity}"
    folder = Path(values["run_dir"] or name)
    return Place(folder, identity, is_finished(folder, identity))


def measurement_place(values: Mapping[str, Any], fingerprint: str) -> Place:
    """The place of a probe or a fine-tuning: its folder as given, or RUN-on-DATASET-IDENTITY.

    `checkpoint` is the encoder's folder, or `raw`.

    Raises:
        FileNotFoundError: the folder holds no encoder.
    """
    identity = measurement_identity(values, fingerprint)
    data = values["data"]["name"] + (f".{values['part']}" if values["part"] else "")
    name = f"{Path(values['checkpoint']).name}-on-{data}-{identity}"
    if "probe_dir" in values:
        folder = Path(values["probe_dir"] or f"outputs/probes/{name}")
    else:
        folder = Path(values["finetune_dir"] or f"outputs/finetuned/{name}")
    return Place(folder, identity, is_measured(folder, identity))


def finished_folder(
    values: Mapping[str, Any], place: Callable[[Mapping[str, Any], str], Place]
) -> Path | None:
    """The folder of what a config asks for, by `run_place` or `measurement_place`, if finished.

    None if it is to be repeated, or its encoder is kept by the tracker.
    """
    fingerprint = fingerprint_of(values)
    if fingerprint is None or values["overwrite"]:
        return None
    try:
        found = place(values, fingerprint)
    except FileNotFoundError:
        return None
    return found.folder if found.done else None


def run_identity(values: Mapping[str, Any], fingerprint: str) -> str:
    """What a pretraining by `trivium.config.pretraining_values` on a store is known by.

    Raises:
        FileNotFoundError: a pretrained tower's folder holds no encoder.
    """
    return digest({**settings_of(values), "data": [values["data"]["name"], fingerprint]})


def settings_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a pretraining's config computes, without its data."""
    towers = {
        one: [encoder_sums(Path(chosen["checkpoint"])), bool(chosen.get("frozen", False))]
        for one, chosen in values["towers"].items()
    }
    return {**_computing(values, RUN_FREE), "towers": towers, "external": external_sums(values)}


def measurement_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a probe's or a fine-tuning's config computes, without its data and encoder."""
    return {**_computing(values, PROBE_FREE), "external": external_sums(values)}


def _computing(values: Mapping[str, Any], free: frozenset[str]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in free}
    if "trainer" in kept:
        kept["trainer"] = {k: v for k, v in kept["trainer"].items() if k not in TRAINER_FREE}
    return kept


def measurement_identity(values: Mapping[str, Any], fingerprint: str) -> str:
    """What a probe or a fine-tuning on a store is known by, see `trivium.config`.

    Raises:
        FileNotFoundError: the folder holds no encoder.
    """
    checkpoint = values["checkpoint"]
    encoder = RAW if checkpoint == RAW else encoder_sums(Path(checkpoint))
    data = [values["data"]["name"], fingerprint]
    return digest({**measurement_settings(values), "data": data, "encoder": encoder})


def encoder_sums(folder: Path) -> list[str | None]:
    """The identity of the run that made an encoder (None if it says none), and its weights' sum.

    Raises:
        FileNotFoundError: the folder holds no encoder.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {DESCRIPTION}: give a finished run's folder")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    description = yaml.load(path.read_bytes(), loader)
    return [description["facts"].get("identity"), description["sha256"]]


def is_finished(folder: Path, identity: str) -> bool:
    """Whether the folder holds the finished run of that identity."""
    if not (folder / "metrics.json").is_file():  # the last file that a run writes
        return False
    try:
        return encoder_sums(folder)[0] == identity
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return False


def is_measured(folder: Path, identity: str) -> bool:
    """Whether the folder holds the finished probe or fine-tuning of that identity."""
    try:
        found = json.loads((folder / ENVIRONMENT).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(found.get("identity") == identity)


def store_folder(values: Mapping[str, Any]) -> Path:
    """Where the store of a config's data lies."""
    return Path(values["stores"], values["data"]["name"])


def store_fingerprint(folder: Path) -> str:
    """Sha256 over what a store holds: its arrays' sums and what they mean, of all its parts.

    Raises:
        FileNotFoundError: there is no store.
    """
    meta = json.loads((folder / META).read_bytes())
    content = {key: meta[key] for key in CONTENT if key in meta}
    parts = {part: store_fingerprint(folder / part) for part in meta.get("parts", ())}
    return config_digest([content, parts])


def prepared_fingerprint(folder: Path, config: Mapping[str, Any], part: str | None) -> str | None:
    """The fingerprint of a store or of a part; None if it is not there or of another config."""
    try:
        if json.loads((folder / META).read_bytes())["config"] != config_digest(config):
            return None
        return store_fingerprint(folder / part if part else folder)
    except (OSError, ValueError, KeyError):
        return None


def fingerprint_of(values: Mapping[str, Any]) -> str | None:
    """The fingerprint of the data that a config asks for; None if they are not prepared."""
    return prepared_fingerprint(store_folder(values), values["data"], values["part"])


def config_digest(config: Any) -> str:
    """Sha256 of plain values such as a dataset's config, whatever the order of their keys."""
    text = json.dumps(config, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def external_sums(values: Any) -> dict[str, str]:
    """Of each component that is neither ours nor an installed package's: its file's sha256.

    Such a component has no golden values that would hold it to a declared number.
    """
    found = {}
    for target in sorted(set(targets(values))):
        path = None if target.partition(".")[0] == PACKAGE else source_file(target)
        if path is not None and not _installed(path):
            found[target] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def targets(values: Any) -> Iterator[str]:
    """Every `_target_` of a config."""
    if isinstance(values, Mapping):
        if isinstance(values.get("_target_"), str):
            yield values["_target_"]
        values = list(values.values())
    if isinstance(values, list):
        for value in values:
            yield from targets(value)


def source_file(target: str) -> Path | None:
    """The file of a dotted path's module, found without importing it; None where there is none."""
    first, *rest = target.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    found = Path(spec.origin) if spec.origin and Path(spec.origin).is_file() else None
    for name in rest:
        nearer = [folder / f"{name}.py" for folder in folders]
        nearer += [folder / name / "__init__.py" for folder in folders]
        here = next((path for path in nearer if path.is_file()), None)
        folders = [folder / name for folder in folders if (folder / name).is_dir()]
        if here is None and not folders:
            break
        found = here or found
    return found


def _installed(path: Path) -> bool:
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    # An environment may lie upon another one (.venv-ray does).
    shared = ("site-packages", "dist-packages")
    places |= {place for place in sys.path if Path(place).name in shared}
    return any(path.resolve().is_relative_to(Path(place).resolve()) for place in places if place)
