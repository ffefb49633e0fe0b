"""Generated data whose every latent factor is known, so that tests can assert the truth."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from trivium.data.config import (
    number,
    part_config,
    part_names,
    section,
    sound_settings,
    square_side,
)
from trivium.data.errors import ConfigError
from trivium.data.formats.media import write_flat
from trivium.data.formats.synthesis import LENGTHS, NOISES, PITCHES, TIMBRES, draw, every_tone
from trivium.data.parsing import image_part, text_part
from trivium.data.writer import Parsed, Waves
from trivium.types import Modality

Factors = Mapping[str, tuple[str, ...]]
Latents = dict[str, np.ndarray]

FACTORS: Factors = {
    "shape": ("circle", "square", "triangle", "cross", "ring"),
    "colour": ("red", "green", "blue", "yellow", "magenta", "cyan"),
    "size": ("small", "medium", "large"),
    "position": ("top left", "top right", "bottom left", "bottom right"),
    "count": ("one", "two", "three", "four"),
}
"""Every factor of pictures, and of several modalities, with its values; shape is the main one."""
TONE_FACTORS: Factors = {
    "timbre": tuple(TIMBRES),
    "pitch": tuple(PITCHES),
    "envelope": ("pluck", "swell", "steady", "tremolo"),
    "noise": tuple(NOISES),
    "length": tuple(LENGTHS),
}
"""Every factor of tones with its values."""
WORDS = {
    "topic": {
        "sea": ["ship", "wave", "sail", "harbour", "reef", "anchor", "tide", "gull"],
        "kitchen": ["pan", "oven", "spoon", "flour", "kettle", "recipe", "onion", "broth"],
        "music": ["violin", "drum", "chorus", "melody", "tempo", "organ", "ballad", "flute"],
        "forest": ["moss", "oak", "fern", "badger", "trail", "acorn", "thicket", "owl"],
        "space": ["orbit", "comet", "probe", "crater", "nebula", "rocket", "moon", "signal"],
    },
    "mood": {
        "glad": ["bright", "merry", "splendid", "gentle"],
        "sad": ["grey", "bitter", "weary", "hollow"],
        "plain": ["usual", "common", "ordinary", "certain"],
    },
    "time": {"past": ["was", "stayed"], "present": ["is", "stays"]},
}
"""The words that tell of each factor's values, by task."""
LINKS = ("near", "behind", "under", "beside")
TEXT_FACTORS: Factors = {
    **{task: tuple(values) for task, values in WORDS.items()},
    "count": ("1", "2", "3"),
}
"""Every factor of texts with its values; `count` is the number of clauses."""
HEARD = {"shape": "timbre", "count": "pitch", "position": "envelope", "size": "length"}
"""Which quality of a tone tells of each factor, in several modalities; colours have no sound."""
OPENINGS = ("there is a picture with", "we see", "someone drew", "look at")
PICTURES_AT_ONCE, PAIRS_AT_ONCE = 1024, 512


def parse(folder: Path | None, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Generate `num_train + num_test` samples from `seed`; each factor is a task.

    What is generated follows the config's `modality`: pictures of one to four shapes (factors
    `FACTORS`), texts of one to three clauses such as `the merry ship was near the reef`
    (`TEXT_FACTORS`), tones, the longest as long as `spec.shape` says (`TONE_FACTORS`), or several
    of these of the same things. `visible` lists the factors that can be told; the others keep
    their labels, but nothing of them can be found in the samples.

    Of several modalities `visible.MODALITY` lists what each tells. A share `missing` of the samples
    lacks one of three modalities. `shuffled` takes the picture, the text and the sound of a sample
    from different ones, so that nothing connects them.

    Raises:
        ConfigError: an unknown factor, one that has no sound, a modality that `modality` does not
            name, or pictures of another shape than [3, size, size].
    """
    num_train = int(number(config, "num_train", 8000))
    total = num_train + int(number(config, "num_test", 2000))
    rng = np.random.Generator(np.random.PCG64(int(number(config, "seed", 0))))
    if part_names(config):
        parsed = _several(num_train, total, config, rng, scratch)
    elif config["modality"] == "text":
        parsed = _texts(total, config, rng)
    elif config["modality"] == "audio":
        parsed = _tones(total, config, rng, scratch)
    else:
        width = square_side(config)
        latents = draw_latents(FACTORS, total, rng)
        shown = hide(latents, _visible(config, FACTORS))
        pictures = _pictures(shown, width, PICTURES_AT_ONCE, rng)
        parsed = pictures._replace(labels=latents, tasks=dict(FACTORS))
    return parsed._replace(train=np.arange(num_train), test=np.arange(num_train, total))


def draw_latents(factors: Factors, num_samples: int, rng: np.random.Generator) -> Latents:
    """Independent, uniform values (int64 ids) of every factor."""
    return {name: rng.integers(len(values), size=num_samples) for name, values in factors.items()}


def hide(latents: Mapping[str, np.ndarray], visible: Iterable[str]) -> Latents:
    """What one modality gets to show: factors not in `visible` are set to their first value."""
    shown = set(visible)
    return {name: ids if name in shown else np.zeros_like(ids) for name, ids in latents.items()}


def _visible(config: Mapping[str, object], factors: Factors) -> Sequence[str]:
    given = config.get("visible")
    visible = tuple(factors) if given is None else cast(Sequence[str], given)
    if unknown := sorted(set(visible) - set(factors)):
        raise ConfigError(
            f"{config['name']}: unknown factor {unknown[0]!r}; there are: {', '.join(factors)}"
        )
    return visible


def _drawn_and_shown(
    factors: Factors, total: int, config: Mapping[str, object], rng: np.random.Generator
) -> tuple[Latents, Latents]:
    """The labels, and what is shown: other values of the factors that are not visible."""
    visible = _visible(config, factors)
    labels = draw_latents(factors, total, rng)
    shown = {
        task: ids if task in visible else rng.integers(len(factors[task]), size=total)
        for task, ids in labels.items()
    }
    return labels, shown


def _texts(total: int, config: Mapping[str, object], rng: np.random.Generator) -> Parsed:
    labels, shown = _drawn_and_shown(TEXT_FACTORS, total, config, rng)
    texts = [
        clauses({task: int(ids[row]) for task, ids in shown.items()}, rng) for row in range(total)
    ]
    return text_part(texts, config)._replace(labels=labels, tasks=dict(TEXT_FACTORS))


def clauses(latents: Mapping[str, int], rng: np.random.Generator) -> str:
    """A text that tells of some latent factors in one to three clauses."""
    words = {task: WORDS[task][TEXT_FACTORS[task][latents[task]]] for task in WORDS}
    found = []
    for _ in range(latents["count"] + 1):
        first, second = rng.choice(words["topic"], 2, replace=False)
        mood, verb, link = rng.choice(words["mood"]), rng.choice(words["time"]), rng.choice(LINKS)
        found.append(f"the {mood} {first} {verb} {link} the {second}")
    return " and ".join(found)


def _tones(
    total: int, config: Mapping[str, object], rng: np.random.Generator, scratch: Path
) -> Parsed:
    labels, shown = _drawn_and_shown(TONE_FACTORS, total, config, rng)
    return _sounds(shown, config, rng, scratch)._replace(labels=labels, tasks=dict(TONE_FACTORS))


def _several(
    num_train: int,
    total: int,
    config: Mapping[str, object],
    rng: np.random.Generator,
    scratch: Path,
) -> Parsed:
    latents = draw_latents(FACTORS, total, rng)
    names = cast(tuple[Modality, ...], part_names(config))
    visible = section(config, "visible")
    if unknown := sorted(set(visible) - set(names)):
        raise ConfigError(
            f"{config['name']}: visible has {unknown[0]}; it may have: {', '.join(names)}"
        )
    if not isinstance(shuffled := config.get("shuffled") or False, bool):
        raise ConfigError(f"{config['name']}: shuffled is {shuffled!r}; expected true or false")
    shown: dict[Modality, Latents] = {}
    for one in names:
        order = np.arange(total)
        if shuffled:
            for part in (slice(0, num_train), slice(num_train, total)):
                order[part] = rng.permutation(order[part])
        factors = _visible({**config, "visible": visible.get(one)}, FACTORS)
        if one == "audio" and (mute := sorted(set(factors) - set(HEARD))):
            raise ConfigError(
                f"{config['name']}: {mute[0]} cannot be heard; visible.audio has {', '.join(HEARD)}"
            )
        hidden = hide(latents, factors)
        shown[one] = {factor: ids[order] for factor, ids in hidden.items()}
    parts: dict[Modality, Parsed] = {}
    if "image" in names:
        width = square_side(part_config(config, "image"), "spec.image.shape")
        parts["image"] = _pictures(shown["image"], width, PAIRS_AT_ONCE, rng)
    if "text" in names:
        told = [*FACTORS] if "text" not in visible else cast(Sequence[str], visible["text"])
        seen = {factor: shown["text"][factor] for factor in told}
        texts = [sentence(seen, row, rng) for row in range(total)]
        parts["text"] = text_part(texts, part_config(config, "text"))
    if "audio" in names:
        heard = {quality: shown["audio"][factor] for factor, quality in HEARD.items()}
        heard["noise"] = np.zeros(total, np.int64)
        parts["audio"] = _sounds(heard, part_config(config, "audio"), rng, scratch)
    rows = {one: np.arange(total) for one in parts}
    share = float(number(config, "missing", 0.0))
    if not 0 <= share <= 1 or (share and len(rows) < 3):
        raise ConfigError(
            f"{config['name']}: missing is {share}; expected a share, of three modalities alone"
        )
    lacking = rng.random(total) < share
    which = rng.integers(len(rows), size=total)
    for place, one in enumerate(rows):
        rows[one][lacking & (which == place)] = -1
    none = np.empty(0, np.int64)
    return Parsed({}, latents, dict(FACTORS), none, none, parts=parts, rows=rows)


def sentence(shown: Mapping[str, np.ndarray], row: int, rng: np.random.Generator) -> str:
    """What one sample shows in words, such as `we see three small red cross at the top left`."""
    word = {factor: FACTORS[factor][ids[row]] for factor, ids in shown.items()}
    known = [word[factor] for factor in ("count", "size", "colour", "shape") if factor in word]
    end = [f"at the {word['position']}"] if "position" in word else []
    return " ".join([OPENINGS[rng.integers(len(OPENINGS))], *known, *end])


def _pictures(
    shown: Mapping[str, np.ndarray], width: int, at_once: int, rng: np.random.Generator
) -> Parsed:
    found = []
    for first in range(0, len(shown["shape"]), at_once):
        part = {factor: ids[first : first + at_once] for factor, ids in shown.items()}
        found.append(draw(part, width, rng))
    return image_part(np.concatenate(found))


def _sounds(
    heard: Mapping[str, np.ndarray],
    config: Mapping[str, object],
    rng: np.random.Generator,
    scratch: Path,
) -> Parsed:
    settings, frames = sound_settings(config)
    clips = every_tone(heard, settings.rate, frames * settings.hop, rng)
    none = np.empty(0, np.int64)
    waves = Waves(*write_flat(clips, scratch), settings, frames)
    return Parsed({}, {}, {}, none, none, waves=waves)
