"""Rows of samples for the eye: pictures and spectrograms as one picture, texts as text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from trivium.data.spectrogram import LogMel, settings_of
from trivium.data.store import Store
from trivium.pretraining.drawing import draw_rows, draw_spectrograms
from trivium.tracking.writer import RunWriter


def keep_picture(
    image: np.ndarray, name: str, step: int, folder: Path, writer: RunWriter | None
) -> None:
    """Write a picture to the folder and to the tracker, where the steps become a slider."""
    from PIL import Image

    Image.fromarray(image).save(folder / f"{name}-step{step:06d}.png")
    if writer is not None:
        writer.log_image(name, image, step)


def keep_texts(
    rows: dict[str, list[str]], name: str, step: int, folder: Path, writer: RunWriter | None
) -> None:
    """Write rows of texts to the folder (json) and, to be read, to the tracker."""
    path = folder / f"{name}-step{step:06d}.json"
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if writer is not None:
        writer.log_text(as_text(rows), f"texts/{name}-step{step:06d}.txt")


def keep_rows(
    rows: dict[str, np.ndarray],
    store: Store,
    name: str,
    step: int,
    folder: Path,
    writer: RunWriter | None,
) -> None:
    """Write rows of samples in the space of the inputs: images, ids of texts, or audio."""
    if store.meta.modality == "text":
        keep_texts(
            {key: decoded(store, ids) for key, ids in rows.items()}, name, step, folder, writer
        )
    elif store.meta.modality == "audio":
        mels = {key: log_mels(store, row) for key, row in rows.items()}
        keep_picture(draw_spectrograms(mels), name, step, folder, writer)
    else:
        keep_picture(draw_rows(rows), name, step, folder, writer)


def log_mels(store: Store, row: np.ndarray) -> Float[np.ndarray, "column frame band"]:
    """A row of audio as log-mel: [column, 1, frame, band] as it is, waves [column, sample] seen."""
    if row.ndim == 4:
        return row[:, 0]
    mels: np.ndarray = LogMel(settings_of(store.meta.sound))(torch.from_numpy(row)).numpy()
    return mels


def decoded(store: Store, ids: np.ndarray) -> list[str]:
    """Texts of ids; what is hidden shows as [MASK]."""
    from trivium.data.tokenizer import decode
    from trivium.types import MASK, SPECIAL_TOKENS

    tokenizer: Any = store.tokenizer()
    texts = []
    for row in ids:
        parts, start = [], 0
        for place in [*np.flatnonzero(row == MASK).tolist(), len(row)]:
            parts.append(decode(tokenizer, row[start:place].tolist()))
            start = place + 1
        texts.append(f" {SPECIAL_TOKENS[MASK]} ".join(part.strip() for part in parts).strip())
    return texts


def as_text(rows: dict[str, list[str]]) -> str:
    """Sample by sample, a line for each row."""
    width = max(map(len, rows))
    samples = [
        "\n".join(f"{name:<{width}}  {text}" for name, text in zip(rows, sample, strict=True))
        for sample in zip(*rows.values(), strict=True)
    ]
    return "\n\n".join(samples) + "\n"
