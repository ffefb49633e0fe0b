"""Controls: the terms of a text, the duration of a clip, retrieval by raw features."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression

from trivium.data.store import Store
from trivium.evaluation.checks import Features
from trivium.evaluation.linear_retrieval import RidgeRetrieval
from trivium.evaluation.pair_search import Search, pair_items
from trivium.evaluation.pairs import Scores, evaluate_scores
from trivium.evaluation.results import Evaluation
from trivium.types import Modality, parts_of

FEWEST = 10
"""Train pairs that a stratum needs for a line of its own."""


class DurationControl:
    """How well the length of a caption finds a clip: by its duration alone.

    The logarithm of a clip's duration is predicted from the number of the caption's characters and
    its logarithm, by linear regression on the train pairs of each stratum (of all strata, if it has
    fewer than ten). The smaller the difference to the true one, the more similar are the two. It
    is called with a search and returns the similarities, or None where it is not one between text
    and audio.

    Args:
        store: Whose items are the pairs.
        durations: Of each row of audio, in any unit.

    Raises:
        ValueError: a clip has no duration.
    """

    def __init__(self, store: Store, durations: Shaped[np.ndarray, " row"]) -> None:
        if not (durations > 0).all():
            raise ValueError("durations must be above zero")
        self.store, self.log_durations = store, np.log(durations.astype(np.float64))

    def __call__(self, search: Search) -> Float[np.ndarray, "query candidate"] | None:
        """The negative difference of the logarithms of the predicted and the true durations."""
        if {search.first, search.second} != {"text", "audio"}:
            return None
        rows = (search.queries, search.candidates)
        strata = search.strata or tuple(np.zeros(len(one), np.int64) for one in rows)
        sides = [
            self.log_durations[own] if one == "audio" else self._predicted(own, of_rows)
            for one, own, of_rows in zip((search.first, search.second), rows, strata, strict=True)
        ]
        similarity: np.ndarray = -np.abs(sides[0][:, None] - sides[1])
        return similarity

    def _predicted(self, rows: np.ndarray, strata: np.ndarray) -> Float[np.ndarray, " row"]:
        """The predicted logarithms of the durations of some captions."""
        items = pair_items(self.store, "text", "audio", "train")
        of_items = self.store.strata()
        own = np.zeros(len(items), np.int64) if of_items is None else np.take(of_items, items)
        lengths = self._lengths(np.take(self.store.rows("text"), items))
        durations = self.log_durations[np.take(self.store.rows("audio"), items)]
        predicted = np.empty(len(rows))
        for one in np.unique(strata):
            chosen = own == one if (own == one).sum() >= FEWEST else slice(None)
            line = LinearRegression().fit(lengths[chosen], durations[chosen])
            predicted[strata == one] = line.predict(self._lengths(rows[strata == one]))
        return predicted

    def _lengths(self, rows: np.ndarray) -> Float[np.ndarray, "row 2"]:
        """Characters of captions, and their logarithm."""
        lengths = np.array([len(text) for text in self.store.part("text").texts(rows)], float)
        return np.stack([lengths, np.log(lengths)], axis=1)


def evaluate_controls(
    features: Mapping[Modality, Features],
    store: Store,
    facts: Mapping[str, Any],
    *,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
) -> Iterator[Evaluation]:
    """`evaluate_scores` of ridge regression, and of durations where there are texts and audio.

    `features` are raw ones by modality, of every row of its part (see `RidgeRetrieval`); the
    objective of `facts` becomes `ridge` or `duration`.
    """
    controls: dict[str, Scores] = {
        "ridge": RidgeRetrieval(features, store, most=candidates, seed=seed)
    }
    if {"text", "audio"} <= set(parts_of(store.meta.modality)):
        controls["duration"] = DurationControl(store, store.part("audio").lengths("wave"))
    for name, scores in controls.items():
        yield from evaluate_scores(
            scores,
            store,
            {**facts, "objective": name},
            checkpoint=checkpoint,
            candidates=candidates,
            seed=seed,
        )


NAME = "tfidf"


def features(store: Store) -> sparse.csr_array:
    """tf-idf of the words of every text [item, word], each row of unit length.

    Words are runs of two or more letters or digits, in lower case; a word's weight is its count
    times `ln((1 + texts) / (1 + texts with it)) + 1`, scikit-learn's default. Words and weights
    are those of the train split; a text without any known word is a row of zeros.
    """
    words = TfidfVectorizer().fit(store.texts(store.split("train")))
    return sparse.csr_array(words.transform(store.texts(np.arange(store.num_items))))
