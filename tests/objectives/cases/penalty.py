from trivium.objectives.latent import KLAnnealing, divergence


def loss(first, second, labels):
    """A divergence with free bits, where the ranks differ in how many samples count."""
    counted = labels != 1
    kl = divergence(first, second) * counted.unsqueeze(1)
    return KLAnnealing(beta=2.0, warmup=0.0, free_bits=0.7)(kl, counted)[0]
