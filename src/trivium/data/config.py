"""Reading a dataset's config: plain mappings in, clear sentences out."""

from collections.abc import Mapping, Sequence
from typing import cast

from trivium import identity
from trivium.data.errors import ConfigError
from trivium.data.meta import Meta
from trivium.data.spectrogram import SoundSettings
from trivium.types import MODALITIES

KEYS = {
    "name", "modality", "licence", "parser", "numerics", "sources", "spec", "task",  # all
    "path", "on_error", "test_fraction", "id", "revision", "config", "columns", "splits",
    "num_train", "num_test", "seed", "visible", "split", "held_out", "tokenizer", "items",
    "files", "passage", "spectrogram", "pitches", "velocities", "languages",
    "media", "missing", "shuffled",  # several modalities
}  # fmt: skip
REQUIRED = ("name", "modality", "licence", "parser", "spec")
TOLERANCE = 0.01
"""How far a recorded mean or std may lie from the store's own."""
FACTS = {"shape", "tasks", "num_samples", "mean", "std", "vocabulary"}
NEEDED = {
    "image": ("shape", "tasks", "num_samples", "mean", "std"),
    "text": ("shape", "tasks", "num_samples", "vocabulary"),
    "audio": ("shape", "tasks", "num_samples", "mean", "std"),
}
"""The facts that encoders and objectives are built from, by modality."""


def part_config(config: Mapping[str, object], modality: str) -> dict[str, object]:
    """The config of one of several modalities, as if it were a dataset of its own.

    Its facts are those below `spec.MODALITY`, with the tasks of all; of its samples there may be
    another number.

    Raises:
        ConfigError: the dataset is not of that modality.
    """
    if modality not in part_names(config):
        raise ConfigError(
            f"{config.get('name')} is {config['modality']} and has no part {modality!r}"
        )
    facts = section(config, "spec")
    own = {"num_samples": None, "tasks": facts.get("tasks"), **section(facts, modality)}
    return {**config, "modality": modality, "spec": own}


def part_names(config: Mapping[str, object]) -> tuple[str, ...]:
    """The modalities of a dataset of several, none of a dataset of one."""
    known = tuple(str(config.get("modality")).split("+"))
    return known if len(known) > 1 else ()


def check_config(config: Mapping[str, object]) -> None:
    """Refuse unknown, missing and unset (`???`) keys.

    Raises:
        ConfigError: names the key.
    """
    name = config.get("name", "the data config")
    if missing := [key for key in REQUIRED if config.get(key) is None]:
        raise ConfigError(f"{name}: missing {', '.join(missing)}")
    if unknown := sorted(set(config) - KEYS):
        raise ConfigError(
            f"{name}: unknown {', '.join(unknown)}; keys are: {', '.join(sorted(KEYS))}"
        )
    if unset := [key for key, value in config.items() if value == "???"]:
        raise ConfigError(f"{name}: please set {', '.join(f'data.{key}' for key in unset)}")
    spec = section(config, "spec")
    parts = part_names(config)
    facts = {"tasks", "num_samples", *parts} if parts else FACTS
    if unknown := sorted(set(spec) - facts):
        raise ConfigError(
            f"{name}: unknown spec.{unknown[0]}; facts are: {', '.join(sorted(facts))}"
        )
    if parts and list(parts) != [one for one in MODALITIES if one in parts]:
        raise ConfigError(
            f"{name}: modality is {config['modality']}; name several of {', '.join(MODALITIES)} "
            "in that order"
        )
    for one in parts:
        if unknown := sorted(set(section(spec, one)) - FACTS):
            raise ConfigError(f"{name}: unknown spec.{one}.{unknown[0]}")


def check_facts(facts: Mapping[str, object], meta: Meta) -> None:
    """The recorded facts must be true of the data, since encoders are built on them.

    Raises:
        ConfigError: a recorded shape, class count, train size, mean or std is not the data's.
    """
    true: dict[str, object] = {
        **dict.fromkeys(meta.parts),
        "shape": list(meta.shape),
        "tasks": {task: len(names) for task, names in meta.tasks.items()},
        "num_samples": meta.counts["train"],
        "mean": list(meta.statistics["mean"]),
        "std": list(meta.statistics["std"]),
        "vocabulary": meta.vocabulary,
    }
    for key, recorded in facts.items():
        if key not in meta.parts and recorded is not None and not _equal(recorded, true[key]):
            raise ConfigError(
                f"{meta.name}: the config says spec.{key}: {recorded}, the data have {true[key]}; "
                "correct it, or set it to null to read it from the store"
            )


def _equal(recorded: object, true: object) -> bool:
    if isinstance(recorded, float) and isinstance(true, float):
        return abs(recorded - true) <= TOLERANCE
    if isinstance(recorded, Sequence) and isinstance(true, Sequence):
        pairs = zip(recorded, true, strict=False)
        return len(recorded) == len(true) and all(_equal(*pair) for pair in pairs)
    return recorded == true


def config_digest(config: Mapping[str, object]) -> str:
    """Sha256 of a config of plain values, whatever the order of its keys.

    Raises:
        ConfigError: a value is neither plain nor a list or mapping of plain ones.
    """
    try:
        return identity.config_digest(config)
    except TypeError as error:
        raise ConfigError(f"the data config must hold plain values only ({error})") from error


def section(config: Mapping[str, object], key: str) -> dict[str, object]:
    """A mapping inside of the config; empty if it is absent.

    Raises:
        ConfigError: it is something else.
    """
    value = config.get(key) or {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{config.get('name')}: {key} must be a mapping, not {value!r}")
    return dict(value)


def entries(config: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The list of sources.

    Raises:
        ConfigError: it is no list of mappings.
    """
    value = config.get("sources") or []
    if not isinstance(value, Sequence) or not all(isinstance(e, Mapping) for e in value):
        raise ConfigError(f"{config.get('name')}: sources must be a list of mappings")
    return list(value)


def image_shape(config: Mapping[str, object]) -> tuple[int, int, int]:
    """`spec.shape` of a picture dataset: (channel, height, width) with 1 or 3 channels.

    Raises:
        ConfigError: it is absent or something else.
    """
    shape = section(config, "spec").get("shape")
    fits = (
        isinstance(shape, Sequence)
        and len(shape) == 3
        and all(isinstance(n, int) and n > 0 for n in shape)
        and shape[0] in (1, 3)
    )
    if not fits:
        raise ConfigError(
            f"{config.get('name')}: spec.shape is {shape!r}; expected [channel, height, width] "
            "with 1 (grey) or 3 (RGB) channels"
        )
    channels, height, width = cast(Sequence[int], shape)
    return channels, height, width


def square_side(config: Mapping[str, object], place: str = "spec.shape") -> int:
    """The side of square colour pictures: `spec.shape` is [3, size, size].

    Raises:
        ConfigError: it is something else; `place` tells where it stands in the yaml.
    """
    channels, height, width = image_shape(config)
    if channels != 3 or height != width:
        raise ConfigError(f"{config.get('name')}: {place} must be [3, size, size]")
    return width


def text_length(config: Mapping[str, object]) -> int:
    """`spec.shape` of a text dataset: [length], the most tokens that an encoder is shown.

    Raises:
        ConfigError: it is absent or something else.
    """
    shape = section(config, "spec").get("shape")
    if not isinstance(shape, Sequence) or len(shape) != 1 or not isinstance(shape[0], int):
        raise ConfigError(
            f"{config.get('name')}: spec.shape is {shape!r}; expected [length], the most tokens "
            "of a text that an encoder is shown"
        )
    if shape[0] < 4:
        raise ConfigError(f"{config.get('name')}: texts of {shape[0]} tokens are too short")
    return int(shape[0])


def sound_settings(config: Mapping[str, object]) -> tuple[SoundSettings, int]:
    """`spectrogram` of an audio dataset, and the most frames that an encoder is shown.

    Raises:
        ConfigError: `spectrogram` has other keys or impossible values, or `spec.shape` is not
            [1, frames, bands] with as many bands as `spectrogram` has.
    """
    name, given = config.get("name"), section(config, "spectrogram")
    fields = SoundSettings._fields
    if set(given) != set(fields):
        raise ConfigError(
            f"{name}: spectrogram has {', '.join(given) or 'nothing'}; it needs exactly "
            f"{', '.join(fields)}"
        )
    numbers = [number(given, key, 0) for key in fields]
    settings = SoundSettings(*(int(value) for value in numbers[:4]), *map(float, numbers[4:]))
    if problem := settings.problem():
        raise ConfigError(f"{name}: spectrogram: {problem}")
    shape = section(config, "spec").get("shape")
    if (
        not isinstance(shape, Sequence)
        or [shape[0], shape[-1]] != [1, settings.bands]
        or len(shape) != 3
        or not isinstance(shape[1], int)
        or shape[1] < 4
    ):
        raise ConfigError(
            f"{name}: spec.shape is {shape!r}; expected [1, frames, {settings.bands}]: the most "
            f"frames ({settings.hop / settings.rate:.3g} s each) that an encoder is shown, and "
            "spectrogram.bands"
        )
    return settings, int(shape[1])


def plain_option(config: Mapping[str, object], key: str, choices: tuple[str, ...]) -> str:
    """One of a few words; the first is the default.

    Raises:
        ConfigError: another word.
    """
    value = config.get(key) or choices[0]
    if value not in choices:
        raise ConfigError(
            f"{config.get('name')}: {key} is {value!r}; choose of {', '.join(choices)}"
        )
    return str(value)


def number(config: Mapping[str, object], key: str, default: int | float) -> int | float:
    """A number of the config, or its default.

    Raises:
        ConfigError: it is no number.
    """
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{config.get('name')}: {key} is {value!r}; expected a number")
    return value
