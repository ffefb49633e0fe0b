import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import RidgeClassifier

from trivium.data.datasets import synthetic
from trivium.data.datasets.synthetic import TEXT_FACTORS as FACTORS
from trivium.data.errors import ConfigError
from trivium.data.prepare import prepare, spec_from_config

CONFIG = {
    "name": "synthetic_text",
    "modality": "text",
    "num_train": 900,
    "num_test": 300,
    "tokenizer": {"kind": "byte"},
    "spec": {"shape": [32]},
}
CLAUSE = re.compile(r"the (\w+) (\w+) (\w+) (\w+) the (\w+)")
"""Mood, thing, time, link and another thing."""


def make(**change):
    return synthetic.parse(None, CONFIG | change, Path())


@pytest.fixture(scope="module")
def parsed():
    return make()


@pytest.fixture(scope="module")
def hidden():
    return make(visible=["mood"])


def clauses(text):
    found = [CLAUSE.fullmatch(clause) for clause in text.split(" and ")]
    assert all(found), text
    return [match.groups() for match in found]


def values_by_word(parsed, task, places):
    """The values of a factor that each word occurs with."""
    values = defaultdict(set)
    for text, label in zip(parsed.texts, parsed.labels[task], strict=True):
        for clause in clauses(text):
            for place in places:
                values[clause[place]].add(int(label))
    return values


def accuracy(parsed, task):
    """How well counts of words tell a factor of the test texts."""
    counts = CountVectorizer(token_pattern=r"\w+").fit_transform(parsed.texts)
    labels = parsed.labels[task]
    probe = RidgeClassifier().fit(counts[parsed.train], labels[parsed.train])
    return probe.score(counts[parsed.test], labels[parsed.test])


def test_it_repeats_with_its_seed(parsed):
    again, other = make(seed=0), make(seed=1)
    assert again.texts == parsed.texts
    assert all(np.array_equal(again.labels[task], parsed.labels[task]) for task in FACTORS)
    assert other.texts != parsed.texts


def test_there_are_as_many_texts_as_asked(parsed):
    assert len(parsed.texts) == 1200
    assert parsed.train.tolist() == list(range(900))
    assert parsed.test.tolist() == list(range(900, 1200))


def test_every_factor_is_a_task_and_independent(parsed):
    assert list(parsed.tasks) == ["topic", "mood", "time", "count"]
    assert {task: len(names) for task, names in parsed.tasks.items()} == {
        "topic": 5,
        "mood": 3,
        "time": 2,
        "count": 3,
    }
    for task, names in parsed.tasks.items():
        shares = np.bincount(parsed.labels[task], minlength=len(names)) / 1200
        assert np.abs(shares - 1 / len(names)).max() < 0.06
    ids = np.stack(list(parsed.labels.values()))
    assert np.abs(np.corrcoef(ids) - np.eye(len(ids))).max() < 0.12


@pytest.mark.parametrize(
    ("task", "places", "num"), [("topic", (1, 4), 40), ("mood", (0,), 12), ("time", (2,), 4)]
)
def test_a_word_of_a_factor_appears_with_one_value_only(parsed, task, places, num):
    values = values_by_word(parsed, task, places)
    assert len(values) == num
    assert all(len(found) == 1 for found in values.values())
    assert set.union(*values.values()) == set(range(len(FACTORS[task])))


def test_words_of_different_factors_differ(parsed):
    groups = [set(values_by_word(parsed, "topic", places)) for places in ((1, 4), (0,), (2,), (3,))]
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_links_tell_nothing(parsed):
    for task, names in FACTORS.items():
        links = values_by_word(parsed, task, (3,))
        assert all(found == set(range(len(names))) for found in links.values())


def test_the_number_of_clauses_is_the_count(parsed):
    nums = [len(clauses(text)) for text in parsed.texts]
    assert nums == [int(parsed.tasks["count"][label]) for label in parsed.labels["count"]]


def test_a_clause_is_about_two_things(parsed):
    assert all(clause[1] != clause[4] for text in parsed.texts for clause in clauses(text))


@pytest.mark.parametrize("task", ["topic", "mood", "time"])
def test_a_probe_on_words_finds_what_is_visible(parsed, task):
    assert accuracy(parsed, task) == 1


@pytest.mark.parametrize("task", ["topic", "time", "count"])
def test_a_hidden_factor_cannot_be_told_from_words(hidden, task):
    chance = 1 / len(FACTORS[task])
    assert accuracy(hidden, task) < chance + 3 * np.sqrt(chance * (1 - chance) / 300)
    assert accuracy(hidden, "mood") == 1


def test_hiding_keeps_the_labels(parsed, hidden):
    for task in FACTORS:
        np.testing.assert_array_equal(hidden.labels[task], parsed.labels[task])


def test_all_factors_may_be_hidden():
    nothing = make(visible=[])
    assert [task for task in FACTORS if accuracy(nothing, task) > 0.7] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visible": ["smell"]}, "unknown factor 'smell'; there are: topic, mood, time, count"),
        ({"num_train": "many"}, "num_train is 'many'; expected a number"),
        ({"seed": "x"}, "seed is 'x'; expected a number"),
        ({"spec": {"shape": [3, 32, 32]}}, r"expected \[length\]"),
    ],
)
def test_wrong_settings_are_one_clear_error(change, message):
    with pytest.raises(ConfigError, match=message):
        make(**change)


def test_the_config_holds_true_facts(yaml_config, tmp_path):
    config = yaml_config("synthetic_text")
    store = prepare(config, tmp_path / "synthetic_text")
    for task in (*store.meta.tasks, None):
        assert spec_from_config(config, task) == store.spec(task)
    assert store.spec().vocabulary == 320
