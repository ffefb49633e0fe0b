"""Linear retrieval: how much of a caption a linear map predicts from frozen features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from jaxtyping import Float
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from trivium.data.store import Store
from trivium.evaluation.checks import Features
from trivium.evaluation.pair_search import Search, drawn, pair_items
from trivium.evaluation.pairs import evaluate_scores
from trivium.evaluation.results import Evaluation
from trivium.evaluation.retrieval import cosine, rank
from trivium.types import Modality

ALPHAS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
NUM_DIRECTIONS = 256
"""Singular directions that sparse and very wide features are reduced to."""
MOST_DENSE = 4096
"""Channels up to which dense features are taken whole."""


class RidgeRetrieval:
    """Ridge regression from the features of one modality to those of another.

    Of raw features it is a control of retrieval; of frozen ones a linear probe.
    Features are standardised by the train rows; sparse ones are not, but are reduced to 256
    singular directions, as are those of more than 4,096 channels. Candidates are sorted by the
    cosine of their features to the prediction. Each direction is fitted for itself, with the alpha
    of the highest recall@5 on validation (the larger one of equals). It is called with a search and
    returns the similarities.

    Args:
        features: By modality, of every row of its part.
        store: Whose items are the pairs.
        alphas: Strengths of the penalty.
        most: Validation items of each stratum at most, as candidates are limited in the test.
        seed: Of their choice.

    Attributes:
        alphas_: The chosen alpha by the name of the direction.
        models_: The regression by the same.
    """

    def __init__(
        self,
        features: Mapping[Modality, Features],
        store: Store,
        alphas: Sequence[float] = ALPHAS,
        *,
        most: int | None = None,
        seed: int = 0,
    ) -> None:
        self.store, self.alphas, self.most, self.seed = store, sorted(alphas), most, seed
        self.alphas_: dict[str, float] = {}
        self.models_: dict[str, Ridge] = {}
        train = np.asarray(store.split("train"))
        self.features = {}
        for one, rows in features.items():
            named = np.take(store.rows(one), train)
            self.features[one] = prepare(rows, np.unique(named[named >= 0]))

    def __call__(self, search: Search) -> Float[np.ndarray, "query candidate"]:
        """Cosines of the candidates to what is predicted from the queries.

        Raises:
            ValueError: no item of train or of validation has both modalities.
        """
        if search.task not in self.models_:
            self._fit(search.first, search.second, search.task)
        return self._cosines(self.models_[search.task], search)

    def _fit(self, first: Modality, second: Modality, task: str) -> None:
        """Keep the model with the best alpha of one direction."""
        items = pair_items(self.store, first, second, "train")
        given, told = (
            self.features[one][np.take(self.store.rows(one), items)] for one in (first, second)
        )
        validation = drawn(
            self.store, first, second, split="validation", most=self.most, seed=self.seed
        )
        best = -1.0
        for alpha in self.alphas:
            model = Ridge(alpha).fit(given, told)
            ranks = [
                rank(self._cosines(model, one), one.right, one.strata).ranks for one in validation
            ]
            if (recall := float((np.concatenate(ranks) < 5).mean())) >= best:
                best, self.alphas_[task], self.models_[task] = recall, alpha, model

    def _cosines(self, model: Ridge, search: Search) -> Float[np.ndarray, "query candidate"]:
        given, told = self.features[search.first], self.features[search.second]
        return cosine(model.predict(given[search.queries]), told[search.candidates])


def prepare(features: Features, train: np.ndarray) -> Float[np.ndarray, "row channel"]:
    """Dense features standardised by the train rows; sparse and wide ones on singular directions.

    These are the first 256 of the train rows.
    """
    prepared = features
    if not sparse.issparse(features):
        prepared = StandardScaler().fit(features[train]).transform(features)
    if sparse.issparse(features) or features.shape[1] > MOST_DENSE:
        width = min(NUM_DIRECTIONS, features.shape[1] - 1, len(train))
        reduce = TruncatedSVD(width, random_state=0).fit(prepared[train])
        prepared = reduce.transform(prepared)
    return cast(np.ndarray, prepared.astype(np.float64))


def evaluate_linear_retrieval(
    features: Features,
    texts: Features,
    store: Store,
    facts: Mapping[str, Any],
    *,
    modality: Modality,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
) -> Iterator[Evaluation]:
    """Search texts by features of another modality, and the reverse, by `RidgeRetrieval`.

    The encoder needs no joint space and need not have seen a text, and what texts are compared by
    is the same for every encoder: as a linear probe, it tells encoders apart by their features
    alone. With raw features it is the control of ridge regression.

    Args:
        features: Frozen ones of every row of the part of `modality`.
        texts: Raw ones (tf-idf) of every row of the part of texts.
        store: As the rest, see `evaluate_scores`.
        facts: The modality is set here.
        modality: Whose features they are; any but text.
        checkpoint: The hash of the encoder's checkpoint.
        candidates: Of each stratum at most.
        seed: Of their choice.

    Raises:
        ValueError: the features are those of texts, or no item of train or of validation has both.
    """
    if modality == "text":
        raise ValueError("Linear retrieval searches texts by features of another modality.")
    ridge = RidgeRetrieval({modality: features, "text": texts}, store, most=candidates, seed=seed)
    own = {modality, "text"}
    for one in evaluate_scores(
        lambda search: ridge(search) if {search.first, search.second} == own else None,
        store,
        facts,
        checkpoint=checkpoint,
        candidates=candidates,
        seed=seed,
    ):
        yield replace(one, facts={**one.facts, "modality": modality})
