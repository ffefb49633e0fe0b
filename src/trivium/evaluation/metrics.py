"""What is measured on a probe's predictions."""

import numpy as np
from jaxtyping import Float, Int64

# Written out, because importing torchmetrics (with all that it looks for) takes longer than the
# measurements of a whole evaluation; the tests compare with it.
NUM_BINS = 15


def measure(
    probabilities: Float[np.ndarray, "item class"],
    targets: Int64[np.ndarray, " item"],
    *,
    num_bins: int = NUM_BINS,
) -> dict[str, float]:
    """Accuracy, macro-F1 and expected calibration error, each in [0, 1].

    Macro-F1 is the mean over the classes that occur among targets or predictions.

    Args:
        probabilities: Rows that sum to one.
        targets: Class indices.
        num_bins: Bins of the confidence.
    """
    num_classes, predictions = probabilities.shape[1], probabilities.argmax(1)
    pairs = np.bincount(targets * num_classes + predictions, minlength=num_classes**2)
    table = pairs.reshape(num_classes, num_classes)
    hits, totals = np.diag(table), table.sum(0) + table.sum(1)
    seen = totals > 0
    return {
        "accuracy": float(hits.sum() / len(targets)),
        "macro_f1": float(np.mean(2 * hits[seen] / totals[seen])),
        "ece": calibration_error(probabilities.max(1), predictions == targets, num_bins),
    }


def calibration_error(
    confidence: Float[np.ndarray, " item"], hits: np.ndarray, num_bins: int = NUM_BINS
) -> float:
    """Mean gap between confidence and accuracy over bins of equal width, weighted by count.

    Expected calibration error (Guo et al. 2017, 1706.04599, Eq. 3), in [0, 1]; bins are open
    below and closed above, as there.
    """
    bins = np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    gaps = np.bincount(bins, weights=hits - confidence, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(confidence))
