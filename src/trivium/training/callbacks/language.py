"""What a language model knows of unseen text: bits per byte and perplexity at a few steps."""

import math
from typing import Any

import torch

from trivium.data.packing import pack
from trivium.data.store import Store
from trivium.data.tokenizer import token_bytes
from trivium.tracking import names
from trivium.tracking.writer import RunWriter
from trivium.training.callbacks.online_probe import SnapshotCallback
from trivium.training.module import TrainingModule
from trivium.training.samples import spread
from trivium.types import Objective, View

NUM_TOKENS = 65_536
"""Most validation tokens that are read: always the same blocks, evenly spread."""
BLOCKS_AT_ONCE = 64


class LanguageMeasures(SnapshotCallback):
    """Reads validation text with an objective that has a `surprisal`, at the probe's steps.

    Bits per byte are the nats of all predicted ids (ends of texts among them) over ln 2 and over
    the bytes of text that these ids stand for, so that vocabularies can be compared; perplexity
    is per id. `history` is kept in the checkpoint.
    """

    def __init__(self, *, store: Store, writer: RunWriter | None) -> None:
        self.store = store
        self.writer = writer
        self.steps: list[int] = []
        self.history: dict[str, list[float]] = {}

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far."""
        return {"steps": [*self.steps], "history": {**self.history}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.steps, self.history = state_dict["steps"], state_dict["history"]

    def curves(self) -> dict[str, list[float]]:
        """Every measure, beside the steps."""
        return {"step": [float(step) for step in self.steps], **self.history}

    def last(self) -> dict[str, float]:
        """The measures of the last step."""
        return {name: values[-1] for name, values in self.history.items()}

    def on_snapshot(self, module: TrainingModule, step: int) -> None:
        """Measure and record."""
        measured = self.measure(module.objective, module.device)
        self.steps.append(step)
        for name, value in measured.items():
            self.history.setdefault(name, []).append(value)
        if self.writer is not None:
            tracked = {names.validation(name): value for name, value in measured.items()}
            self.writer.log_metrics(tracked, step)

    @torch.no_grad()
    def measure(self, objective: Objective, device: torch.device) -> dict[str, float]:
        """Nats per id, perplexity and bits per byte of the validation split."""
        packed = pack(self.store, "validation")
        numbers = spread(packed.num_blocks, max(1, NUM_TOKENS // packed.length))
        sizes = token_bytes(self.store.tokenizer())
        was_training = objective.training
        objective.eval()
        nats, num_ids, num_bytes = 0.0, 0, 0
        for first in range(0, len(numbers), BLOCKS_AT_ONCE):
            ids = packed.blocks(numbers[first : first + BLOCKS_AT_ONCE])
            surprisal = objective.surprisal(View(torch.from_numpy(ids).to(device)))
            assert surprisal is not None
            nats += float(surprisal.double().sum())
            num_ids += ids[:, 1:].size
            num_bytes += int(sizes[ids[:, 1:]].sum())
        objective.train(was_training)
        mean = nats / num_ids
        return {
            "nats_per_token": mean,
            "perplexity": math.exp(min(mean, 700.0)),
            "bits_per_byte": nats / math.log(2) / num_bytes,
        }


def is_language_model(objective: Objective) -> bool:
    """Whether an objective has a `surprisal` of its own."""
    return type(objective).surprisal is not Objective.surprisal
