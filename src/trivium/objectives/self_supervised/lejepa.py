"""LeJEPA: views agree, and features are spread as an isotropic Gaussian."""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from trivium.objectives.heads import MLP, project
from trivium.objectives.pairs import gather
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class LeJEPA(Objective):
    r"""Predict the mean of the global views, and test that features are Gaussian (2511.08544).

    arXiv 2511.08544, algorithm 2: $L = (1 - \lambda) \, \mathrm{mean}_v \| z_v - \mu \|^2 / C +
    \lambda \, \mathrm{mean}_v \mathrm{SIGReg}(z_v)$, $\mu$ the mean over the first two (global)
    views, C the channels, lambda `weight`; SIGReg is `sigreg` below, on slices that are fresh every
    step and the same on all ranks. Reference: github.com/rbalestr-lab/lejepa, with its 17 knots on
    [0, 3].

    Terms: `loss`, `invariance` (the first mean), `sigreg` (the second: 1.06 for Gaussian features,
    `collapsed` for constant ones).
    """

    title: ClassVar[str] = "LeJEPA"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(num_views=2, more_views=True)
    slices: Tensor
    slice_seed: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        weight: float,
        num_slices: int,
        num_knots: int,
        last_knot: float,
        hidden_width: int,
        projection_width: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.weight, self.num_knots, self.last_knot = weight, num_knots, last_knot
        self.projector = MLP(encoder.width, hidden_width, projection_width)
        self.register_buffer("slice_seed", torch.randint(2**40, ()))
        slices = draw_slices(projection_width, num_slices, int(self.slice_seed))
        self.register_buffer("slices", slices)

    def forward(self, views: Views) -> Terms:
        """One step on two global views and any number of local ones; see the class."""
        projections = torch.stack(project(self.encoder, self.projector, *views.views))
        knots = (self.num_knots, self.last_knot)
        invariance, spread = lejepa(projections, self.slices, *knots)
        loss = (1 - self.weight) * invariance + self.weight * spread
        return {"loss": loss, "invariance": invariance.detach(), "sigreg": spread.detach()}

    def after_step(self, progress: float) -> None:  # noqa: ARG002
        """Draw the next step's slices."""
        self.slice_seed += 1
        width, num_slices = self.slices.shape
        self.slices.copy_(draw_slices(width, num_slices, int(self.slice_seed)))

    def plateau(self, batch_size: int) -> float:
        """The loss of features that are all zero: the lowest that collapsed ones can have."""
        return self.weight * collapsed(batch_size, self.num_knots, self.last_knot)


def lejepa(
    projections: Float[Tensor, "view batch channel"],
    slices: Float[Tensor, "channel slice"],
    num_knots: int,
    last_knot: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Invariance of this rank's samples, and SIGReg of all ranks' (its mean over the views)."""
    centre = projections[:2].mean(0)
    invariance = (projections - centre).square().mean()
    spread = torch.stack([sigreg(view, slices, num_knots, last_knot) for view in projections])
    return invariance, spread.mean()


def sigreg(
    values: Float[Tensor, "batch channel"],
    slices: Float[Tensor, "channel slice"],
    num_knots: int,
    last_knot: float,
) -> Float[Tensor, ""]:
    r"""Sketched isotropic Gaussian regularisation: mean Epps-Pulley statistic of 1-D slices.

    2511.08544, algorithm 1: $N \int |\hat\varphi(t) - e^{-t^2/2}|^2 e^{-t^2/2} dt$ for each slice,
    $\hat\varphi$ being the empirical characteristic function of the N samples of all ranks
    (gathered with gradient). The integrand is even: trapezoids over [0, `last_knot`], doubled.
    """
    with torch.autocast(values.device.type, enabled=False):
        projected = values @ slices
        angles = projected.unsqueeze(-1) * _knots(num_knots, last_knot, values.device)
        own = torch.stack([angles.cos().mean(0), angles.sin().mean(0)])
        ranks = gather(own.unsqueeze(0))
        cosine, sine = ranks.mean(0)
        error = _error(cosine, sine, num_knots, last_knot)
        return error.mean() * len(values) * len(ranks)


def collapsed(num_samples: int, num_knots: int, last_knot: float) -> float:
    """SIGReg of samples that are all zero; about 0.41 for each sample if the knots reach far."""
    one = torch.ones(num_knots)
    return num_samples * _error(one, torch.zeros(num_knots), num_knots, last_knot).item()


def draw_slices(width: int, num_slices: int, seed: int) -> Float[Tensor, "channel slice"]:
    """Random unit vectors, as columns; the same for a seed on every rank and device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(width, num_slices, generator=generator), dim=0)


def _knots(num_knots: int, last_knot: float, device: torch.device) -> Float[Tensor, " knot"]:
    return torch.linspace(0, last_knot, num_knots, device=device)


def _error(
    cosine: Float[Tensor, "*slice knot"],
    sine: Float[Tensor, "*slice knot"],
    num_knots: int,
    last_knot: float,
) -> Float[Tensor, "*slice"]:
    """Twice the windowed integral of the squared distance to the Gaussian's function."""
    knots = _knots(num_knots, last_knot, cosine.device)
    gaussian = (-knots.square() / 2).exp()
    distance = (cosine - gaussian).square() + sine.square()
    return 2 * torch.trapezoid(distance * gaussian, knots, dim=-1)
