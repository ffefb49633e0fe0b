"""What Trivium adds to Hydra: two resolvers, and plain values out of a config."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

IDENTITY_FREE = ("run_dir", "overwrite", "stores", "tracking")
"""Keys that do not change what a run computes."""
FOR_TUNING = ("search", "sweep")
"""Keys that only `pipelines/tune.py` reads."""


def register() -> None:
    """Make `${basename:a/b}` and `${by_modality:{image: a, text: b}}` known to OmegaConf."""
    OmegaConf.register_new_resolver("basename", lambda path: path.rsplit("/", 1)[-1], replace=True)
    OmegaConf.register_new_resolver("by_modality", by_modality, replace=True)
    OmegaConf.register_new_resolver(
        "part_suffix", lambda part: f".{part}" if part else "", replace=True
    )


def by_modality(choices: Mapping[str, Any], *, _root_: DictConfig) -> Any:
    """The choice for the modality of the config's data; `other` is for those not named.

    `several` is for data of several modalities together.

    Raises:
        ValueError: if there is none.
    """
    modality = modality_of(_root_)
    if "+" in modality and "several" in choices:
        modality = "several"
    if modality not in choices and "other" not in choices:
        hint = (
            ", or choose an objective for several modalities or a part" if "+" in modality else ""
        )
        raise ValueError(
            f"a setting has no value for {modality}, only for {', '.join(choices)}: set it{hint}."
        )
    return choices[modality] if modality in choices else choices["other"]


def plain(config: DictConfig) -> dict[str, Any]:
    """A config as resolved plain values.

    Raises:
        omegaconf.errors.MissingMandatoryValue: if a `???` was left open.
    """
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return cast(dict[str, Any], values)


def prune(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a pretraining run computes from: of the views its own recipes alone, and no search.

    Raises:
        ValueError: if there is no such recipe.
    """
    kept = {key: value for key, value in values.items() if key not in FOR_TUNING}
    views = {}
    for modality, wanted in recipe_names(values).items():
        recipes = values["views"].get(modality, {})
        if wanted not in recipes:
            known = ", ".join(recipes) or "none"
            raise ValueError(
                f"objective_views={wanted} is unknown; recipes for {modality}: {known}."
            )
        views[modality] = {wanted: recipes[wanted]}
    return {**kept, "views": views}


def modality_of(values: Mapping[str, Any] | DictConfig) -> str:
    """What a pretraining run is of: the data's modality, or the part's alone.

    Raises:
        ValueError: if the data have no such part.
    """
    part, modality = values.get("part"), str(values["data"]["modality"])
    if part and part not in modality.split("+"):
        raise ValueError(f"part={part} is no part of {values['data'].get('name')}: {modality}.")
    return str(part or modality)


def recipe_names(values: Mapping[str, Any]) -> dict[str, str]:
    """The recipe of `objective_views` for each modality: one name for all, or a map.

    Raises:
        ValueError: if a map lacks a modality.
    """
    wanted = values["objective_views"]
    names = {}
    for modality in modality_of(values).split("+"):
        name = wanted.get(modality) if isinstance(wanted, Mapping) else wanted
        if name is None:
            raise ValueError(f"objective_views names no recipe for {modality}: {dict(wanted)}.")
        names[modality] = name
    return names


def digest(values: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that name what a run computes."""
    kept = {key: value for key, value in values.items() if key not in IDENTITY_FREE}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def targets(values: Any) -> list[str]:
    """The package's modules that hold the `_target_`s of a config."""
    if isinstance(values, Mapping):
        own = [str(values["_target_"]).rpartition(".")[0]] if "_target_" in values else []
        found = own + [module for value in values.values() for module in targets(value)]
        return [module for module in found if module.startswith("trivium.")]
    if isinstance(values, list):
        return [module for value in values for module in targets(value)]
    return []
