"""The small networks that objectives put on an encoder and throw away afterwards."""

from itertools import pairwise

from torch import nn


class MLP(nn.Sequential):
    """Linear layers with ReLU in between: a projector or predictor head.

    `MLP(192, 512, 128)` maps 192 channels over 512 hidden ones to 128. With `batch_norm` each
    hidden layer is normalised over the batch (and then needs no bias); the last layer never is.
    `last_bias` is for losses that subtract the mean, to which a last bias would be nothing.
    """

    def __init__(self, *widths: int, batch_norm: bool = True, last_bias: bool = True) -> None:
        if len(widths) < 2:
            raise ValueError(f"An MLP needs at least an input and an output width, got {widths}.")
        layers: list[nn.Module] = []
        for before, after in pairwise(widths[:-1]):
            layers.append(nn.Linear(before, after, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers, nn.Linear(widths[-2], widths[-1], bias=last_bias))
