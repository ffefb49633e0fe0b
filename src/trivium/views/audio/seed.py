"""Seeds for sources of randomness that branch off."""

import torch


def draw_seed(generator: torch.Generator | None) -> int:
    """A seed for another source.

    The generator moves on by one draw, however much is drawn from the other source: so what
    follows does not depend on how far a batch is padded.
    """
    device = torch.device("cpu") if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))
