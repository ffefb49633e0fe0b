"""Composing a stage's config outside of its own entry point, and remembering it."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from trivium.config import Config, plain, register
from trivium.io import write_text

CACHE = Path("outputs/cache/configs.json")


def composed(name: str, overrides: Sequence[str]) -> Config:
    """The config `conf/NAME.yaml` with overrides, as resolved plain values.

    To be called inside of a Hydra application, or of `hydra.initialize_config_dir`.
    """
    register()
    instance = HydraConfig.instance()
    before = instance.cfg
    config = compose(name, list(overrides), return_hydra_config=True)
    instance.set_config(config)
    with open_dict(config):
        del config["hydra"]
    try:
        return plain(config)
    finally:
        instance.cfg = before


class Compositions:
    """Configs that were composed, remembered on disk by the digest of `conf/` and the overrides.

    Composing takes a fifth of a second; a grid has hundreds of runs, and seeds differ in one value.
    """

    def __init__(self, file: Path = CACHE) -> None:
        self.file, self.changed = file, False
        self.digest, self.seed_is_used = _read_conf(conf_folder())
        self.known: dict[str, Config] = {}
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads(file.read_bytes())
            if stored.get("conf") == self.digest:
                self.known = stored["configs"]

    def of(self, name: str, overrides: Sequence[str], seed: int | None = None) -> Config:
        """The plain values of a composed config; `seed` is set in them."""
        seeded = [f"seed={seed}"] if seed is not None and self.seed_is_used else []
        words = [*overrides, *seeded]
        key = " ".join([name, *words])
        if key not in self.known:
            self.known[key] = composed(name, words)
            self.changed = True
        values = cast(Config, json.loads(json.dumps(self.known[key])))
        return values if seed is None else {**values, "seed": seed}

    def save(self) -> None:
        """Write the file in one step; of two processes at once the last one is kept."""
        if self.changed:
            write_text(self.file, json.dumps({"conf": self.digest, "configs": self.known}))


def conf_folder() -> Path:
    """The folder of yaml files of the running Hydra application."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None, "no Hydra application has begun"
    sources = hydra.config_loader.get_sources()
    return Path(next(one.path for one in sources if one.provider == "main"))


def objectives() -> list[str]:
    """Every objective that has a yaml, as PARADIGM/METHOD."""
    found = conf_folder().glob("objective/*/*.yaml")
    return sorted(f"{path.parent.name}/{path.stem}" for path in found)


def suitable(data: str, part: str | None) -> list[str]:
    """The methods of every objective that learns from a dataset's modality; imports them."""
    from hydra.utils import get_class

    from trivium.types import Modalities, Objective, kind_of

    modality = part or composed("prepare", [f"data={data}"])["data"]["modality"]
    wanted = kind_of(cast(Modalities, modality))
    found = []
    for path in objectives():
        target = OmegaConf.load(conf_folder() / "objective" / f"{path}.yaml").objective._target_
        kind = get_class(target)
        assert issubclass(kind, Objective)
        if wanted in kind.needs.modalities:
            found.append(path.rpartition("/")[2])
    return found


def grid_names() -> list[str]:
    """Every grid of `conf/grid`."""
    return sorted(path.stem for path in conf_folder().glob("grid/*.yaml"))


def grid_values(name: str, overrides: Sequence[str] = ()) -> Config:
    """The `grid` of `conf/grid/NAME.yaml`, as plain values.

    Raises:
        ValueError: there is no such grid.
    """
    known = grid_names()
    if name not in known:
        raise ValueError(f"there is no grid {name!r} in conf/grid; there are: {', '.join(known)}.")
    return cast(Config, composed("compare", [f"grid={name}", *overrides])["grid"])


def _read_conf(folder: Path) -> tuple[str, bool]:
    """A digest of all yaml files and of the resolvers, and whether some value names the seed."""
    digest, used = hashlib.sha256(Path(__file__).with_name("config.py").read_bytes()), False
    for path in sorted(folder.rglob("*.yaml")):
        content = path.read_bytes()
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + content)
        used = used or b"${seed}" in content
    return digest.hexdigest(), used
