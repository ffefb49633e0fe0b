"""One rank of a gloo group: saves terms and averaged gradients. Run by test_pairs.py."""

import torch

import pairs
import ranks
from trivium.objectives.self_supervised.clip import CLIP
from trivium.objectives.self_supervised.siglip import SigLIP
from trivium.types import ModalityInput, View, Views

DATA = pairs.spec("image", "text", "audio")
OBJECTIVES = {
    "clip": (CLIP, {"pairs": None, "temperature": 0.07}),
    "siglip": (SigLIP, {"pairs": None, "scale": 10.0, "bias": None}),
}
PRESENT = {  # pairs have 7, 6 and 5 samples; ranks do not have equally many
    "text": [True, True, True, True, True, True, False, True],
    "audio": [True, False, False, True, True, True, True, True],
}
SAME = ((0, 5), (6, 7))  # the first across ranks; of the second one has no text


def batch(part):
    senses = pairs.senses(DATA, 8, seed=3, present=PRESENT)
    text = senses["text"]
    for one, other in SAME:
        text.values[other], text.valid[other] = text.values[one], text.valid[one]
    cut = {}
    for one, (values, valid, present, _) in senses.items():
        valid = None if valid is None else valid[part]
        values = values[part]
        if one == "text":  # padded to the longest of the rank's own
            longest = int(valid.sum(1).max())
            values, valid = values[:, :longest], valid[:, :longest]
        cut[one] = ModalityInput(values, valid, None if present is None else present[part])
    return Views((View(cut),))


def outcome(part, average):
    """Terms and gradients of every parameter on one part of a fixed batch, by objective."""
    found = {}
    for name, (kind, settings) in OBJECTIVES.items():
        torch.manual_seed(0)
        objective = kind(pairs.towers(DATA), DATA, **settings)
        terms = objective(batch(part))
        terms["loss"].backward()
        gradients = [one.grad.flatten() for one in objective.parameters() if one.grad is not None]
        for what, values in (
            ("terms", torch.stack([term.detach() for term in terms.values()])),
            ("gradient", torch.cat(gradients)),
        ):
            average(values)
            found[f"{name}_{what}"] = values.numpy()
    return found


if __name__ == "__main__":
    ranks.run(outcome)
