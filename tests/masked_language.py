"""What the tests of BERT and ELECTRA share: small texts, and stand-ins for transformers."""

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from trivium.types import BOS, EOS, PAD, DataSpec, View

TEXTS = DataSpec("short", "text", (24,), 0, 100, (), (), vocabulary=30)
SIZES = {"width": 24, "depth": 2, "num_heads": 3}
LENGTHS = torch.tensor([24, 17, 9, 3])


@torch.no_grad()
def perturbed(objective):
    """The objective with every parameter moved: zeros and ones would hide mistakes."""
    for parameter in objective.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    return objective


def texts(lengths=LENGTHS, length=24):
    lengths = torch.as_tensor(lengths)[:, None]
    valid = torch.arange(length) < lengths
    ids = torch.randint(4, 30, valid.shape).where(valid, PAD)
    ids[:, 0] = BOS
    return View(ids.scatter(1, lengths - 1, EOS), valid)


class Body(nn.Module):
    """Stands in for the body of a model of transformers: the head and the loss stay theirs."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def forward(self, *args, **settings):
        return BaseModelOutput(last_hidden_state=self.tokens)
