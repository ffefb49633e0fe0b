"""The k-nearest-neighbours probe on cosine similarity."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from trivium.evaluation.checks import (
    Features,
    Labels,
    check_ascending,
    check_features,
    check_labels,
    class_indices,
    stacked,
    training_classes,
)
from trivium.evaluation.solver import torch_threads

CHUNK = 256


class KNNProbe:
    """Weighted vote of the nearest training items by cosine similarity.

    A neighbour of similarity s votes for its class with weight `exp(s / temperature)` (Wu et al.
    2018, 1805.01978, Sec. 3.4). With a validation set, k is the one of the highest validation
    accuracy (the smaller one in a tie), and the validation items then become neighbours too.
    A k above the number of training items is dropped. Features are dense or sparse.

    Args:
        neighbours: Values of k, ascending.
        temperature: Softness of the vote.

    Attributes:
        k_: The chosen k; without validation the largest usable one.
        classes_: Sorted labels.
        validation_scores_: Validation accuracy of each usable k; empty without validation.
        neighbours_: The usable values of k.
    """

    def __init__(
        self, neighbours: Sequence[int] = (1, 5, 20, 200), *, temperature: float = 0.07
    ) -> None:
        check_ascending("neighbours", neighbours)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.neighbours = tuple(neighbours)
        self.temperature = temperature

    def fit(
        self,
        features: Features,
        labels: Labels,
        *,
        validation: tuple[Features, Labels] | None = None,
    ) -> "KNNProbe":
        """Keep the items; with validation, choose k and keep its items as well.

        Raises:
            ValueError: features that are not finite, lengths that do not match, fewer than two
                classes, a validation label that no training item has, or no usable k.
        """
        features = check_features(features)
        num_items, width = features.shape
        labels = check_labels(labels, num_items)
        self.classes_ = training_classes(labels)
        self.neighbours_ = tuple(k for k in self.neighbours if k <= num_items)
        if not self.neighbours_:
            raise ValueError(f"no k of {self.neighbours} fits {num_items} training items")
        self.k_, self.validation_scores_ = self.neighbours_[-1], np.empty(0)
        self._items = directions(features)
        self._targets = torch.from_numpy(class_indices(labels, self.classes_))
        if validation is not None:
            held_out = check_features(validation[0], width)
            labels = check_labels(validation[1], held_out.shape[0])
            targets = class_indices(labels, self.classes_)
            votes = self._votes(held_out, self.neighbours_)
            hits = votes.argmax(2) == torch.from_numpy(targets)
            self.validation_scores_ = hits.double().mean(1).numpy()
            self.k_ = self.neighbours_[int(np.argmax(self.validation_scores_))]
            self._items = stacked(self._items, directions(held_out))
            self._targets = torch.cat([self._targets, torch.from_numpy(targets)])
        return self

    def predict(self, features: Features) -> np.ndarray:
        """The class with the most votes for each item."""
        predictions: np.ndarray = self.classes_[self.predict_proba(features).argmax(1)]
        return predictions

    def predict_proba(self, features: Features) -> Float[np.ndarray, "item class"]:
        """Shares of the vote in the order of `classes_`."""
        features = check_features(features, self._items.shape[1])
        shares: np.ndarray = self._votes(features, (self.k_,))[0].numpy()
        return shares

    @property
    def chosen_(self) -> dict[str, float]:
        """The hyperparameter that validation chose."""
        return {"k": self.k_}

    @property
    def validation_(self) -> dict[str, float]:
        """What it reached on validation, before the validation items became neighbours."""
        return {"accuracy": float(self.validation_scores_.max())}

    @torch_threads()
    def _votes(
        self, features: Features, neighbours: Sequence[int]
    ) -> Float[Tensor, "k item class"]:
        """Shares of the vote for several k, from one sorted list of neighbours."""
        num_classes, parts = len(self.classes_), []
        for block in similarities(directions(features), self._items):
            similarity, index = _nearest(block, max(neighbours))
            weights = ((similarity - similarity[:, :1]).double() / self.temperature).exp()
            targets = self._targets[index]
            votes = [
                weights.new_zeros(len(block), num_classes).scatter_add_(
                    1, targets[:, :k], weights[:, :k]
                )
                for k in neighbours
            ]
            parts.append(torch.stack(votes))
        counted = torch.cat(parts, 1)
        return counted / counted.sum(2, keepdim=True)


def directions(features: Features) -> Features:
    """Features scaled to unit length, in single precision; a row of zeros stays one."""
    if isinstance(features, np.ndarray):
        single = torch.from_numpy(features.astype(np.float32))
        return torch.nn.functional.normalize(single, dim=1).numpy()
    norms = sparse.linalg.norm(features, axis=1)
    inverse = np.divide(1, norms, out=np.zeros(len(norms)), where=norms > 0)
    return sparse.csr_array(sparse.diags_array(inverse) @ features).astype(np.float32)


def similarities(queries: Features, items: Features) -> Iterator[Float[Tensor, "query item"]]:
    """The similarity of all items to a few queries at a time; each block replaces the last."""
    starts = range(0, queries.shape[0], CHUNK)
    if isinstance(items, np.ndarray):
        # A product into memory that is used again: several times as fast as a new tensor.
        memory = np.empty((min(CHUNK, len(queries)), len(items)), np.float32)
        for first in starts:
            some = queries[first : first + CHUNK]
            yield torch.from_numpy(np.matmul(some, items.T, out=memory[: len(some)]))
        return
    across = items.T.tocsr()
    for first in starts:
        yield torch.from_numpy((queries[first : first + CHUNK] @ across).toarray())


def _nearest(
    similarity: Float[Tensor, "query item"], k: int
) -> tuple[Float[Tensor, "query k"], Int64[Tensor, "query k"]]:
    """The k largest of each row, sorted; many columns are first reduced to groups.

    The k largest values lie in the k groups with the largest maxima, so only those are sorted.
    Groups of `sqrt(num_items / k)` make as many groups as candidates.
    """
    num_items = similarity.shape[1]
    size = int((num_items / k) ** 0.5)
    if size < 3:
        top = similarity.topk(k)
        return top.values, top.indices
    width = num_items // size
    grouped = similarity[:, : width * size].reshape(len(similarity), size, width)
    groups = grouped.amax(1).topk(k, sorted=False).indices
    offsets = torch.arange(0, width * size, width, device=similarity.device)
    candidates = (groups[:, :, None] + offsets).flatten(1)
    rest = torch.arange(width * size, num_items, device=similarity.device)
    candidates = torch.cat([candidates, rest.expand(len(similarity), -1)], 1)
    top = similarity.gather(1, candidates).topk(k)
    return top.values, candidates.gather(1, top.indices)
