from trivium.objectives.self_supervised.moco_v3 import contrast


def loss(first, second, labels):
    keys = first.detach().tanh(), second.detach().tanh()
    return contrast(first, keys[1], 0.2)[0] + contrast(second, keys[0], 0.2)[0]
