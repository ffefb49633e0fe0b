"""Cross-entropy: the supervised baseline."""

import math
from typing import ClassVar, final

from torch import nn
from torch.nn import functional as F

from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class CrossEntropy(Objective):
    r"""Classify the pooled features with one linear layer.

    $L = -\frac{1}{N} \sum_i \sum_c q_{ic} \log p_{ic}$ with
    $q_{ic} = (1 - \epsilon) [c = y_i] + \epsilon / C$ and $p_i$ the softmax of the logits.
    Label smoothing: Szegedy et al. 2016, arXiv 1512.00567, section 7.
    Reference implementation: `torch.nn.functional.cross_entropy`.

    Terms: `loss` (nats), `accuracy` (of the batch, in [0, 1]).
    """

    paradigm: ClassVar[Paradigm] = "supervised"
    needs: ClassVar[Needs] = Needs(labels=True)

    def __init__(self, encoder: Encoder, data: DataSpec, *, label_smoothing: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.label_smoothing = label_smoothing
        self.classifier = nn.Linear(encoder.width, data.num_classes)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        assert views.labels is not None
        view = views.views[0]
        logits = self.classifier(self.encoder(view.values, view.valid).pooled).float()
        loss = F.cross_entropy(logits, views.labels, label_smoothing=self.label_smoothing)
        accuracy = (logits.detach().argmax(1) == views.labels).float().mean()
        return {"loss": loss, "accuracy": accuracy}

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """Ln of the number of classes: the loss of a uniform guess."""
        return math.log(self.classifier.out_features)
