"""DINO: agree with a slow copy on which prototype a sample belongs to."""

import functools
import math
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from trivium.encoders.transformer import init_linear
from trivium.objectives.codebook import perplexity
from trivium.objectives.heads import Prototypes, project
from trivium.objectives.pairs import gather
from trivium.objectives.teacher import ProjectingTeacher, cosine_momentum
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views

NUM_GLOBAL = 2


@final
class DINO(Objective):
    r"""Predict a teacher's assignment of the sample's other views (Caron et al. 2021).

    arXiv 2104.14294, Eq. 3 and Algorithm 1, mean over the pairs of different views (t, s), t one of
    the first two (global) views, which alone the teacher sees: $L = - \sum_k p_k^t \log q_k^s$ with
    $p^t = \mathrm{softmax}((g'_t - c) / \tau')$ of the teacher and $q^s = \mathrm{softmax}(g_s /
    \tau)$ of the student, g being cosines with K prototypes. After every step the centre c moves
    towards the teacher's mean g' over its views and all ranks (Eq. 4), and the teacher follows with
    a momentum that grows as a cosine from `momentum` to 1. The teacher's temperature grows linearly
    from `teacher_temperature_start` over the share `warmup` of training; during the first share
    `freeze` prototypes receive no gradient. Reference: github.com/facebookresearch/dino; here the
    head starts as a Xavier uniform, and the trained encoder is exported, not the teacher.

    Terms: `loss` = `entropy` of the teacher's assignments + `kl` of the student's from them (nats);
    `prototypes` in use (perplexity of the teacher's mean assignment, 1 to K). Entropy 0 with one
    prototype, or a loss at ln K, is collapse.
    """

    title: ClassVar[str] = "DINO"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(num_views=NUM_GLOBAL, more_views=True)
    centre: Tensor
    observed: Tensor
    teacher_temperature: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        hidden_width: int,
        bottleneck_width: int,
        num_prototypes: int,
        student_temperature: float,
        teacher_temperature: float,
        teacher_temperature_start: float,
        warmup: float,
        centre_momentum: float,
        momentum: float,
        freeze: float,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.student_temperature = student_temperature
        self.temperatures = (teacher_temperature_start, teacher_temperature)
        self.warmup, self.freeze = warmup, freeze
        self.momentum, self.centre_momentum = momentum, centre_momentum
        self.head = Head(encoder.width, hidden_width, bottleneck_width, num_prototypes)
        self.teacher = ProjectingTeacher(encoder, self.head)
        self.register_buffer("centre", torch.zeros(num_prototypes))
        self.register_buffer("observed", torch.zeros(num_prototypes), persistent=False)
        self.register_buffer("teacher_temperature", torch.tensor(teacher_temperature))
        self._schedule(0.0)

    def forward(self, views: Views) -> Terms:
        """One step on two global views and any number of local ones; see the class."""
        student = torch.stack(project(self.encoder, self.head, *views.views))
        teacher = torch.stack([self.teacher(view) for view in views.views[:NUM_GLOBAL]])
        targets = ((teacher - self.centre) / self.teacher_temperature).softmax(-1)
        loss = cross_entropy(targets, student / self.student_temperature)
        if self.training:
            self.observed.copy_(mean_score(teacher))
        entropy = torch.special.entr(targets).sum(-1).mean()
        return {
            "loss": loss,
            "entropy": entropy,
            "kl": loss.detach() - entropy,
            "prototypes": perplexity(targets.mean((0, 1))),
        }

    def assign(self, view: View) -> Int64[Tensor, " batch"]:
        """The prototype that the teacher gives most to, after centring."""
        scores: Tensor = self.teacher(view) - self.centre
        return scores.argmax(1)

    def after_step(self, progress: float) -> None:
        """Move the centre and the teacher, its temperature, and the switch of the prototypes."""
        self.centre.lerp_(self.observed, 1 - self.centre_momentum)
        momentum = cosine_momentum(self.momentum, progress)
        self._schedule(progress)
        self.teacher.follow(self.encoder, self.head, momentum)

    def _schedule(self, progress: float) -> None:
        start, end = self.temperatures
        share = min(1.0, progress / self.warmup) if self.warmup > 0 else 1.0
        self.teacher_temperature.fill_(start + share * (end - start))
        self.head.prototypes.learning.fill_(float(progress >= self.freeze))

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Float[Tensor, "batch channel height width"]]:
        """The first view and the attention of the encoder's last block, if it has any.

        Mean over the heads; each map is scaled to [0, 1] by its own extremes.
        """
        encoder: Any = self.encoder
        if not hasattr(encoder, "attention_map"):
            return {}
        values = views.views[0].values
        seen = encoder.attention_map(values).mean(1).flatten(1)
        least, most = seen.aminmax(dim=1, keepdim=True)
        scaled = (seen - least) / (most - least).clamp(min=1e-12)
        return {"input": values, "attention": encoder.stem.paint(scaled)}

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """The loss ln K: the teacher or the student gives every prototype the same."""
        return math.log(len(self.centre))


class Head(nn.Module):
    """Three-layer MLP with GELU, a bottleneck of unit length, and prototypes (section 3.1)."""

    def __init__(self, width: int, hidden: int, bottleneck: int, num_prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        self.mlp.apply(functools.partial(init_linear, init="xavier"))
        self.prototypes = Prototypes(bottleneck, num_prototypes)

    def forward(self, pooled: Float[Tensor, "batch channel"]) -> Float[Tensor, "batch prototype"]:
        """Cosines with the prototypes, in float32."""
        scores: Tensor = self.prototypes(self.mlp(pooled))
        return scores


def cross_entropy(
    targets: Float[Tensor, "target batch prototype"], logits: Float[Tensor, "view batch prototype"]
) -> Float[Tensor, ""]:
    """Mean over the batch and the pairs of a target and another view; view i is target i's own."""
    with torch.autocast(logits.device.type, enabled=False):
        pairs = -torch.einsum("tbk,vbk->tv", targets, logits.log_softmax(-1)) / logits.shape[1]
    other = 1 - torch.eye(*pairs.shape, device=pairs.device)
    return (pairs * other).sum() / other.sum()


@torch.no_grad()
def mean_score(
    scores: Float[Tensor, "target batch prototype"],
) -> Float[Tensor, " prototype"]:
    """The batch's part of Eq. 4: the teacher's mean scores over views and all ranks."""
    return gather(scores.mean((0, 1)).unsqueeze(0)).mean(0)
