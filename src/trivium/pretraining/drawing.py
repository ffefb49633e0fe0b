"""Arrays into pictures: rows of images and of spectrograms, and maps of features."""

import io

import numpy as np
from jaxtyping import Float, Int64, UInt8

from trivium.data.spectrogram import SILENCE

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
