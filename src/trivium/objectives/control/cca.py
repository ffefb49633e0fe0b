"""Canonical correlations: what linear maps find that modalities have in common."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, cast, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from trivium.data.batches import as_values
from trivium.encoders.towers import Towers
from trivium.objectives.control.base import Control, check_enough
from trivium.objectives.control.lsa import LSA
from trivium.objectives.control.pca import PCA
from trivium.types import DataSpec, Encoder, Modality, MultimodalInput, Needs


def correlate(
    features: Sequence[Float[np.ndarray, "item _"]], num_components: int, regularisation: float
) -> list[Float[np.ndarray, "_ component"]]:
    """Directions in each set [channel, component], the most correlated first, see `CCA`.

    The variances of the projected sets, ridges included, have mean one (for two sets, each is one).
    Each direction's value of largest magnitude, over all sets, is positive.

    Args:
        features: Sets of features of the same items; they need not be centred.
        num_components: Directions, at most as many as the smallest set has channels.
        regularisation: Added to the variance of each channel of a set, in units of their mean.

    Raises:
        ValueError: A set's covariance is singular, and there is no regularisation.
    """
    from scipy.linalg import LinAlgError, block_diag, eigh

    across = np.cov(np.concatenate(features, axis=1), rowvar=False, bias=True)
    bounds = np.cumsum([0, *(rows.shape[1] for rows in features)])
    blocks = []
    for first, last in pairwise(bounds):
        block = across[first:last, first:last].copy()
        block += regularisation * np.trace(block) / len(block) * np.eye(len(block))
        blocks.append(block)
        across[first:last, first:last] = 0
    last = len(across) - 1
    try:
        chosen = [last - num_components + 1, last]
        found = eigh(across, block_diag(*blocks), subset_by_index=chosen)[1][:, ::-1]
    except LinAlgError as error:
        raise ValueError(
            "some features of a modality are functions of the others: raise "
            "objective.regularisation above zero."
        ) from error
    largest = np.take_along_axis(found, np.abs(found).argmax(0)[None], 0)
    found = found * np.sign(largest) * np.sqrt(len(features))
    return np.split(found, bounds[1:-1])


IMAGE = "trivium.encoders.projections.Projection"
TEXT = "trivium.encoders.projections.TermProjection"
AUDIO = "trivium.encoders.projections.MelProjection"
CHUNK = 1024
"""Items that are encoded at a time."""


@final
class CCA(Control):
    r"""A control: directions of linear features along which modalities are most correlated.

    Each modality is first reduced to `width` features at most, by `pca` (image, audio) and `lsa`
    (text). The joint features are the first `num_components` solutions of

    .. math:: (S - D) v = \lambda (D + R) v,

    where $S$ is the covariance of all modalities' features, $D$ its blocks of single modalities,
    and the diagonal $R$ `regularisation` times the mean variance of each. For two modalities:
    canonical correlations (Hotelling 1936, doi 10.1093/biomet/28.3-4.321) with ridges (Vinod 1976,
    doi 10.1016/0304-4076(76)90010-5); for three: MAXVAR (Kettenring 1971, doi
    10.1093/biomet/58.3.433). The configured encoder is ignored: linear `Towers` are exported, whose
    fused features hold the mean where a sample lacks a modality.

    Raises:
        ValueError: A setting does not fit the data or the others.
    """

    title: ClassVar[str] = "CCA"
    needs: ClassVar[Needs] = Needs(modalities=("several",))
    joint: ClassVar[bool] = True
    encoder: Towers

    def __init__(
        self,
        encoder: Encoder,  # noqa: ARG002
        data: DataSpec,
        *,
        width: int,
        num_components: int,
        regularisation: float,
    ) -> None:
        super().__init__()
        widths = {one.modality: min(width, _most(one)) for one in data.parts}
        fewest = min(widths.values(), default=width)
        if not 1 <= num_components <= fewest:
            raise ValueError(
                f"{num_components} canonical components of {fewest} features: choose "
                f"objective.num_components between 1 and {fewest}."
            )
        if regularisation < 0:
            raise ValueError(f"objective.regularisation must not be negative: {regularisation}")
        self.data, self.widths, self.regularisation = data, widths, regularisation
        self.encoder = Towers(
            data,
            name="cca_towers",
            image={"_target_": IMAGE, "width": widths.get("image")},
            text={"_target_": TEXT, "width": widths.get("text")},
            audio={"_target_": AUDIO, "width": widths.get("audio")},
            joint_width=num_components,
            joint_bias=True,
        )

    def fit(self, values: MultimodalInput, valid: Tensor | None = None) -> int:  # noqa: ARG002
        """Fit on raw values as in a store (uint8 becomes [0, 1]), and return the FLOPs.

        The features of a modality are fitted on all items that have it, the correlations on items
        that have all. FLOPs: those of `pca` and `lsa`, 2 N X w for the w features of N items of X
        values, 2 N d^2 for the covariance of all d features, and 14 d^3 for the generalised
        eigenproblem (Golub and Van Loan, algorithm 8.7.1).

        Raises:
            ValueError: There are fewer items than features, or the covariance of a modality is
                singular without regularisation.
        """
        names = self.encoder.modalities
        num_items = len(values[names[0]].values)
        complete = torch.ones(num_items, dtype=torch.bool)
        for one in names:
            complete &= values[one].present_mask.cpu()
        widest = max(self.widths.values())
        check_enough(int(complete.sum()), widest + 1, "items with all modalities")
        flops, features = 0, []
        for one in names:
            flops += self._reduce(one, values)
            features.append(self._features(one, values[one].values[complete]))
            tower = self.encoder.tower(one)
            flops += 2 * len(features[-1]) * cast(Tensor, tower.components).numel()
        directions = correlate(features, self.encoder.joint_width, self.regularisation)
        with torch.no_grad():
            for one, rows, found in zip(names, features, directions, strict=True):
                mean, weight = rows.mean(0), found.T
                project = cast(nn.Linear, self.encoder.project[one])
                project.weight.copy_(torch.from_numpy(weight))
                project.bias.copy_(torch.from_numpy(-weight @ mean))
                self.encoder.missing[one].copy_(torch.from_numpy(mean))
        total = sum(self.widths.values())
        return flops + 2 * int(complete.sum()) * total**2 + 14 * total**3

    def _reduce(self, one: Modality, values: MultimodalInput) -> int:
        sense, tower = values[one], self.encoder.tower(one)
        rows = sense.values if sense.present is None else sense.values[sense.present]
        control = (LSA if one == "text" else PCA)(
            tower, self.data.part(one), width=self.widths[one]
        )
        flops = control.fit(rows)
        self.encoder.load_tower(one, control.encoder, frozen=False)
        return flops

    @torch.no_grad()
    def _features(self, one: Modality, values: Tensor) -> Float[np.ndarray, "item channel"]:
        tower = self.encoder.tower(one)
        parts = [tower(as_values(some)).pooled.double() for some in torch.split(values, CHUNK)]
        return torch.cat(parts).cpu().numpy()


def _most(part: DataSpec) -> int:
    """The most features that a linear encoder of a modality has."""
    return part.vocabulary - 1 if part.modality == "text" else math.prod(part.shape)
