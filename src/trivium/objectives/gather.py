"""All-gather across ranks that lets the gradient through."""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


class _Gather(torch.autograd.Function):
    """Concatenate over ranks; backward sums every rank's gradient of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.num_rows = tensor.shape[0]
        return _concatenate(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.narrow(0, dist.get_rank() * ctx.num_rows, ctx.num_rows)


def _concatenate(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().contiguous()
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    return torch.cat(parts)


def gather(tensor: Tensor) -> Tensor:
    """Concatenate the tensors of all ranks along the first axis, in the order of the ranks.

    Every rank must hold the same shape. If each rank averages over its own anchors and gradients
    are averaged over ranks (as DistributedDataParallel does), the outcome is the gradient of the
    mean over the whole batch. Without a process group the tensor itself is returned.
    """
    if not _is_distributed():
        return tensor
    if not tensor.requires_grad:
        return _concatenate(tensor)
    gathered: Tensor = _Gather.apply(tensor)
    return gathered


def offset(tensor: Tensor) -> int:
    """The row of `gather(tensor)` at which this rank's own rows begin."""
    return dist.get_rank() * tensor.shape[0] if _is_distributed() else 0


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
