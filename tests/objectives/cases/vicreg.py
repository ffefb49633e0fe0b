from trivium.objectives.self_supervised.vicreg import vicreg


def loss(first, second, labels):
    invariance, variance, covariance = vicreg(first, second)
    return 5 * invariance + 5 * variance + covariance
