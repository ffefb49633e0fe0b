"""What is measured on a probe's predictions."""

import numpy as np
import torch
from jaxtyping import Float, Int64

NUM_BINS = 15


def measure(
    probabilities: Float[np.ndarray, "item class"],
    targets: Int64[np.ndarray, " item"],
    *,
    num_bins: int = NUM_BINS,
) -> dict[str, float]:
    """Accuracy, macro-F1 and expected calibration error, each in [0, 1].

    `ece` is the mean gap between confidence and accuracy over bins of equal width, weighted by
    their counts (Guo et al. 2017, 1706.04599, Eq. 3).

    Args:
        probabilities: Rows that sum to one.
        targets: Class indices.
        num_bins: Bins of the confidence.
    """
    from torchmetrics.functional import classification

    scores, truth = torch.from_numpy(probabilities), torch.from_numpy(targets)
    predictions, num_classes = scores.argmax(1), scores.shape[1]
    f1 = classification.multiclass_f1_score(predictions, truth, num_classes, average="macro")
    ece = classification.multiclass_calibration_error(
        scores, truth, num_classes, n_bins=num_bins, norm="l1"
    )
    return {
        "accuracy": float((predictions == truth).double().mean()),
        "macro_f1": float(f1),
        "ece": float(ece),
    }


def recall_per_class(
    predictions: Int64[np.ndarray, " item"], targets: Int64[np.ndarray, " item"], num_classes: int
) -> Float[np.ndarray, " class"]:
    """Share of each class's items that are found; NaN for a class without items."""
    from torchmetrics.functional import classification

    recall = classification.multiclass_recall(
        torch.from_numpy(predictions), torch.from_numpy(targets), num_classes, average="none"
    )
    counts = np.bincount(targets, minlength=num_classes)
    return np.where(counts > 0, recall.numpy(), np.nan)
