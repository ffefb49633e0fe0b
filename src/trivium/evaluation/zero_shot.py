"""Zero-shot classification: the class whose description is nearest."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import softmax

from trivium.evaluation.checks import check_features, check_labels, unit_rows
from trivium.evaluation.metrics import NUM_BINS, measure
from trivium.evaluation.results import Record, record

PROBE = "zero-shot"
TEMPERATURE = 0.07
"""What CLIP begins with (2103.00020, section 2.5)."""

Encode: TypeAlias = Callable[[Sequence[str]], Float[np.ndarray, "text joint"]]
"""Texts in the joint space."""


def class_features(
    names: Sequence[str], templates: Sequence[str], encode: Encode
) -> Float[np.ndarray, "class joint"]:
    """One unit vector per class: the mean of its descriptions' unit vectors, scaled to length one.

    Prompt ensembling (CLIP, 2103.00020, section 3.1.4).

    Args:
        names: Of the classes.
        templates: Descriptions with a `{}` in place of the name, such as `a picture of a {}`.
        encode: What encodes the descriptions.

    Raises:
        ValueError: there is no template, or one does not hold a name.
    """
    wrong = [template for template in templates if template.count("{}") != 1]
    if wrong or not templates:
        raise ValueError(f"templates must hold one {{}} for the name each, got {list(templates)}")
    texts = [template.replace("{}", name) for name in names for template in templates]
    unit = unit_rows(check_features(encode(texts)))
    mean = unit.reshape(len(names), len(templates), -1).mean(1)
    return unit_rows(mean)


def zero_shot(
    features: Float[np.ndarray, "item _"],
    targets: Int64[np.ndarray, " target"],
    names: Sequence[str],
    encode: Encode,
    *,
    templates: Sequence[str],
    task: str = "label",
    temperature: float = TEMPERATURE,
    num_bins: int = NUM_BINS,
) -> tuple[tuple[Record, ...], dict[str, np.ndarray]]:
    """Records and predictions of the test items, as a probe of the protocol has them.

    Args:
        features: Of the test items in the joint space, of any length.
        targets: Their class indices.
        names: Of the classes.
        encode: What encodes their descriptions; see `class_features`.
        templates: Of the descriptions.
        task: Whose labels these are.
        temperature: Probabilities are the softmax of the cosines over it; the calibration error
            alone depends on it.
        num_bins: Bins of the calibration error.

    Raises:
        ValueError: features that are not finite or of another width than the classes, another
            number of targets, or templates that do not hold a name.
    """
    classes = class_features(names, templates, encode)
    cosines = unit_rows(check_features(features, classes.shape[1])) @ classes.T
    check_labels(targets, len(cosines))
    shares = softmax(cosines / temperature, axis=1)
    records = tuple(
        record(task, PROBE, *pair, len(targets))
        for pair in measure(shares, targets, num_bins=num_bins).items()
    )
    return records, {f"{PROBE}/1.0/0": shares.argmax(1).astype(np.int16)}
