"""Teachers: slow copies of what is trained, and their features as targets."""

import copy
import math
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.objectives.heads import project
from trivium.types import View


class Teacher(nn.Module):
    """An exponential moving average of a module; never trained by gradients.

    It starts as a copy. Dropout and stochastic depth are off; batch normalisation follows the train
    or eval mode as the student's does, with the copied running statistics.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.copy = copy.deepcopy(student).requires_grad_(False)
        for module in self.copy.modules():
            if "Drop" in type(module).__name__ or type(module).__name__ == "StochasticDepth":
                for name in ("p", "drop_prob"):  # torch's name of the rate, and timm's
                    if hasattr(module, name):
                        setattr(module, name, 0.0)

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the copy returns, without a gradient."""
        return self.copy(*args, **kwargs)

    @torch.no_grad()
    def follow(self, student: nn.Module, momentum: float) -> None:
        """Parameters become momentum x copy + (1 - momentum) x student; buffers are taken over.

        Raises:
            ValueError: `momentum` is outside [0, 1].
        """
        if not 0 <= momentum <= 1:
            raise ValueError(f"a teacher's momentum lies in [0, 1], got {momentum}")
        own = [parameter.detach() for parameter in self.copy.parameters()]
        torch._foreach_lerp_(own, [other.detach() for other in student.parameters()], 1 - momentum)
        for mine, theirs in zip(self.copy.buffers(), student.buffers(), strict=True):
            mine.copy_(theirs)


class ProjectingTeacher(nn.Module):
    """The moving averages of an encoder and of the head on its pooled features."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = Teacher(encoder), Teacher(head)

    def forward(self, view: View) -> Float[Tensor, "batch channel"]:
        """The head's output for a view, without gradient, in float32."""
        return project(self.encoder, self.head, view)[0]

    def follow(self, encoder: nn.Module, head: nn.Module, momentum: float) -> None:
        """See `Teacher.follow`."""
        self.encoder.follow(encoder, momentum)
        self.head.follow(head, momentum)


def cosine_momentum(base: float, progress: float) -> float:
    """A momentum that grows from `base` to 1 as a half cosine (BYOL, 2006.07733, section 3.2)."""
    return 1 - (1 - base) * (math.cos(math.pi * progress) + 1) / 2


Normalisation = Literal["layer", "instance"]


def average_layers(
    outputs: tuple[Float[Tensor, "batch token channel"], ...],
    normalise: Normalisation,
    valid: Bool[Tensor, "batch token"] | None = None,
) -> Float[Tensor, "batch token channel"]:
    """Mean of normalised block outputs (data2vec, 2202.03555, eq. 2), in float32.

    `layer`: each token over its channels, and the mean once more (vision and text); `instance`:
    each channel of a sample over its valid tokens (audio). Neither has an affine part.

    Raises:
        ValueError: `normalise` is neither.
    """
    layers = torch.stack([output.float() for output in outputs])
    if normalise == "layer":
        mean = F.layer_norm(layers, layers.shape[-1:]).mean(0)
        return F.layer_norm(mean, mean.shape[-1:])
    if valid is None:
        variance, centre = torch.var_mean(layers, dim=2, correction=0, keepdim=True)
    else:
        weight = valid.float().unsqueeze(-1)
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
        centre = (layers * weight).sum(2, keepdim=True)
        variance = ((layers - centre).square() * weight).sum(2, keepdim=True)
    return ((layers - centre) * (variance + 1e-5).rsqrt()).mean(0)
