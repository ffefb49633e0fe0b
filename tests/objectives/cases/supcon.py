from trivium.objectives.supervised.supcon import supcon


def loss(first, second, labels):
    return supcon(first, second, labels, 0.2)[0]
