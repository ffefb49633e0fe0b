"""Random numbers for a batch, always drawn where the generator lives."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def uniform(
    shape: tuple[int, ...], low: float, high: float, generator: torch.Generator | None
) -> Float[Tensor, "..."]:
    """Draw uniform numbers in [low, high).

    They are drawn on the generator's device (the CPU without one), so a CPU generator gives
    the same views on every accelerator and its parameters can be read without a stall.
    """
    device = torch.device("cpu") if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=device).mul_(high - low).add_(low)


def chosen(num: int, p: float, generator: torch.Generator | None) -> Bool[Tensor, " batch"]:
    """Choose each of `num` samples with probability `p`, independently."""
    return uniform((num,), 0.0, 1.0, generator) < p


def check_probability(name: str, p: float) -> float:
    """Return `p` if it is a probability.

    Raises:
        ValueError: `p` is outside [0, 1]; the message names `name`.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name} is a probability and must lie in [0, 1], got {p}")
    return float(p)


def check_interval(name: str, bounds: object, low: float, high: float) -> tuple[float, float]:
    """Return `bounds` as a pair of floats if low <= bounds[0] <= bounds[1] <= high.

    Raises:
        ValueError: it is no such pair; the message names `name`.
    """
    try:
        first, second = (float(bound) for bound in bounds)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a pair of numbers, got {bounds!r}") from None
    if not low <= first <= second <= high:
        raise ValueError(
            f"{name} must be an increasing pair in [{low}, {high}], got ({first}, {second})"
        )
    return first, second
