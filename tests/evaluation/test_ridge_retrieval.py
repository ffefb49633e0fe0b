"""Against the solution of the normal equations, and NumPy's SVD."""

import numpy as np
import pytest
from scipy import sparse

from pair_store import PairStore
from trivium.evaluation.linear_retrieval import RidgeRetrieval, prepare
from trivium.evaluation.pair_search import drawn, search
from trivium.evaluation.pairs import evaluate_scores
from trivium.evaluation.retrieval import rank

NUM_ITEMS = 240
SPLITS = {"train": range(140), "validation": range(140, 180), "test": range(180, NUM_ITEMS)}


def linear(noise=0.3):
    """Pictures and sounds that are linear maps of each other, in noise."""
    generator = np.random.default_rng(0)
    rows = {one: generator.permutation(NUM_ITEMS) for one in ("image", "audio")}
    factors = generator.normal(size=(NUM_ITEMS, 5))
    features = {}
    for one, width in (("image", 12), ("audio", 9)):
        features[one] = np.empty((NUM_ITEMS, width))
        mixed = factors @ generator.normal(size=(5, width))
        features[one][rows[one]] = mixed + noise * generator.normal(size=mixed.shape) + 4
    return PairStore(rows, SPLITS), features


@pytest.mark.parametrize(("first", "second"), [("image", "audio"), ("audio", "image")])
def test_it_is_ridge_regression_of_standardised_features(first, second):
    shop, features = linear()
    wanted = search(shop, first, second)
    found = RidgeRetrieval(features, shop, [3.0])(wanted)
    given, told = features[first][shop.rows(first)], features[second][shop.rows(second)]
    train, test = np.array(shop.split("train")), np.array(shop.split("test"))
    given, told = ((x - x[train].mean(0)) / x[train].std(0) for x in (given, told))
    gram = given[train].T @ given[train] + 3 * np.eye(given.shape[1])
    predicted = given[test] @ np.linalg.solve(gram, given[train].T @ told[train])
    expected = predicted @ told[test].T
    expected /= np.linalg.norm(predicted, axis=1)[:, None] * np.linalg.norm(told[test], axis=1)
    of_item = {row: i for i, row in enumerate(shop.rows(first)[test])}
    columns = {row: i for i, row in enumerate(shop.rows(second)[test])}
    order = [of_item[row] for row in wanted.queries], [columns[r] for r in wanted.candidates]
    np.testing.assert_allclose(found, expected[np.ix_(*order)], atol=1e-8)


def test_pairs_that_belong_together_are_found():
    shop, features = linear()
    for one in evaluate_scores(RidgeRetrieval(features, shop), shop, {}, checkpoint=""):
        recall, chance = (record["value"] for record in one.records[1:6:4])
        assert chance == pytest.approx(5 / 60)
        assert recall > 0.8


def test_validation_chooses_alpha_and_the_larger_of_equals():
    shop, features = linear(noise=1.5)
    alphas = [1e-2, 1.0, 10.0, 1e6]
    wanted, held_out = (search(shop, "image", "audio", split=s) for s in ("test", "validation"))
    control = RidgeRetrieval(features, shop, alphas[::-1])
    found = control(wanted)
    recalls = []
    for alpha in alphas:
        ranks = rank(RidgeRetrieval(features, shop, [alpha])(held_out), held_out.right)
        recalls.append((ranks.ranks < 5).mean())
    best = max(
        alpha for alpha, recall in zip(alphas, recalls, strict=True) if recall == max(recalls)
    )
    assert min(recalls) < max(recalls)
    assert control.alphas_ == {"image to audio": best}
    np.testing.assert_array_equal(found, RidgeRetrieval(features, shop, [best])(wanted))


def test_sparse_features_are_reduced_and_dense_ones_standardised():
    generator = np.random.default_rng(1)
    table = sparse.random_array((80, 300), density=0.1, rng=generator, format="csr")
    train = np.arange(60)
    found = prepare(table, train)
    assert found.shape == (80, 60)
    exact = np.linalg.svd(table[train].toarray(), full_matrices=False)[2]
    expected = table.toarray() @ exact.T  # of all rows, on the train rows' directions
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-6)
    dense = prepare(table.toarray()[:, :4], train)
    np.testing.assert_allclose(dense[train].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(dense[train].std(0), 1)


def test_very_wide_features_are_reduced(monkeypatch):
    monkeypatch.setattr("trivium.evaluation.linear_retrieval.MOST_DENSE", 10)
    monkeypatch.setattr("trivium.evaluation.linear_retrieval.NUM_DIRECTIONS", 4)
    features = np.random.default_rng(4).normal(size=(50, 12)) * 0.7 ** np.arange(12) + 2
    train = np.arange(30)
    standard = (features - features[train].mean(0)) / features[train].std(0)
    exact = np.linalg.svd(standard[train])[2][:4].T
    found, expected = prepare(features, train), standard @ exact
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-6)
    assert prepare(features[:, :10].astype(np.float32), train).shape == (50, 10)


def test_words_find_pictures():
    """A caption names the brightest pixel."""
    generator = np.random.default_rng(2)
    named = generator.integers(0, 20, NUM_ITEMS)
    pixels = generator.random((NUM_ITEMS, 20))
    pixels[np.arange(NUM_ITEMS), named] += 2
    words = sparse.csr_array(np.eye(20)[named])
    rows = {"image": np.arange(NUM_ITEMS), "text": np.arange(NUM_ITEMS)}
    shop = PairStore(rows, SPLITS, texts=[f"pixel {one}" for one in named])
    features = {"image": pixels, "text": words}
    for one in evaluate_scores(RidgeRetrieval(features, shop), shop, {}, checkpoint=""):
        assert one.records[1]["value"] > 0.9


def test_alpha_is_chosen_over_all_draws_and_once():
    shop, features = linear(noise=2.0)
    shop = PairStore(
        {one: shop.rows(one) for one in features}, SPLITS, groups=np.arange(NUM_ITEMS) // 3
    )
    alphas = [1e-2, 10.0, 1e3, 1e6]
    control = RidgeRetrieval(features, shop, alphas, most=12)
    first, second = drawn(shop, "image", "audio", most=12)[:2]
    control(first)
    model = control.models_["image to audio"]
    control(second)
    assert control.models_["image to audio"] is model
    held_out = drawn(shop, "image", "audio", split="validation", most=12)
    assert len(held_out) == 5
    recalls = []
    for alpha in alphas:
        one = RidgeRetrieval(features, shop, [alpha], most=12)
        found = [(rank(one(search), search.right).ranks < 5).mean() for search in held_out]
        recalls.append(np.mean(found))
    assert control.alphas_["image to audio"] == alphas[int(np.argmax(recalls))]
    assert len(set(recalls)) == len(recalls)
