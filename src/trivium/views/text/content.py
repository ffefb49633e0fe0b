"""A number that equal texts share."""

import functools

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


def content(
    ids: Int64[Tensor, "batch token"], valid: Bool[Tensor, "batch token"] | None
) -> Int64[Tensor, " batch"]:
    """64 bits that texts of the same ids share, however far they are padded, and hardly any others.

    The sum of ids times odd numbers modulo 2^64, which are the same in every process: it knows the
    order of the ids.
    """
    kept = ids if valid is None else ids.masked_fill(~valid, 0)
    return (kept * _keys(ids.shape[1]).to(ids.device)).sum(1)


@functools.cache
def _keys(length: int) -> Int64[Tensor, " token"]:
    keys = [_key(place) for place in range(length)]
    return torch.tensor(keys, dtype=torch.int64, device="cpu")


def _key(place: int) -> int:
    """The odd multiplier of a place, the same for texts of every padded length."""
    generator = torch.Generator().manual_seed(place)
    return 2 * int(torch.randint(-(2**62), 2**62, (), generator=generator, device="cpu")) + 1
