"""How long the clips of a batch are, and what of it belongs to a clip."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from trivium.types import View


def places(view: View) -> Int64[Tensor, " place"]:
    """Numbers of the frames of spectrograms, or of the samples of waves."""
    values = view.values
    return torch.arange(values.shape[2 if values.ndim == 4 else 1], device=values.device)


def lengths(view: View) -> Int64[Tensor, " batch"]:
    """Frames or samples of each clip."""
    if view.valid is None:
        num = len(places(view))
        return torch.full((len(view.values),), num, device=view.values.device)
    return view.valid.sum(1)


def silenced(view: View, silence: float) -> View:
    """The view with silence behind the end of each clip."""
    if view.valid is None:
        return view
    valid = view.valid[:, None, :, None] if view.values.ndim == 4 else view.valid
    return View(view.values.masked_fill(~valid, silence), view.valid)


def clip_means(view: View) -> Float[Tensor, "batch 1 1 1"]:
    """Mean over each clip's own frames and all bands of log-mel spectrograms.

    In double precision, so that padding cannot change the rounding.
    """
    values: Tensor = silenced(view, 0.0).values
    total = values.sum((1, 2, 3), keepdim=True, dtype=torch.float64)
    count = lengths(view).clamp(min=1).view(-1, 1, 1, 1) * values.shape[3]
    return (total / count).float()


def within(
    places: Int64[Tensor, "*batch place"], lengths: Int64[Tensor, " batch"]
) -> Bool[Tensor, "batch place"]:
    """Which places lie in a clip: from 0 to its length, exclusive."""
    return (places >= 0) & (places < lengths.unsqueeze(1))
