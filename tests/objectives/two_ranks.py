"""One rank of a gloo group: saves its averaged gradients. Run by test_gather.py."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed as dist
from torch import nn

from trivium.objectives.self_supervised.simclr import nt_xent
from trivium.objectives.supervised.supcon import supcon

LABELS = torch.tensor([0, 1, 0, 2, 1, 1, 0, 2])


def losses(first, second, labels):
    return {
        "simclr": nt_xent(first, second, 0.2)[0],
        "supcon": supcon(first, second, labels, 0.2)[0],
    }


def gradients(part, average):
    """Gradients of a linear encoder on one part of a fixed batch, as numpy arrays."""
    found = {}
    for name in ("simclr", "supcon"):
        torch.manual_seed(0)
        encoder, views = nn.Linear(6, 4), torch.randn(2, 8, 6)
        first, second = encoder(views[:, part])
        losses(first, second, LABELS[part])[name].backward()
        average(encoder.weight.grad)
        found[name] = encoder.weight.grad.numpy()
    return found


def main(rank, folder):
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)

    def average(gradient):
        dist.all_reduce(gradient)
        gradient /= 2

    found = gradients(slice(4 * rank, 4 * rank + 4), average)
    np.savez(Path(folder) / f"rank{rank}.npz", **found)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
