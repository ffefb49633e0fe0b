"""Principal components: what a linear map of the input knows without any training."""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from trivium.encoders.projections import MelProjection, Projection
from trivium.objectives.control.base import (
    NUM_ITERATIONS,
    NUM_MORE,
    Control,
    check_enough,
    randomised_flops,
)
from trivium.types import DataSpec, Encoder, Needs

MOST_EXACT = 2048
"""Values of an input up to which the decomposition is exact."""


@final
class PCA(Control):
    """A control: the first `width` principal components of the raw train values.

    Hotelling 1933, doi 10.1037/h0071325, as computed by scikit-learn's `PCA`: up to 2,048 values
    exactly (`covariance_eigh`), of larger inputs by a randomised decomposition (Halko et al., arXiv
    0909.4061, algorithm 4.4, a fixed seed). Each component's value of largest magnitude is
    positive; components are not whitened. The configured encoder is ignored: a linear `Projection`
    is exported.

    Raises:
        ValueError: `width` is greater than the number of input values.
    """

    title: ClassVar[str] = "PCA"
    needs: ClassVar[Needs] = Needs(modalities=("image", "audio"))
    encoder: Projection

    def __init__(self, encoder: Encoder, data: DataSpec, *, width: int) -> None:  # noqa: ARG002
        super().__init__()
        kind = MelProjection if data.modality == "audio" else Projection
        self.encoder = kind(data, width=width)

    def fit(
        self,
        values: Shaped[Tensor, "item channel height width"],
        valid: Bool[Tensor, "item frame"] | None = None,  # noqa: ARG002
    ) -> int:
        """Fit on raw values (uint8 becomes [0, 1]; log-mel of audio), and return the FLOPs.

        Exact: 2 N D^2 for the covariance of N items of D values and 9 D^3 for its eigenvectors
        (Golub and Van Loan, section 8.3); else see `randomised_flops`. Memory: 4 N D bytes, and a
        few times 4 D^2 where exact.

        Raises:
            ValueError: There are fewer items than components.
        """
        from sklearn.decomposition import PCA as Components  # noqa: N811

        rows = self.encoder.flatten(values).to("cpu", torch.float32, copy=True)
        if values.dtype == torch.uint8:
            rows /= 255
        num_items, num_values = rows.shape
        width = self.encoder.width
        check_enough(num_items, width)
        # The solver subtracts the mean from the covariance, which loses digits in float32.
        mean = rows.mean(0, dtype=torch.float64).float()
        rows -= mean
        if num_values <= MOST_EXACT:
            solver = Components(width, svd_solver="covariance_eigh")
            flops = 2 * num_items * num_values**2 + 9 * num_values**3
        else:
            solver = Components(
                width,
                svd_solver="randomized",
                iterated_power=NUM_ITERATIONS,
                n_oversamples=NUM_MORE,
                random_state=0,
            )
            flops = randomised_flops(rows.numel(), num_items + num_values, width)
        self.encoder.mean.copy_(mean)
        self.encoder.components.copy_(torch.from_numpy(solver.fit(rows.numpy()).components_))
        return flops
