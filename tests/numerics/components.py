"""What has goldens: every objective on every modality, more encoders, probes and stores."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from . import parts

CONF = Path(__file__).resolve().parents[2] / "conf"
DATA = {
    "image": "synthetic",
    "text": "synthetic_text",
    "audio": "synthetic_audio",
    "image+text+audio": "synthetic_pairs",
}
ENCODERS = {
    "image": "vit_nano",
    "text": "text_nano",
    "audio": "audio_nano",
    "image+text+audio": "towers_nano",
}
TRAINER = ["trainer.batch_size=16", "trainer.precision=32-true", "trainer.accelerator=cpu"]
TRAINER += ["adamw.lr=1e-3"]  # tuned rates make rounding errors grow a hundredfold in eight steps
VARIANTS = {
    "encoder/resnet18/image": [
        "objective=supervised/cross_entropy",
        "encoder=resnet18",
        "trainer.batch_size=8",
        "adamw.lr=1e-4",
    ],
    "encoder/text_bag/text": ["objective=supervised/cross_entropy", "encoder=text_bag"],
    "encoder/text_rope/text": [
        "objective=supervised/cross_entropy",
        "encoder.positions=rotary",
        "encoder.pooling=last",
    ],
    "encoder/wave_nano/audio": [
        "objective=self_supervised/wav2vec2",
        "encoder=wave_nano",
        "objective_views=wave",
    ],
    "encoder/mel_statistics/audio": ["objective=control/untrained", "encoder=mel_statistics"],
    "encoder/raw/image": ["objective=control/untrained", "encoder=raw"],
    "encoder/towers_cross_attention/image+text+audio": [
        "objective=self_supervised/m3ae",
        "encoder.fusion=cross_attention",
    ],
    "training/missing/image+text+audio": ["objective=unsupervised/mvae", "data.missing=0.25"],
    "training/fraction/image": ["objective=supervised/cross_entropy", "data_fraction=0.5"],
}
"""What the objectives' own cells leave out: other encoders, samples that lack a modality."""
PINNED: dict[str, list[str]] = {}
"""Overrides by component: the value of a yaml at recording, where it was retuned since."""
SETTINGS = ("data", "encoder", "objective", "objective_views", "views", "optimizer", "schedule")
SETTINGS += ("trainer", "part", "data_fraction", "probe", "label_free")
PROBES = ("linear", "linear_wide", "linear_path", "linear_sparse", "knn", "ridge", "retrieval")
PROBES += ("linear_retrieval", "zero_shot", "protocol")
STORES = ("synthetic", "synthetic_text")


@functools.cache
def objectives() -> dict[str, list[str]]:
    """Overrides by component: every yaml of an objective on every modality that it names."""
    found = {}
    for file in sorted(CONF.glob("objective/*/*.yaml")):
        choice = file.relative_to(CONF / "objective").with_suffix("").as_posix()
        needs = get_class(OmegaConf.load(file).objective._target_).needs  # type: ignore[attr-defined]
        for modality in DATA:
            if parts.kind_of(modality) in needs.modalities:  # type: ignore[arg-type]
                found[f"objective/{choice}/{modality}"] = [f"objective={choice}"]
    return found


def trained() -> dict[str, list[str]]:
    """Overrides by component of all that is pretrained."""
    found = {}
    for name, own in (objectives() | VARIANTS).items():
        one = modality(name)
        chosen = [
            f"data={DATA[one]}",
            f"encoder={ENCODERS[one]}",
            *TRAINER,
            *own,
            *PINNED.get(name, ()),
        ]
        # A group may be chosen once: the last choice counts.
        found[name] = list({override.partition("=")[0]: override for override in chosen}.values())
    return found


def names() -> list[str]:
    """All components."""
    probes = [f"probe/{one}" for one in PROBES]
    return [*trained(), *probes, "label_free/diagnostics", *(f"store/{one}" for one in STORES)]


def modality(component: str) -> str:
    """What a pretrained component is of."""
    return component.rpartition("/")[2]


def settings(config: str, overrides: Iterable[str]) -> dict[str, Any]:
    """A composed config of `conf/` as plain values, `numerics` included."""
    parts.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed: DictConfig = compose(config, [*overrides])
    return {key: _plain(composed, key) for key in SETTINGS if key in composed}


def _plain(config: DictConfig, key: str) -> Any:
    if key != "views":
        value = config[key]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    # Of the recipes those in use alone: others may not be defined on these data.
    chosen = parts.recipe_names({one: _plain(config, one) for one in ("data", "objective_views")})
    return {
        one: {key: _plain(config.views[one], key) for key in (name, "numerics") if key in recipes}
        for one, name in chosen.items()
        if (recipes := config.views[one])
    }


def key_of(values: Mapping[str, Any]) -> str:
    """The `numerics` numbers of what computes, e.g. `data 1, objective 1, encoder 1`."""
    found = {}
    for group in ("data", "objective", "encoder", "views", "trainer", "probe", "label_free"):
        if group in values:
            found |= _numbers(group, values[group])
    return ", ".join(f"{name} {number}" for name, number in found.items())


def _numbers(name: str, values: Mapping[str, Any]) -> dict[str, int]:
    inner = {
        f"{name}.{one}": value.get("numerics", 1)
        for one, value in values.items()
        if one in ("image", "text", "audio") and isinstance(value, Mapping) and name != "data"
    }
    return inner if name == "views" else {name: values.get("numerics", 1), **inner}
