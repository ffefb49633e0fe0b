"""The project's yaml files as components are built from them."""

from pathlib import Path

from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from trivium import compose
from trivium.config import without_numerics

CONF = Path(__file__).resolve().parents[1] / "conf"


def read(path: Path | str) -> DictConfig:
    """A yaml of `conf` (or an absolute path) without its `numerics`, not resolved."""
    values = OmegaConf.to_container(OmegaConf.load(CONF / path))
    return OmegaConf.create(without_numerics(values))


def begin():
    """A Hydra application, within which `trivium.compose` and `trivium.grid` work."""
    return initialize_config_dir(str(CONF), version_base="1.3")


def composed(name, overrides=()):
    """The plain values of a stage's config."""
    with begin():
        return compose.composed(name, overrides)
