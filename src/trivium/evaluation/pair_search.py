"""Which rows of one modality are asked for which rows of another."""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from scipy import sparse

from trivium.data.store import Store
from trivium.evaluation.retrieval import Pairs, Strata
from trivium.types import Modality, parts_of

NUM_DRAWS = 5
"""Draws of one item of each group, as many as of labels."""


class Search(NamedTuple):
    """Retrieval in one direction.

    `queries` and `candidates` are rows of the parts `first` and `second`, each once for every
    stratum in which an item names it; `right` are the candidates that an item names together with
    a query; equal texts count as one. `groups` (from 0) are those of the queries.
    """

    first: Modality
    second: Modality
    queries: Int64[np.ndarray, " query"]
    candidates: Int64[np.ndarray, " candidate"]
    right: Pairs
    strata: Strata | None
    groups: Int64[np.ndarray, " query"] | None

    @property
    def task(self) -> str:
        """Its name."""
        return f"{self.first} to {self.second}"


def directions(store: Store, split: str = "test") -> list[tuple[Modality, Modality]]:
    """The ordered pairs of modalities that an item of the split has, all to be searched."""
    ordered = permutations(parts_of(store.meta.modality), 2)
    return [pair for pair in ordered if len(pair_items(store, *pair, split))]


def drawn(
    store: Store,
    first: Modality,
    second: Modality,
    *,
    split: str = "test",
    most: int | None = None,
    seed: int = 0,
    draws: int = NUM_DRAWS,
) -> list[Search]:
    """A search of every draw, with queries of the same groups in the same order.

    It is one alone where there is nothing to draw, because `most` is None or every group has a
    single item in its stratum.

    Raises:
        ValueError: Items of different groups name the same row, or as `search`.
    """
    found = [
        search(store, first, second, split=split, most=most, seed=seed, draw=draw)
        for draw in range(draws)
    ]
    one = found[0]
    if all(
        np.array_equal(other.queries, one.queries)
        and np.array_equal(other.candidates, one.candidates)
        for other in found
    ):
        return [one]
    if not all(np.array_equal(np.asarray(other.groups), np.asarray(one.groups)) for other in found):
        raise ValueError(
            f"items of different groups of {store.meta.name} name the same {first}: put what "
            "shares a row into one group"
        )
    return found


def search(
    store: Store,
    first: Modality,
    second: Modality,
    *,
    split: str = "test",
    most: int | None = None,
    seed: int = 0,
    draw: int = 0,
) -> Search:
    """The queries and candidates of the items of a split that have both modalities.

    Args:
        store: A store of several modalities.
        first: The modality of the queries.
        second: The modality of the candidates.
        split: Whose items.
        most: So many groups of each stratum at most, chosen by `seed`, the same for both
            directions; of each of them one item alone, so that no near copy of the right answer
            competes with it.
        seed: Of that choice.
        draw: Which item of each group.

    Raises:
        ValueError: No item of the split has both.
    """
    items = pair_items(store, first, second, split)
    if len(items) == 0:
        raise ValueError(f"no item of {split} has both {first} and {second}")
    strata = store.strata()
    stratum = np.zeros(len(items), np.int64) if strata is None else np.take(strata, items)
    if most is not None:
        chosen = _draw(stratum, _groups(store, items), most, [seed, draw])
        items, stratum = items[chosen], stratum[chosen]
    queries, candidates = (_Side.of(store, one, items, stratum) for one in (first, second))
    ones = np.ones(len(items), bool)
    linked = sparse.csr_array((ones, (queries.content, candidates.content)))
    rows = linked[queries.content[queries.items]]
    right = rows[:, candidates.content[candidates.items]].tocoo().coords
    groups = store.groups()
    if groups is not None:
        groups = np.unique(np.take(groups, items[queries.items]), return_inverse=True)[1]
    return Search(
        first,
        second,
        queries.rows,
        candidates.rows,
        (right[0].astype(np.int64), right[1].astype(np.int64)),
        None if strata is None else (stratum[queries.items], stratum[candidates.items]),
        None if groups is None else groups.astype(np.int64),
    )


def pair_items(
    store: Store, first: Modality, second: Modality, split: str
) -> Int64[np.ndarray, " item"]:
    """The items of a split that have both modalities."""
    items = np.asarray(store.split(split), np.int64)
    both = (np.take(store.rows(first), items) >= 0) & (np.take(store.rows(second), items) >= 0)
    return items[both]


def _groups(store: Store, items: np.ndarray) -> Int64[np.ndarray, " item"]:
    """What each item belongs to: itself, if the store has no groups."""
    groups = store.groups()
    return items if groups is None else np.take(groups, items).astype(np.int64)


class _Side(NamedTuple):
    """Distinct rows of one modality, an item that names each, and a content of each item.

    They are sorted by stratum and group, so that all draws of a choice have the same order.
    """

    rows: np.ndarray
    items: np.ndarray
    content: np.ndarray

    @classmethod
    def of(cls, store: Store, one: Modality, items: np.ndarray, stratum: np.ndarray) -> "_Side":
        named = np.take(store.rows(one), items)
        content = named
        if one == "text":
            texts = np.array(store.part(one).texts(named))
            content = np.unique(texts, return_inverse=True)[1]
        first = np.unique(np.stack([stratum, named]), axis=1, return_index=True)[1]
        owner = _groups(store, items)[first]
        first = first[np.lexsort((named[first], owner, stratum[first]))]
        same = np.unique(np.stack([stratum, content]), axis=1, return_inverse=True)[1]
        return cls(named[first].astype(np.int64), first, same.ravel())


def _draw(
    stratum: np.ndarray, group: np.ndarray, most: int, seed: Sequence[int]
) -> Int64[np.ndarray, " chosen"]:
    """One item of each chosen group of a stratum: `seed` is of that choice and of the item."""
    choice, draw = seed
    order = np.random.default_rng([choice, draw]).permutation(len(stratum))
    pairs = np.stack([stratum[order], group[order]])
    units, first = np.unique(pairs, axis=1, return_index=True)
    places = np.random.default_rng(choice).permutation(len(first))
    kept = [places[units[0, places] == one][:most] for one in np.unique(stratum)]
    return np.sort(order[first[np.concatenate(kept)]]).astype(np.int64)
