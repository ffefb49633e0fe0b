"""What is probed: a frozen encoder, or the raw input, and how it turns data into features."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from trivium.config import Config
from trivium.data.store import Store
from trivium.encoders.baselines import MelStatistics, Raw
from trivium.encoders.checkpoint import checkpoint_hash, read_facts
from trivium.encoders.towers import Towers
from trivium.evaluation import controls
from trivium.evaluation.checks import Features
from trivium.features import cached_features, embed, load_encoder
from trivium.identity import RAW
from trivium.types import Encoder, Modality

FACTS = (
    "dataset", "modality", "paradigm", "objective", "encoder", "seed", "flops", "samples", "task",
    "identity",
)  # fmt: skip
"""What an evaluation says of the encoder."""


@dataclass(frozen=True)
class Subject:
    """An encoder in eval mode, or the raw input (`source` and `encoder` are None).

    Attributes:
        source: The encoder's folder.
        encoder: The encoder itself.
        facts: What is said of it beside every number.
        checkpoint: Its hash; of the raw input the fingerprint of the data.
        cache: Folder of cached features.
    """

    source: Path | None
    encoder: Encoder | None
    facts: Config
    checkpoint: str
    cache: Path

    @classmethod
    def of(cls, source: Path | None, store: Store, cache: Path) -> "Subject":
        """What is in a folder (None: the raw input), to be probed on a store.

        Raises:
            ValueError: The store was made with another tokenizer.
        """
        if source is None:
            return cls(None, None, raw_facts(store), f"{RAW}-{store.fingerprint}", cache)
        known = read_facts(source)
        check_tokenizer(known, store, source)
        several = bool(store.parts) and "+" in known["modality"]
        facts = {key: known[key] for key in (*FACTS, *(["joint"] if several else []))}
        return cls(source, load_encoder(source), facts, checkpoint_hash(source), cache)

    @property
    def towers(self) -> Towers:
        """The encoder of several modalities."""
        return cast(Towers, self.encoder)

    def features(self, store: Store, tower: Modality | None = None) -> tuple[Features, Config]:
        """Features of every item, of one tower or fused, and the facts of what made them."""
        if self.source is None:
            found, name = raw_features(store)
            return found, self.facts | {"encoder": name}
        return cached_features(self.source, store, self.cache, part=tower), self.facts

    def joint(self, modality: Modality, features: np.ndarray) -> np.ndarray:
        """Features of a tower in the joint space, [row, joint]."""
        with torch.inference_mode():
            pooled = torch.from_numpy(np.array(features))
            found: np.ndarray = self.towers.joint(modality, pooled).numpy()
        return found


def raw_facts(store: Store) -> Config:
    """What an evaluation says of the raw input."""
    return {
        "dataset": store.meta.name,
        "modality": store.meta.modality,
        "paradigm": "control",
        "objective": RAW,
        "encoder": RAW,
        "seed": 0,
        "flops": 0,
        "samples": 0,
    }


def raw_features(store: Store) -> tuple[Features, str]:
    """The input itself as features of every item, and what made them."""
    if store.meta.modality == "text":
        return controls.features(store), controls.NAME
    encoder = MelStatistics(store.spec()) if store.meta.modality == "audio" else Raw(store.spec())
    return embed(encoder, store), encoder.name


def check_tokenizer(facts: Config, store: Store, source: Path) -> None:
    """Refuse a store whose ids mean something else to an encoder of text than those it learnt from.

    Raises:
        ValueError: The store was made with another tokenizer.
    """
    both_text = "text" in facts["modality"].split("+") and "text" in store.meta.modality.split("+")
    if both_text and facts.get("tokenizer") != store.tokenizer_sum:
        raise ValueError(
            f"{store.meta.name} was tokenised otherwise than the texts that {source} learnt from: "
            "probe again with its tokenizer, and with a folder for the stores made by it: "
            f"data.tokenizer.kind=file data.tokenizer.path={source / 'tokenizer.json'} "
            "stores=outputs/stores_of_run"
        )
