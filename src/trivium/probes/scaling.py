"""The coordinates in which the linear probe of sparse features is solved."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse

from trivium.probes.inputs import SparseFeatures


@dataclass(frozen=True)
class Scaling:
    """The channels that some items use, each scaled to a mean square of one.

    Like `Basis`, but without centring and rotation, which would fill the matrix. A channel that no
    training item uses has weight zero at the minimum, so leaving it out changes nothing.
    """

    used: Int64[np.ndarray, " axis"]
    scale: Float[np.ndarray, " axis"]
    num_channels: int

    @classmethod
    def of(cls, features: SparseFeatures) -> "Scaling":
        """The scaling of some features."""
        squares = np.asarray(features.multiply(features).mean(0), dtype=np.float64)
        used = np.flatnonzero(squares)
        return cls(used, np.sqrt(squares[used]), features.shape[1])

    def apply(self, features: SparseFeatures) -> SparseFeatures:
        """The scaled features [item, axis + 1] in float64, with ones appended."""
        scaled = features[:, self.used].astype(np.float64) @ sparse.diags_array(1 / self.scale)
        ones = sparse.csr_array(np.ones((features.shape[0], 1)))
        return sparse.hstack([scaled, ones], format="csr")

    def weights(self, point: torch.Tensor, num_classes: int) -> Float[np.ndarray, "class weight"]:
        """[class, channel + 1] for the features as they are, the intercept last."""
        scaled = point.numpy().reshape(num_classes, -1)
        weights = np.zeros((num_classes, self.num_channels + 1))
        weights[:, self.used] = scaled[:, :-1] / self.scale
        weights[:, -1] = scaled[:, -1]
        return weights

    def point(self, weights: Float[np.ndarray, "class weight"]) -> torch.Tensor:
        """The inverse of `weights`, for weights of any scaling."""
        scaled = np.concatenate([weights[:, self.used] * self.scale, weights[:, -1:]], 1)
        return torch.from_numpy(scaled.reshape(1, -1))
