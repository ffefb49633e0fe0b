"""Samples as image grids, maps, spectrograms, texts and sounds, for the report and for tracking."""

import io
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch.nn import functional as F
from torchvision.utils import make_grid

from trivium.data.spectrogram import SILENCE, LogMel, SoundSettings, settings_of, to_waves
from trivium.data.store import Store
from trivium.evaluation.retrieval import cosine
from trivium.tracking.writer import RunWriter
from trivium.types import MASK, SPECIAL_TOKENS

log = logging.getLogger(__name__)

GRID_WIDTH = 800
"""Pixels across a grid of spectrograms, about: as wide as one of images."""
NUM_COLOURS = 20
"""Classes that a map tells apart."""
NUM_CLIPS = 4
"""Clips that one file holds of an objective's row."""
PAUSE_SECONDS = 0.25
"""Silence between two clips of a file."""
LONGEST_SECONDS = 4.0
"""What is kept of a clip at most."""
SHORTEST_SECONDS = 0.1
"""What is left of a clip of silence."""
LOUD, QUIET = 0.9, 0.3
"""A first row whose peak lies between them is left as loud as it is; another one peaks at 0.9."""
INAUDIBLE = 1e-3
"""60 dB below full scale."""
ITERATIONS = 16
"""Of Griffin-Lim: all rows of a step are to cost tenths of a second."""
LOUDEST_LOG_MEL = 16.0
"""Above the log-mel of any wave in [-1, 1] whose window has fewer than 4096 samples."""
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def spread(num_items: int, num_chosen: int) -> Int64[np.ndarray, " chosen"]:
    """At most `num_chosen` positions out of `num_items`, evenly spread and ascending."""
    chosen = np.linspace(0, num_items - 1, min(num_items, num_chosen)).round()
    return np.unique(chosen.astype(np.int64))


def project(features: Float[np.ndarray, "item channel"]) -> Float[np.ndarray, "item 2"]:
    """The first two principal components, with signs fixed by their largest loading."""
    centred = features - features.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return np.asarray(centred @ (axes * signs[:, None]).T, dtype=np.float32)


def neighbours(
    features: Float[np.ndarray, "item channel"], queries: Int64[np.ndarray, " query"], *, num: int
) -> Int64[np.ndarray, "rank query"]:
    """The queries themselves, then the `num` items of the highest cosine with them."""
    similarity = cosine(features[queries], features)
    similarity[np.arange(len(queries)), queries] = np.inf
    return np.argsort(-similarity, axis=1, kind="stable")[:, : num + 1].T


def members(
    groups: Int64[np.ndarray, " item"], *, num_groups: int, num_members: int
) -> Int64[np.ndarray, "group member"]:
    """Items of the largest groups that have `num_members` of them, the largest first."""
    names, sizes = np.unique(groups, return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    full = names[order][sizes[order] >= num_members][:num_groups]
    chosen = [np.flatnonzero(groups == name)[:num_members] for name in full]
    return np.array(chosen, dtype=np.int64).reshape(-1, num_members)


def draw_rows(
    rows: Mapping[str, np.ndarray], *, scale: int = 2
) -> UInt8[np.ndarray, "height width 3"]:
    """Rows of images (each [column, channel, height, width] in [0, 1]) under one another.

    Samples stand on a white ground, two pixels apart; shorter rows are filled with white.
    """
    num_columns = max(map(len, rows.values()))
    cells = []
    for row in rows.values():
        coloured = torch.from_numpy(row).float()[:, :3].expand(-1, 3, -1, -1)
        cells += [coloured, torch.ones(num_columns - len(row), *coloured.shape[1:])]
    images = torch.cat(cells)
    grid = F.pad(images[0], (2, 2, 2, 2), value=1.0)  # which `make_grid` leaves out of a single one
    if len(images) > 1:
        grid = make_grid(images, nrow=num_columns, padding=2, pad_value=1.0)
    pixels = (grid[:, 1:-1, 1:-1].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    enlarged: np.ndarray = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    return enlarged


def draw_spectrograms(rows: Mapping[str, np.ndarray]) -> UInt8[np.ndarray, "height width 3"]:
    """Rows of log-mel spectrograms (each [column, frame, band]) under one another."""
    images = spectrogram_images(rows)
    width = max(len(row) * (row.shape[-1] + 2) for row in images.values())
    return draw_rows(images, scale=max(1, round(GRID_WIDTH / width)))


def spectrogram_images(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Log-mel spectrograms (each [column, frame, band]) as images [column, 3, band, frame].

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
    return images


def num_spectrograms(frames: int) -> int:
    """How many clips of so many frames stand side by side in a grid: 4 to 12."""
    return min(max(GRID_WIDTH // (frames + 2), 4), 12)


def draw_map(
    points: Float[np.ndarray, "item 2"],
    labels: Int64[np.ndarray, " item"] | None,
    classes: tuple[str, ...],
) -> UInt8[np.ndarray, "height width 3"]:
    """A scatter of points, coloured by class (of the first 20) where labels are known."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot(xticks=[], yticks=[])
    parts: dict[str, Any] = {"": slice(None)}
    if labels is not None:
        parts = {name: labels == number for number, name in enumerate(classes[:NUM_COLOURS])}
    for number, (name, chosen) in enumerate(parts.items()):
        axes.scatter(
            points[chosen, 0], points[chosen, 1], s=5, linewidths=0, color=f"C{number}", label=name
        )
    if labels is not None and len(classes) <= NUM_COLOURS:
        axes.legend(
            markerscale=3, fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    axes.set_xlabel("first principal component", fontsize=8)
    axes.set_ylabel("second principal component", fontsize=8)
    figure.savefig(buffer := io.BytesIO(), format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


class SampleWriter(NamedTuple):
    """Writes the samples of a step to an existing folder, and to the tracker if there is one."""

    folder: Path
    step: int
    tracker: RunWriter | None

    def picture(self, name: str, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """A PNG file; in the tracker the steps become a slider."""
        Image.fromarray(image).save(self.path(name, "png"))
        if self.tracker is not None:
            self.tracker.log_image(name, image, self.step)

    def texts(self, name: str, rows: Mapping[str, list[str]]) -> None:
        """Rows of texts as json, and to be read in the tracker: sample by sample, a line a row."""
        path = self.path(name, "json")
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if self.tracker is not None:
            width = max(map(len, rows))
            samples = [
                "".join(f"{key:<{width}}  {text}\n" for key, text in zip(rows, sample, strict=True))
                for sample in zip(*rows.values(), strict=True)
            ]
            self.tracker.log_text("\n".join(samples), f"texts/{path.stem}.txt")

    def rows(self, name: str, rows: Mapping[str, np.ndarray], store: Store) -> None:
        """Rows of samples in the space of the inputs: images, ids of texts, or audio."""
        if store.meta.modality == "text":
            self.texts(name, {key: decoded(store, ids) for key, ids in rows.items()})
        elif store.meta.modality == "audio":
            mels = {key: log_mels(store, row) for key, row in rows.items()}
            self.picture(name, draw_spectrograms(mels))
            self.tiles(name, spectrogram_images(mels))
        else:
            self.picture(name, draw_rows(rows))
            self.tiles(name, rows)

    def tiles(self, name: str, rows: Mapping[str, np.ndarray]) -> None:
        """Rows of images in [0, 1] as uint8 arrays [column, height, width, 3], for the report."""
        pixels = {key: (255 * row[:, :3].clip(0, 1)).round() for key, row in rows.items()}
        tiles: dict[str, Any] = {
            key: np.repeat(row, 3 // row.shape[1], axis=1).astype(np.uint8).transpose(0, 2, 3, 1)
            for key, row in pixels.items()
        }
        np.savez_compressed(self.path(name, "npz"), **tiles)

    def sounds(self, rows: Mapping[str, Float[np.ndarray, "clip sample"]], rate: int) -> None:
        """Each row of waves as an MP3 file, in the tracker under `sounds/`.

        The clips of a row, of each four seconds at most, follow one another with a quarter of a
        second between them; silence behind a clip is left out. All rows are scaled by one factor
        (see `levelled`); the first is what others are compared with.
        """
        import soundfile

        if "MP3" not in soundfile.available_formats():
            log.warning("no sounds are kept: this libsndfile cannot write MP3 (version 1.1 can)")
            return
        for name, waves in levelled(rows).items():
            content, written_rate = resampled(joined(waves, rate), rate)
            path = self.path(re.sub(r"[^A-Za-z0-9]+", "-", name), "mp3")
            soundfile.write(path, content, written_rate, format="MP3")
            if self.tracker is not None:
                self.tracker.log_file(path, "sounds")

    def path(self, name: str, kind: str) -> Path:
        """The file of a name at this step."""
        return self.folder / f"{name}-step{self.step:06d}.{kind}"


def log_mels(store: Store, row: np.ndarray) -> Float[np.ndarray, "column frame band"]:
    """A row of audio as log-mel: of [column, 1, frame, band] or of waves [column, sample]."""
    if row.ndim == 4:
        return row[:, 0]
    mels: np.ndarray = LogMel(settings_of(store.meta.sound))(torch.from_numpy(row)).numpy()
    return mels


def decoded(store: Store, ids: Int64[np.ndarray, "column token"]) -> list[str]:
    """Texts of ids; what is hidden shows as [MASK]."""
    from trivium.data.tokenizer import decode

    tokenizer: Any = store.tokenizer()
    texts = []
    for row in ids:
        parts = np.split(row, np.flatnonzero(row == MASK))
        words = [decode(tokenizer, part[part != MASK].tolist()).strip() for part in parts]
        texts.append(f" {SPECIAL_TOKENS[MASK]} ".join(words).strip())
    return texts


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
