"""What Trivium adds to Hydra: its resolvers, and plain values out of a config."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from omegaconf import DictConfig, OmegaConf

from trivium import hardware

Config: TypeAlias = dict[str, Any]
"""A composed config as resolved plain values, by the keys of its yaml."""

FOR_TUNING = ("search", "tune")
"""Keys that only `pipelines/tune.py` reads."""
NUMERICS = "numerics"
"""The key of a component's yaml that is raised when it computes otherwise than before."""


def register() -> None:
    """Make `${basename:a/b}` and `${by_modality:{image: a, text: b}}` known to OmegaConf."""
    resolvers: dict[str, Callable[..., Any]] = {
        "basename": lambda path: path.rsplit("/", 1)[-1],
        "by_modality": by_modality,
        "part_suffix": lambda part: f".{part}" if part else "",
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def by_modality(choices: Mapping[str, Any], *, _root_: DictConfig) -> Any:
    """The choice for the modality of the config's data; `other` is for those not named.

    `several` is for data of several modalities together.

    Raises:
        ValueError: if there is none.
    """
    modality = modality_of(_root_)
    if "+" in modality and "several" in choices:
        modality = "several"
    for name in (modality, "other"):
        if name in choices:
            return choices[name]
    hint = ", or choose an objective for several modalities or a part" if "+" in modality else ""
    raise ValueError(
        f"a setting has no value for {modality}, only for {', '.join(choices)}: set it{hint}."
    )


def plain(config: DictConfig) -> Config:
    """A config as resolved plain values.

    Raises:
        omegaconf.errors.MissingMandatoryValue: if a `???` was left open.
    """
    return cast(Config, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))


def prune(values: Mapping[str, Any]) -> Config:
    """What a pretraining run computes from: of the views its own recipes alone, and no search.

    Raises:
        ValueError: if there is no such recipe.
    """
    views = {}
    for modality, wanted in recipe_names(values).items():
        recipes = values["views"].get(modality, {})
        known = [name for name in recipes if name != NUMERICS]
        if wanted not in known:
            raise ValueError(
                f"objective_views={wanted} is unknown; recipes for {modality}: "
                f"{', '.join(known) or 'none'}."
            )
        views[modality] = {wanted: recipes[wanted], NUMERICS: recipes.get(NUMERICS)}
    kept = {key: value for key, value in values.items() if key not in FOR_TUNING}
    return {**kept, "views": views}


def modality_of(values: Mapping[str, Any] | DictConfig) -> str:
    """The modality of the data, or of the part alone; a part that is not there is refused."""
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


def without_numerics(values: Any) -> Any:
    """A config without the `numerics` numbers, as components are built from it."""
    if isinstance(values, Mapping):
        return {k: without_numerics(value) for k, value in values.items() if k != NUMERICS}
    if isinstance(values, list):
        return [without_numerics(value) for value in values]
    return values


def numerics_of(values: Mapping[str, Any]) -> dict[str, int]:
    """The declared `numerics` numbers of a config, by the dotted place where each stands."""
    found = {}
    for key, value in values.items():
        if key == NUMERICS:
            found[""] = int(value)
        elif isinstance(value, Mapping):
            below = numerics_of(value)
            found |= {f"{key}.{place}".rstrip("."): number for place, number in below.items()}
    return found


def pretraining_values(values: Mapping[str, Any]) -> Config:
    """What a pretraining computes from, everything that is `auto` decided.

    Raises:
        ValueError: if the views are not known, or a pretrained tower is not described.
    """
    kept = prune(values)
    kept["trainer"] = decided(values["trainer"])
    kept["towers"] = {one: chosen for one, chosen in values["towers"].items() if chosen}
    for one, settings in kept["towers"].items():
        known = {"checkpoint", "frozen"}
        if not isinstance(settings, dict) or not {"checkpoint"} <= set(settings) <= known:
            raise ValueError(
                f"towers.{one} is {settings!r}; expected checkpoint: a run's folder, and perhaps "
                "frozen: true or false."
            )
    return kept


def finetuning_values(values: Mapping[str, Any]) -> Config:
    """What a fine-tuning computes from, everything that is `auto` decided."""
    return {**prune(values), "trainer": decided(values["trainer"])}


def probe_values(values: Mapping[str, Any]) -> Config:
    """What a probe computes from: of the views without labels those of the data's modalities."""
    modalities = modality_of(values).split("+")
    seen = {*modalities, *(["wave"] if "audio" in modalities else [])}
    views = {k: view for k, view in values["label_free"]["views"].items() if k in seen}
    return {**values, "label_free": {**values["label_free"], "views": views}}


def decided(trainer: Mapping[str, Any]) -> Config:
    """The trainer's settings with the precision that `auto` means on this machine."""
    precision = trainer["precision"]
    if precision == "auto":
        precision = "bf16-mixed" if _computes_in_bf16(trainer["accelerator"]) else "32-true"
    return {**trainer, "precision": precision}


def _computes_in_bf16(accelerator: str) -> bool:
    """Whether the device multiplies bf16 matrices in hardware; torch is asked about a GPU alone."""
    if accelerator in ("auto", "gpu", "cuda") and hardware.has_gpu():
        import torch

        if torch.cuda.is_available():
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return hardware.cpu_has_bf16()
