"""Principal components: what a linear map of the input knows without any training."""

from typing import ClassVar, NoReturn, final

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from trivium.encoders.projections import MelProjection, Projection
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Views

MOST_EXACT = 2048
"""Values of an input up to which the decomposition is exact."""
NUM_ITERATIONS, NUM_MORE = 7, 10
"""Power iterations and additional directions of the randomised decomposition."""


@final
class PCA(Objective):
    """A control: the first `width` principal components of the raw train values.

    Hotelling 1933, doi 10.1037/h0071325, as computed by scikit-learn's `PCA`: up to 2,048 values
    with `svd_solver="covariance_eigh"`, exact and without randomness; of larger inputs, such as
    spectrograms, by a randomised decomposition (Halko et al., arXiv 0909.4061, algorithm 4.4,
    seven power iterations, a fixed seed). Each component's value of largest magnitude is positive.
    The components are not whitened: a probe standardises its features itself. The configured
    encoder is ignored: what is exported is the linear `Projection`.

    Raises:
        ValueError: `width` is greater than the number of input values.
    """

    paradigm: ClassVar[Paradigm] = "control"
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
        """Fit on raw values (uint8 becomes [0, 1], as in a `View`), and return the FLOPs.

        Of audio they are log-mel; what is shorter than the longest clip has silence behind it.

        They are 2 N D^2 for the covariance of N items of D values, and 9 D^3 for its
        eigenvectors (the symmetric QR algorithm: Golub and Van Loan, section 8.3); of the
        randomised decomposition 2 N D q for each of 2 i + 2 products, and 2 (N + D) q^2 for each
        factorisation between them, for i iterations and q = width + 10 directions. Memory: 4 N D
        bytes, and a few times 4 D^2 of the exact one.

        Raises:
            ValueError: There are fewer items than components.
        """
        from sklearn.decomposition import PCA as Components  # noqa: N811

        rows = self.encoder.flatten(values).to("cpu", torch.float32, copy=True)
        if values.dtype == torch.uint8:
            rows /= 255
        num_items, num_values = rows.shape
        if num_items < self.encoder.width:
            raise ValueError(
                f"{self.encoder.width} principal components need as many items, but the train "
                f"split has {num_items}: choose a smaller objective.width."
            )
        # The solver subtracts the mean from the covariance, which loses digits in float32.
        mean = rows.mean(0, dtype=torch.float64).float()
        rows -= mean
        width = self.encoder.width
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
            directions = width + NUM_MORE
            flops = (2 * NUM_ITERATIONS + 2) * 2 * num_items * num_values * directions
            flops += (NUM_ITERATIONS + 1) * 2 * (num_items + num_values) * directions**2
        self.encoder.mean.copy_(mean)
        self.encoder.components.copy_(torch.from_numpy(solver.fit(rows.numpy()).components_))
        return int(flops)

    def forward(self, views: Views) -> NoReturn:  # noqa: ARG002
        """Never to be called.

        Raises:
            RuntimeError: Always, because a control is not trained.
        """
        raise RuntimeError("The control `pca` has no loss: it is fitted in closed form.")
