"""What features tell about themselves without any label."""

import numpy as np
import torch
from jaxtyping import Float

from trivium.probes.inputs import check_features


def rankme(features: Float[np.ndarray, "item channel"], *, epsilon: float = 1e-7) -> float:
    """Smooth rank of the features: the exponential of the entropy of their singular values.

    RankMe (Garrido et al. 2022, 2210.02885, Eq. 1 and 2), between 1 (collapsed) and the
    number of channels. The features are not centred, as in the paper.

    Args:
        features: At best some 25,000 items or more; fewer items than channels bound the rank.
        epsilon: Added to the shares of the singular values.

    Raises:
        ValueError: features that are empty, not finite, or zero throughout.
    """
    values = torch.from_numpy(check_features(features).astype(np.float64))
    gram = values.mT @ values if len(values) >= values.shape[1] else values @ values.mT
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    if singular.sum() == 0:
        raise ValueError("all features are zero: the encoder collapsed")
    shares = singular / singular.sum() + epsilon
    return float(torch.exp(-(shares * shares.log()).sum()))
