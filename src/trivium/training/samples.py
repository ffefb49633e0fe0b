"""Samples as pictures, spectrograms, clips and texts, for the report and for tracking."""

import io
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from trivium.data.spectrogram import SILENCE, LogMel, SoundSettings, settings_of, to_waves
from trivium.data.store import Store
from trivium.tracking.writer import RunWriter

SHEET_WIDTH = 800
"""Pixels across a sheet of spectrograms, about: as wide as one of images."""


def spread(num_items: int, num_chosen: int) -> Int64[np.ndarray, " chosen"]:
    """At most `num_chosen` positions out of `num_items`, evenly spread and ascending."""
    chosen = np.linspace(0, num_items - 1, min(num_items, num_chosen)).round()
    return np.unique(chosen.astype(np.int64))


def project(features: Float[np.ndarray, "item channel"]) -> Float[np.ndarray, "item 2"]:
    """The first two principal components, with signs fixed by their largest loading."""
    centred = features - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = axes[:2] if len(axes) > 1 else np.vstack([axes, np.zeros_like(axes)])
    largest = np.abs(plane).argmax(axis=1)
    plane = plane * np.sign(plane[np.arange(2), largest] + 1e-30)[:, None]
    return np.asarray(centred @ plane.T, dtype=np.float32)


def neighbours(
    features: Float[np.ndarray, "item channel"], queries: Int64[np.ndarray, " query"], *, num: int
) -> Int64[np.ndarray, "rank query"]:
    """The queries themselves, then the `num` items of the highest cosine with them."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.maximum(lengths, 1e-12)
    cosine = directions[queries] @ directions.T
    cosine[np.arange(len(queries)), queries] = -np.inf
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(num, len(features) - 1)]
    return np.vstack([queries, nearest.T]).astype(np.int64)


def members(
    groups: Int64[np.ndarray, " item"], *, num_groups: int, num_members: int
) -> Int64[np.ndarray, "group member"]:
    """Items of the largest groups that have `num_members` of them, the largest first."""
    names, sizes = np.unique(groups, return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    full = [name for name in names[order] if (groups == name).sum() >= num_members]
    chosen = [np.flatnonzero(groups == name)[:num_members] for name in full[:num_groups]]
    return np.array(chosen, dtype=np.int64).reshape(-1, num_members)


def draw_rows(
    rows: dict[str, np.ndarray], *, scale: int = 2
) -> UInt8[np.ndarray, "height width 3"]:
    """Rows of images (each [column, channel, height, width] in [0, 1]) under one another."""
    strips = []
    for images in rows.values():
        coloured = np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images[:, :3]
        padded = np.pad(coloured, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1.0)
        strips.append(np.concatenate(list(padded), axis=2))
    width = max(strip.shape[2] for strip in strips)
    strips = [
        np.pad(s, ((0, 0), (0, 0), (0, width - s.shape[2])), constant_values=1.0) for s in strips
    ]
    sheet = np.concatenate(strips, axis=1).transpose(1, 2, 0)
    pixels = (np.clip(sheet, 0, 1) * 255).round().astype(np.uint8)
    enlarged: np.ndarray = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    return enlarged


def draw_spectrograms(rows: dict[str, np.ndarray]) -> UInt8[np.ndarray, "height width 3"]:
    """Rows of log-mel spectrograms (each [column, frame, band]) under one another.

    Time runs to the right, low frequencies are at the bottom. All share one scale of colour
    (magma), from `SILENCE` to the loudest value of the first row, so that rows can be compared;
    what is louder is as bright as that. Shorter ones are white behind their end.
    """
    from matplotlib import colormaps

    loudest = float(next(iter(rows.values())).max())
    span = max(loudest - SILENCE, 1.0)
    longest = max(row.shape[1] for row in rows.values())
    images = {}
    for name, row in rows.items():
        upright = ((row - SILENCE) / span).transpose(0, 2, 1)[:, ::-1]
        coloured = colormaps["magma"](upright)[..., :3].transpose(0, 3, 1, 2)
        behind = ((0, 0), (0, 0), (0, 0), (0, longest - row.shape[1]))
        images[name] = np.pad(coloured, behind, constant_values=1.0)
    width = max(len(row) for row in rows.values()) * (longest + 2)
    return draw_rows(images, scale=max(1, round(SHEET_WIDTH / width)))


def num_spectrograms(frames: int) -> int:
    """How many clips of so many frames stand side by side on a sheet: 4 to 12."""
    return min(max(SHEET_WIDTH // (frames + 2), 4), 12)


def draw_map(
    points: Float[np.ndarray, "item 2"],
    labels: Int64[np.ndarray, " item"] | None,
    classes: tuple[str, ...],
) -> UInt8[np.ndarray, "height width 3"]:
    """A scatter of points, coloured by class where labels are known."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(5, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    if labels is None:
        axes.scatter(points[:, 0], points[:, 1], s=5, linewidths=0)
    else:
        for number, name in enumerate(classes[:20]):
            chosen = labels == number
            axes.scatter(
                points[chosen, 0],
                points[chosen, 1],
                s=5,
                linewidths=0,
                color=f"C{number}",
                label=name,
            )
        if len(classes) <= 20:
            axes.legend(
                markerscale=3, fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("first principal component", fontsize=8)
    axes.set_ylabel("second principal component", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return np.asarray(Image.open(buffer).convert("RGB"))


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


log = logging.getLogger(__name__)

NUM_CLIPS = 4
"""Clips that one file holds of an objective's row."""
PAUSE_SECONDS = 0.25
"""Silence between two clips of a file."""
LONGEST_SECONDS = 4.0
"""What is kept of a clip at most."""
SHORTEST_SECONDS = 0.1
"""What is left of a clip of silence."""
LOUD, QUIET = 0.9, 0.3
"""A first row whose peak lies between them is left as loud as it is; any other one peaks at 0.9."""
INAUDIBLE = 1e-3
"""60 dB below full scale."""
ITERATIONS = 16
"""Of Griffin-Lim: all rows of a look are to cost tenths of a second."""
LOUDEST_LOG_MEL = 16.0
"""Above the log-mel of any wave in [-1, 1] whose window has fewer than 4096 samples."""
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def keep_sounds(
    rows: Mapping[str, Float[np.ndarray, "clip sample"]],
    rate: int,
    step: int,
    folder: Path,
    writer: RunWriter | None,
) -> None:
    """Write each row of waves as `{row}-step{step}.mp3`, to the folder and to the tracker.

    The clips of a row, of each four seconds at most, follow one another with a quarter of a second
    between them; silence behind a clip is left out. All rows are scaled by one factor (see
    `levelled`).

    Args:
        rows: waves by name, in [-1, 1] or louder; the first is what others are compared with.
        rate: samples per second.
        step: the step that they show.
        folder: an existing folder.
        writer: where the files also go, under `sounds/`; none if None.
    """
    import soundfile

    if "MP3" not in soundfile.available_formats():
        log.warning("no sounds are kept: this libsndfile cannot write MP3 (version 1.1 can)")
        return
    for name, waves in levelled(rows).items():
        content, written_rate = resampled(joined(waves, rate), rate)
        path = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}-step{step:06d}.mp3"
        soundfile.write(path, content, written_rate, format="MP3")
        if writer is not None:
            writer.log_file(path, "sounds")


def waves_of(row: np.ndarray, settings: SoundSettings) -> Float[np.ndarray, "clip sample"]:
    """Some clips of an objective's row as waves: evenly from its first column to its last.

    Args:
        row: log-mel [column, 1, frame, band], which `to_waves` inverts, or waves [column, sample].
        settings: how the log-mel was made.
    """
    chosen: np.ndarray = row[spread(len(row), NUM_CLIPS)]
    if chosen.ndim == 2:
        return chosen
    frames = settings.frames(int(LONGEST_SECONDS * settings.rate))
    log_mel = np.clip(chosen[:, 0, :frames], SILENCE, LOUDEST_LOG_MEL)
    waves: np.ndarray = to_waves(torch.from_numpy(log_mel), settings, iterations=ITERATIONS).numpy()
    return waves


def levelled(
    rows: Mapping[str, Float[np.ndarray, "clip sample"]],
) -> dict[str, Float[np.ndarray, "clip sample"]]:
    """Rows scaled by one factor, so that they stay comparable, at a loudness that can be heard.

    The factor is 1 where the first row peaks between 0.3 and 0.9, and brings it to 0.9 elsewhere.
    A row that would be louder than that (a network that has learnt nothing may shout) is turned
    down to it alone.
    """
    peaks = {name: float(np.abs(waves).max(initial=0.0)) for name, waves in rows.items()}
    first = next(iter(peaks.values()))
    factor = 1.0 if QUIET <= first <= LOUD or first < INAUDIBLE else LOUD / first
    factors = {name: min(factor, LOUD / max(peak, 1e-12)) for name, peak in peaks.items()}
    return {name: (waves * factors[name]).astype(np.float32) for name, waves in rows.items()}


def joined(waves: Float[np.ndarray, "clip sample"], rate: int) -> Float[np.ndarray, " joined"]:
    """Clips one after another, without the silence behind each, and with a pause between two."""
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    parts = []
    for wave in waves:
        kept = wave[: round(LONGEST_SECONDS * rate)]
        heard = np.flatnonzero(np.abs(kept) > INAUDIBLE)
        end = max(int(heard[-1]) + 1 if len(heard) else 0, round(SHORTEST_SECONDS * rate))
        parts += [kept[:end], pause]
    return np.concatenate(parts[:-1])


def resampled(
    wave: Float[np.ndarray, " sample"], rate: int
) -> tuple[Float[np.ndarray, " resampled"], int]:
    """A wave at a rate that MP3 files may have: its own, or the next above it, 48 kHz at most."""
    if rate in MP3_RATES:
        return wave, rate
    from torchaudio.functional import resample

    allowed = min((one for one in MP3_RATES if one > rate), default=MP3_RATES[-1])
    return resample(torch.from_numpy(wave), rate, allowed).numpy(), allowed
