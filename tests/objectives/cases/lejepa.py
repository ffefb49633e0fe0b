import torch

from trivium.objectives.self_supervised.lejepa import draw_slices, lejepa


def loss(first, second, labels):
    invariance, spread = lejepa(torch.stack([first, second]), draw_slices(4, 32, 7), 17, 3.0)
    return 0.9 * invariance + 0.1 * spread
