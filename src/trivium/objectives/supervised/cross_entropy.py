"""Cross-entropy: the supervised baseline."""

import math
from typing import Any, ClassVar, final

from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.types import (
    DataSpec,
    Encoder,
    MultimodalInput,
    Needs,
    Objective,
    Paradigm,
    Terms,
    Views,
)


@final
class CrossEntropy(Objective):
    r"""Classify the pooled (of several modalities the fused) features with one linear layer.

    $L = -\frac{1}{N} \sum_i \sum_c q_{ic} \log p_{ic}$, $q_{ic} = (1 - \epsilon) t_{ic} +
    \epsilon / C$ (label smoothing: arXiv 1512.00567, section 7), t the one-hot or mixed label and
    $p_i$ the softmax of the logits. Reference: `torch.nn.functional.cross_entropy`. In training
    `mixup` (arXiv 1710.09412) and `cutmix` (arXiv 1905.04899) are torchvision's, with a share drawn
    from Beta(a, a) for each batch; 0 is off, and of both each batch gets one.

    Terms: `loss` (nats), `accuracy` (of the batch, against the dominant label, in [0, 1]).
    """

    title: ClassVar[str] = "cross-entropy"
    paradigm: ClassVar[Paradigm] = "supervised"
    needs: ClassVar[Needs] = Needs(labels=True, modalities=("image", "text", "audio", "several"))

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,
        *,
        label_smoothing: float,
        mixup: float,
        cutmix: float,
    ) -> None:
        """`label_smoothing` is epsilon; `mixup` and `cutmix` are parameters of their Betas.

        Raises:
            ValueError: The data cannot be mixed in the chosen way.
        """
        super().__init__()
        if cutmix > 0 and data.modality != "image":
            raise ValueError(
                f"cutmix pastes boxes of images, but {data.name!r} is {data.modality}: set "
                "objective.cutmix to 0."
            )
        if mixup > 0 and data.modality not in ("image", "audio"):
            raise ValueError(
                f"mixup averages images or sounds, but {data.name!r} is {data.modality}: set "
                "objective.mixup to 0."
            )
        self.encoder = encoder
        self.label_smoothing = label_smoothing
        self.mixing = _mixing(mixup, cutmix, data.num_classes)
        self.classifier = nn.Linear(encoder.width, data.num_classes)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        assert views.labels is not None
        view = views.views[0]
        values, targets = self.mix(view.values, views.labels)
        logits = self.classifier(self.encoder(values, view.valid).pooled).float()
        loss = F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        accuracy = (logits.detach().argmax(1) == targets.argmax(1)).float().mean()
        return {"loss": loss, "accuracy": accuracy}

    def mix(
        self, values: Shaped[Tensor, "batch ..."] | MultimodalInput, labels: Int64[Tensor, " batch"]
    ) -> tuple[Shaped[Tensor, "batch ..."] | MultimodalInput, Float[Tensor, "batch class"]]:
        """Mixed values and label distributions; unmixed ones if nothing is on, or in eval mode."""
        if self.mixing is None or not self.training:
            return values, F.one_hot(labels, self.classifier.out_features).float()
        assert isinstance(values, Tensor)
        # The transforms take images only; mixup itself does not care for shapes.
        images = values if values.ndim == 4 else values.flatten(1)[:, None, None]
        mixed, targets = self.mixing(images, labels)
        return mixed.view_as(values), targets

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """Ln of the number of classes: the loss of a uniform guess, for any labels."""
        return math.log(self.classifier.out_features)


def _mixing(mixup: float, cutmix: float, num_classes: int) -> Any:
    """What mixes a batch and its labels, or None."""
    from torchvision.transforms.v2 import CutMix, MixUp, RandomChoice

    chosen = ((MixUp, mixup), (CutMix, cutmix))
    transforms = [kind(alpha=a, num_classes=num_classes) for kind, a in chosen if a > 0]
    return RandomChoice(transforms) if len(transforms) > 1 else next(iter(transforms), None)
