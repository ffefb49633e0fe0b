import torch

from trivium.objectives.self_supervised.dino import cross_entropy, mean_score


def loss(first, second, labels):
    student = torch.stack([first, second])
    teacher = student.detach().square()
    centre = 0.7 * mean_score(teacher)
    return cross_entropy(((teacher - centre) / 0.5).softmax(-1), student / 0.1)
