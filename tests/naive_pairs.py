"""CLIP and SigLIP of one pair, sample by sample."""

import torch
from torch.nn import functional as F

import pairs
from trivium.objectives.pairs import Pairs
from trivium.types import ModalityInput

DOUBLE = pairs.spec("image", "text")


def captioned(data=DOUBLE, batch=7, captions=None, there=None):
    """Senses whose texts are those of `captions`."""
    senses = pairs.senses(data, batch, present={} if there is None else {"text": there})
    if captions is not None:
        values, valid, present, _ = senses["text"]
        senses["text"] = ModalityInput(values[captions], valid[captions], present)
    return senses


def match_of(first, second, senses):
    (match,) = Pairs(DOUBLE, None).match({"image": first, "text": second}, senses)
    return match


def with_gradients(loss, leaves):
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def allowed(text, there):
    """For each sample that takes part: the samples that it is compared with."""
    number = len(there)
    return {
        i: [j for j in range(number) if there[j] and (j == i or text[j] != text[i])]
        for i in range(number)
        if there[i]
    }


def clip(first, second, scale, text, there):
    losses = []
    for one, other in ((first, second), (second, first)):
        for i, others in allowed(text, there).items():
            scores = torch.stack([scale * (one[i] * other[j]).sum() for j in others])
            losses.append(scores.logsumexp(0) - scores[others.index(i)])
    return sum(losses) / len(losses)


def siglip(first, second, scale, bias, text, there):
    losses = []
    for i, others in allowed(text, there).items():
        for j in others:
            score = scale * (first[i] * second[j]).sum() + bias
            losses.append(F.softplus(-score if i == j else score))
    return sum(losses) / len(allowed(text, there))
