"""DeepCluster-v2: predict which cluster of features the sample's other view lies in."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from trivium.objectives.codebook import nearest, perplexity, spherical_kmeans
from trivium.objectives.heads import MLP, project
from trivium.objectives.pairs import gather
from trivium.objectives.teacher import ProjectingTeacher
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views


@final
class DeepClusterV2(Objective):
    r"""Alternate between clustering features and predicting the clusters (Caron et al. 2018, 2020).

    DeepCluster, arXiv 1807.05520, Eq. 2, as DeepCluster-v2 of SwAV, arXiv 2006.09882, appendix:
    spherical k-means of the unit projections z gives K centroids c, the fixed weights of the
    classifier: $L = - \log \frac{\exp(z_1 \cdot c_y / \tau)}{\sum_k \exp(z_1 \cdot c_k / \tau)}$
    with y the cluster of the sample's other view; mean over both directions. Reference:
    github.com/facebookresearch/swav, `main_deepclusterv2.py`.

    Differences, since training is counted in steps and knows no indices: the memory holds the
    latest `memory` projections (mean direction of both views, all ranks); k-means runs every
    `every` steps (and at steps 1, 2, 4, ... before), from the present centroids and outside of the
    counted FLOPs; y is the centroid nearest to the other view's projection by a copy of encoder and
    projector as they were at that k-means, so that the objective does not confirm itself. There is
    one clustering, not several; an empty cluster takes half of the largest one.

    Terms: `loss` (nats), `accuracy` (the own nearest centroid is the target, in [0, 1]),
    `clusters` in use (perplexity of the targets on this rank's batch, 1 to K).
    """

    title: ClassVar[str] = "DeepCluster-v2"
    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(num_views=2)
    centroids: Tensor
    bank: Tensor
    num_stored: Tensor
    num_steps: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        num_clusters: int,
        temperature: float,
        memory: int,
        every: int,
        num_iterations: int,
        hidden_width: int,
        projection_width: int,
    ) -> None:
        super().__init__()
        if memory < num_clusters:
            raise ValueError(
                f"memory holds {memory} projections for num_clusters {num_clusters}: enlarge it."
            )
        self.encoder = encoder
        self.temperature, self.every, self.num_iterations = temperature, every, num_iterations
        self.projector = MLP(encoder.width, hidden_width, projection_width)
        self.clustered = ProjectingTeacher(encoder, self.projector)
        random = F.normalize(torch.randn(num_clusters, projection_width), dim=1)
        self.register_buffer("centroids", random)
        self.register_buffer("bank", torch.zeros(memory, projection_width))
        self.register_buffer("num_stored", torch.tensor(0))
        self.register_buffer("num_steps", torch.tensor(0))

    def forward(self, views: Views) -> Terms:
        """One step on two views; see the class for the terms."""
        first, second = (self.project(view) for view in views.views)
        targets = [nearest(self.frozen(view), self.centroids) for view in views.views]
        loss = cluster_loss(first, targets[1], self.centroids, self.temperature)
        loss = (loss + cluster_loss(second, targets[0], self.centroids, self.temperature)) / 2
        if self.training:
            self.store(F.normalize(first.detach() + second.detach(), dim=1))
        uses = torch.cat(targets).bincount(minlength=len(self.centroids)).float()
        own = nearest(first.detach(), self.centroids), nearest(second.detach(), self.centroids)
        accuracy = (torch.cat(own) == torch.cat([targets[1], targets[0]])).float().mean()
        return {"loss": loss, "accuracy": accuracy, "clusters": perplexity(uses)}

    def project(self, view: View) -> Float[Tensor, "batch channel"]:
        """Projections of unit length, in float32."""
        return F.normalize(project(self.encoder, self.projector, view)[0], dim=1)

    def frozen(self, view: View) -> Float[Tensor, "batch channel"]:
        """Projections of unit length as they were when the memory was last clustered."""
        return F.normalize(self.clustered(view), dim=1)

    @torch.no_grad()
    def store(self, projections: Float[Tensor, "batch channel"]) -> None:
        """Write the projections of all ranks over the oldest ones."""
        latest = gather(projections)[-len(self.bank) :]
        rows = torch.arange(len(latest), device=latest.device) + self.num_stored
        self.bank.index_copy_(0, rows % len(self.bank), latest)
        self.num_stored += len(latest)

    def after_step(self, progress: float) -> None:  # noqa: ARG002
        """Cluster the memory anew if it is time and there are enough projections."""
        self.num_steps += 1
        step, stored = int(self.num_steps), int(self.num_stored)
        is_early = step < self.every and step.bit_count() == 1
        if (is_early or step % self.every == 0) and stored >= len(self.centroids):
            bank = self.bank[:stored]
            self.centroids.copy_(spherical_kmeans(bank, self.centroids, self.num_iterations))
            self.clustered.follow(self.encoder, self.projector, 0.0)

    @torch.no_grad()
    def assign(self, view: View) -> Int64[Tensor, " batch"]:
        """The nearest centroid of the projection."""
        return nearest(self.project(view), self.centroids)

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """The loss ln K of features that are equally far from all centroids."""
        return math.log(len(self.centroids))


def cluster_loss(
    projections: Float[Tensor, "batch channel"],
    targets: Int64[Tensor, " batch"],
    centroids: Float[Tensor, "cluster channel"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of cosines over the temperature with the target clusters, batch mean."""
    with torch.autocast(projections.device.type, enabled=False):
        return F.cross_entropy(projections @ centroids.T / temperature, targets)
