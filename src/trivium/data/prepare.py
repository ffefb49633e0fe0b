"""From a dataset's config to its store, and to its `DataSpec` before any data is there."""

import importlib
import pkgutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from filelock import FileLock

from trivium.data.cache import content_sum
from trivium.data.config import (
    NEEDED,
    check_config,
    check_facts,
    config_digest,
    entries,
    part_config,
    part_names,
    section,
    sound_settings,
)
from trivium.data.errors import ConfigError, SourceUnavailable, StoreError
from trivium.data.fetch import Fetched, fetch
from trivium.data.meta import Meta
from trivium.data.progress import announce
from trivium.data.sources import FolderSource
from trivium.data.store import Store, resolve_task
from trivium.data.writer import Origin, Parsed, write_store
from trivium.types import DataSpec, Modalities

PARSERS = "trivium.data.datasets"


Parse = Callable[[Path | None, Mapping[str, object], Path], Parsed]
"""`parse(folder, config, scratch)` of a module below `trivium.data.datasets`."""


def prepare(config: Mapping[str, object], folder: Path, *, force: bool = False) -> Store:
    """Fetch, parse and store a dataset; a valid store of the same config is used again.

    Args:
        config: The dataset's yaml as plain values.
        folder: Where the store lies, usually `outputs/stores/NAME`.
        force: Prepare anew even if a valid store is there.

    Raises:
        ConfigError: the config has an unknown, missing or contradicting key.
        DataError: no source answered, an archive is corrupt, or the files are not as expected.
    """
    check_config(config)
    parse = load_parser(str(config["parser"]))
    digest = config_digest(config)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        store = None if force else _reusable(config, folder, digest)
        if store is not None:
            announce(f"{config['name']}: the store in {folder} is up to date")
            return store
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
            store = _build(config, parse, folder, Path(scratch), digest)
    announce(f"{config['name']}: {dict(store.meta.counts)} samples in {folder}")
    return store


def spec_from_config(
    config: Mapping[str, object],
    task: str | None = None,
    folder: Path | None = None,
    part: str | None = None,
) -> DataSpec:
    """What encoders and objectives may know, from the yaml's recorded facts alone.

    Of several modalities: of all, or of `part` alone.

    Facts that the yaml leaves open (a folder of the user's own) come from the store in
    `folder`, if it is prepared already. `num_classes` is 0 on unlabelled data (`tasks: {}`).

    Raises:
        ConfigError: facts are open and there is no store yet, or the config is wrong.
        DataError: the dataset has no such task, or no labels at all.
    """
    check_config(config)
    if part is not None:
        return _from_store_or(part_config(config, part), task, folder and folder / part)
    if names := part_names(config):
        found = _from_store_or(config, task, folder)
        if found.parts:
            return found
        parts = [
            _from_store_or(part_config(config, one), task, folder and folder / one) for one in names
        ]
        return found._replace(parts=tuple(parts))
    return _from_store_or(config, task, folder)


def _from_store_or(config: Mapping[str, object], task: str | None, folder: Path | None) -> DataSpec:
    name, facts = str(config["name"]), section(config, "spec")
    needed = NEEDED.get(str(config["modality"]), ("tasks", "num_samples"))
    if any(facts.get(key) is None for key in needed):
        if folder is None or not (folder / "meta.json").is_file():
            raise ConfigError(
                f"{name}: its facts are not all in the yaml; "
                "run pipelines/prepare.py with this data first"
            )
        store = Store.open(folder)
        check_facts(facts, store.meta)
        return store.spec(task)
    tasks = section(facts, "tasks")
    num_classes = 0
    if tasks or task is not None:
        num_classes = int(cast(int, tasks[resolve_task(name, tuple(tasks), task)]))
    return DataSpec(
        name=name,
        modality=cast(Modalities, config["modality"]),
        shape=tuple(int(n) for n in cast(Sequence[int], facts.get("shape") or ())),
        num_classes=num_classes,
        num_samples=int(cast(int, facts["num_samples"])),
        mean=tuple(float(v) for v in cast(Sequence[float], facts.get("mean") or ())),
        std=tuple(float(v) for v in cast(Sequence[float], facts.get("std") or ())),
        vocabulary=int(cast(int, facts.get("vocabulary") or 0)),
        sound=tuple(sound_settings(config)[0]) if config["modality"] == "audio" else (),
    )


def load_parser(path: str) -> Parse:
    """The `parse` of the module of a dotted path, which must lie below `trivium.data.datasets`.

    Raises:
        ConfigError: it lies elsewhere; lists those that there are.
    """
    known = [one.name for one in pkgutil.iter_modules(importlib.import_module(PARSERS).__path__)]
    parent, _, name = path.rpartition(".")
    if parent != PARSERS or name not in known:
        raise ConfigError(f"unknown parser {path!r}; {PARSERS} has: {', '.join(known)}")
    return cast(Parse, importlib.import_module(path).parse)


def _reusable(config: Mapping[str, object], folder: Path, digest: str) -> Store | None:
    """The store in `folder` if it is whole, of this config, and its own folder is unchanged."""
    if not folder.exists():
        return None
    try:
        store = Store.open(folder, verify=True)
    except StoreError as error:
        announce(f"{config['name']}: preparing anew, because {error}")
        return None
    if store.meta.config != digest:
        return None
    if store.meta.source.startswith("folder "):
        source = FolderSource(store.meta.source.removeprefix("folder "))
        try:
            changed = content_sum(source.fetch(folder)) != store.meta.sha256
        except SourceUnavailable:
            return store
        return None if changed else store
    return store


def _build(
    config: Mapping[str, object], parse: Parse, folder: Path, scratch: Path, digest: str
) -> Store:
    name = str(config["name"])
    fetched = Fetched(scratch, "generated", "", "")
    if config.get("sources"):
        fetched = fetch(name, entries(config), scratch)
    parsed = parse(fetched.folder, config, scratch)
    origin = Origin(fetched.source, fetched.version, fetched.sha256, str(config["licence"]), digest)
    return write_store(folder, name, parsed, origin, partial(_check, config))


def _check(config: Mapping[str, object], meta: Meta) -> None:
    if part_names(config) and not meta.parts:
        config = part_config(config, meta.modality)
    check_facts(section(config, "spec"), meta)
