"""Generated sentences whose every latent factor is known, so that tests can assert the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from trivium.data.config import number
from trivium.data.datasets.layout import tokenization
from trivium.data.errors import ConfigError
from trivium.data.writer import Parsed

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
FACTORS: dict[str, tuple[str, ...]] = {
    **{task: tuple(values) for task, values in WORDS.items()},
    "count": ("1", "2", "3"),
}
"""Tasks and their classes; `count` is the number of clauses."""


def parse(folder: Path | None, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Write `num_train + num_test` sentences from `seed`; each factor is a task, topic first.

    A sentence has one to three clauses such as `the merry ship was near the reef`. `visible`
    lists the factors that the words tell; the others keep their labels, but nothing of them can be
    found in the text.

    Raises:
        ConfigError: an unknown factor.
    """
    num_train = int(number(config, "num_train", 8000))
    total = num_train + int(number(config, "num_test", 2000))
    rng = np.random.Generator(np.random.PCG64(int(number(config, "seed", 0))))
    given = config.get("visible")
    visible = tuple(FACTORS) if given is None else cast(Sequence[str], given)
    if unknown := sorted(set(visible) - set(FACTORS)):
        raise ConfigError(f"synthetic_text: unknown {unknown[0]}; factors: {', '.join(FACTORS)}")
    labels = {task: rng.integers(len(names), size=total) for task, names in FACTORS.items()}
    shown = {
        task: ids if task in visible else rng.integers(len(FACTORS[task]), size=total)
        for task, ids in labels.items()
    }
    texts = [
        sentence({task: int(ids[row]) for task, ids in shown.items()}, rng) for row in range(total)
    ]
    return Parsed(
        {},
        labels,
        dict(FACTORS),
        np.arange(num_train),
        np.arange(num_train, total),
        texts=texts,
        tokenizer=tokenization(config),
    )


def sentence(latents: Mapping[str, int], rng: np.random.Generator) -> str:
    """One sentence that tells of some latent factors."""
    words = {task: WORDS[task][FACTORS[task][latents[task]]] for task in WORDS}
    clauses = []
    for _ in range(latents["count"] + 1):
        first, second = rng.choice(words["topic"], 2, replace=False)
        mood, verb, link = rng.choice(words["mood"]), rng.choice(words["time"]), rng.choice(LINKS)
        clauses.append(f"the {mood} {first} {verb} {link} the {second}")
    return " and ".join(clauses)
