"""HuBERT: predict the cluster of what is masked, of the sound first and of features then."""

import math
from collections.abc import Sequence
from typing import ClassVar, cast, final

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.data.batches import as_values
from trivium.encoders.spectrogram import MelPatchStem
from trivium.encoders.wave import WaveStem
from trivium.objectives import mfcc
from trivium.objectives.masking import MaskedPrediction, MaskTokens, code_terms
from trivium.objectives.teacher import Teacher
from trivium.types import DataSpec, Encoder, Needs, Paradigm, Terms, View, Views

UNFITTED, FIRST, SECOND = -1, 0, 1
CLIPS_AT_ONCE = 256


@final
class HuBERT(MaskedPrediction):
    r"""Predict hidden units: k-means clusters of masked tokens (Hsu et al. 2021).

    arXiv 2106.07447, section II: $L = -\frac{1}{|M|} \sum_{(i,t) \in M} \log p(y_{it} |
    \tilde{x}_i)$ over masked tokens (alpha = 1), $p(c) \propto \exp(\mathrm{sim}(A o_t, e_c) /
    \tau)$ (Eq. 3), sim the cosine, A a linear map and e learned codes. Two iterations share the
    budget: until the share `second` the targets are clusters of MFCCs with their differences,
    averaged over a token's frames; then the encoder is copied, the outputs of the copy's block
    `layer` on unmasked clips are clustered, and the codes start anew. Differences: the second
    iteration goes on from the first one's weights, and k-means (scikit-learn's `MiniBatchKMeans`,
    outside of the counted FLOPs) sees at most 2,000 clips; every step is priced as one of the
    second iteration. References: fairseq's `hubert.py`, torchaudio's `hubert_pretrain_base`.

    Terms: `loss` (nats per masked token), `accuracy` (on masked tokens, in [0, 1]), `perplexity`
    (of the targets of this rank's masked tokens, 1 to K), `iteration` (1 or 2).
    """

    title: ClassVar[str] = "HuBERT"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, modalities=("audio",))
    iteration: Tensor
    centroids: Tensor
    fresh_codes: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,
        *,
        num_clusters: int,
        ratio: float,
        block: Sequence[float | int],
        aspect_ratio: Sequence[float | int],
        temperature: float,
        projection_width: int,
        second: float,
        layer: int,
    ) -> None:
        """`layer` counts blocks from 1; the last one where there are fewer.

        Raises:
            ValueError: `second` is outside (0, 1], or `layer` is not positive.
        """
        super().__init__()
        if not 0 < second <= 1 or layer < 1:
            raise ValueError(
                f"hubert needs second in (0, 1] and a layer from 1 on, got {second} and {layer}."
            )
        self.encoder, self.copied = encoder, Teacher(encoder)
        self.temperature, self.second, self.layer = temperature, second, layer
        width = encoder.token_width
        self.masking = MaskTokens(width, ratio=ratio, block=block, aspect_ratio=aspect_ratio)
        self.project = nn.Linear(width, projection_width)
        self.codes = nn.Parameter(torch.rand(num_clusters, projection_width))
        self.mfcc = mfcc.MFCC(data)
        size = max(width, mfcc.WIDTH)
        self.register_buffer("iteration", torch.tensor(UNFITTED))
        self.register_buffer("centroids", torch.randn(num_clusters, size))
        # Drawn here, where all ranks draw the same.
        self.register_buffer("fresh_codes", torch.rand(num_clusters, projection_width))
        self.clips: View | None = None

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        tokens, mask = self.masked(view)
        targets = self.targets(view)[mask.mask]
        scores = self.scores(self.encode(tokens, mask)[mask.mask])
        iteration = self.iteration.clamp(min=0).float() + 1
        return {**code_terms(scores, targets), "iteration": iteration}

    def scores(self, hidden: Float[Tensor, "item channel"]) -> Float[Tensor, "item cluster"]:
        """Cosines with the codes over the temperature."""
        projected = F.normalize(self.project(hidden).float(), dim=-1)
        with torch.autocast(hidden.device.type, enabled=False):
            return projected @ F.normalize(self.codes.float(), dim=-1).T / self.temperature

    @torch.no_grad()
    def targets(self, view: View) -> Int64[Tensor, "batch token"]:
        """The cluster of every token of the unmasked view."""
        described = self.sound(view) if self.iteration == FIRST else self.features(view)
        centroids = self.centroids[:, : described.shape[-1]]
        with torch.autocast(described.device.type, enabled=False):
            # |x - c|^2 without |x|^2, which is the same for all clusters.
            score = described @ centroids.T - 0.5 * centroids.square().sum(1)
        return score.argmax(-1)

    def sound(self, view: View) -> Float[Tensor, "batch token 39"]:
        """MFCCs of every token."""
        stem = cast(MelPatchStem | WaveStem, self.encoder.stem)
        hop = self.mfcc.hop
        return mfcc.of_tokens(
            self.mfcc(view.values, view.valid),
            stem.plane(stem.length(view.values)),
            hop=hop,
            samples=stem.samples(hop),
        )

    def features(self, view: View) -> Float[Tensor, "batch token channel"]:
        """Outputs of the copy's block at every token."""
        copied = cast(Encoder, self.copied.copy)
        outputs = copied.layers(copied.embed(view.values, view.valid))
        return outputs[min(self.layer, len(outputs)) - 1].float()

    @torch.no_grad()
    def fit(
        self, values: Shaped[Tensor, "item ..."], valid: Bool[Tensor, "item length"] | None = None
    ) -> int:
        """Cluster the MFCCs of some raw train clips, and keep these for the second iteration."""
        self.clips = View(values, valid)
        self.iteration.fill_(FIRST)
        self.cluster(self.described(FIRST))
        return 0

    def after_step(self, progress: float) -> None:
        """Begin the second iteration when it is time."""
        if self.iteration == FIRST and self.second <= progress < 1:
            self.copied.follow(self.encoder, 0.0)
            self.iteration.fill_(SECOND)
            self.cluster(self.described(SECOND))
            with torch.no_grad():
                self.codes.copy_(self.fresh_codes)

    @torch.no_grad()
    def described(self, iteration: int) -> Float[Tensor, "item value"]:
        """What is clustered of the kept clips: one row for each of their valid tokens."""
        assert self.clips is not None
        stem = cast(MelPatchStem | WaveStem, self.encoder.stem)
        describe = self.sound if iteration == FIRST else self.features
        device, found = self.centroids.device, []
        for first in range(0, len(self.clips.values), CLIPS_AT_ONCE):
            part = slice(first, first + CLIPS_AT_ONCE)
            values = as_values(self.clips.values[part].to(device))
            valid = None if self.clips.valid is None else self.clips.valid[part].to(device)
            rows = describe(View(values, valid))
            found.append(rows.flatten(0, 1) if valid is None else rows[stem.valid_tokens(valid)])
        return torch.cat(found)

    @torch.no_grad()
    def cluster(self, rows: Float[Tensor, "item value"]) -> None:
        """k-means centroids of some rows.

        Raises:
            ValueError: There are fewer rows than clusters.
        """
        from sklearn.cluster import MiniBatchKMeans

        num_clusters, width = len(self.codes), rows.shape[1]
        if len(rows) < num_clusters:
            raise ValueError(
                f"{num_clusters} clusters need as many tokens, but the train clips have "
                f"{len(rows)}: lower objective.num_clusters."
            )
        means = MiniBatchKMeans(num_clusters, random_state=0, n_init=3, batch_size=4096)
        found = means.fit(rows.float().cpu().numpy()).cluster_centers_
        self.centroids.zero_()
        self.centroids[:, :width] = torch.from_numpy(found).to(self.centroids)

    def plateau(self, batch_size: int) -> float | None:  # noqa: ARG002
        """Ln K, the loss of a uniform guess; nothing once the codes have started anew."""
        return None if self.iteration == SECOND else math.log(len(self.codes))
