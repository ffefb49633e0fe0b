"""Drawing the next token."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def nucleus(
    logits: Float[Tensor, "batch id"], *, temperature: float, top_p: float
) -> Int64[Tensor, " batch"]:
    """Draw an id from the smallest set of ids that holds a share `top_p` of the probability.

    Nucleus sampling (1904.09751, section 3.1): softmax at the temperature; the most likely ids
    are taken until they hold `top_p` together, the others get no probability. A `top_p` near 0
    always takes the most likely one. Randomness is torch's own.

    Raises:
        ValueError: the temperature is not positive, or `top_p` is outside (0, 1].
    """
    if not temperature > 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"sampling needs a temperature above 0 and a top_p in (0, 1], got {temperature} and "
            f"{top_p}"
        )
    shares, ids = (logits.float() / temperature).softmax(-1).sort(-1, descending=True)
    before = shares.cumsum(-1) - shares
    kept = shares.masked_fill((before >= top_p) & (before > 0), 0)
    return ids.gather(1, torch.multinomial(kept, 1)).squeeze(1)
