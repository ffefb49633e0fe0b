"""What is shown of a search: evenly spread queries, and their most similar candidates."""

import base64
import io

import numpy as np
from PIL import Image

from trivium.evaluation.examples import NUM_QUERIES, examples, shown
from trivium.evaluation.pair_search import search
from trivium.evaluation.results import Evaluation, read_evaluation, write_evaluation
from trivium.evaluation.retrieval import cosine, rank

from .test_pairs import NUM_ITEMS, joint, store


class Pictures:
    class meta:  # noqa: N801
        modality = "image"

    @staticmethod
    def column(name):
        assert name == "image"
        return np.random.default_rng(0).integers(0, 256, (NUM_ITEMS, 3, 4, 4), dtype=np.uint8)


def shop(**settings):
    found = store(**settings)
    part = found.part
    found.part = lambda modality: Pictures() if modality == "image" else text(part("text"))
    return found


def text(part):
    part.meta = type("Meta", (), {"modality": "text"})
    return part


def test_a_perfect_space_shows_the_right_candidate_first():
    asked = search(shop(), "image", "text")
    found = examples(joint(shop()), shop(), asked)
    assert len(found) == NUM_QUERIES
    for one in found:
        assert one["rank"] == 1
        assert [other["right"] for other in one["found"]] == [True, *[False] * 4]
        similar = [other["similarity"] for other in one["found"]]
        assert similar == sorted(similar, reverse=True)
        assert all(other["text"].startswith("text ") for other in one["found"])


def test_the_rank_is_that_of_the_search_within_its_stratum():
    noisy = joint(shop(), noise=3.0)
    asked = search(shop(), "text", "image")
    similarity = cosine(noisy["text"][asked.queries], noisy["image"][asked.candidates])
    ranks = rank(similarity, asked.right, asked.strata)
    places = np.linspace(0, len(asked.queries) - 1, NUM_QUERIES).round().astype(int)
    found = examples(noisy, shop(), asked)
    assert [one["rank"] - 1 for one in found] == ranks.ranks[places].tolist()
    assert max(one["rank"] for one in found) > 1


def test_a_picture_is_a_png_of_its_pixels():
    uri = shown(Pictures(), 3)["image"]
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels, Pictures.column("image")[3].transpose(1, 2, 0))


def test_examples_are_kept_with_the_evaluation(tmp_path):
    kept = ({"query": {"text": "ü"}, "found": [], "rank": 2},)
    evaluation = Evaluation("2", "abc", {}, (), {"labels": np.zeros(1)}, None, kept)
    write_evaluation(evaluation, tmp_path)
    assert read_evaluation(tmp_path).examples == kept
    write_evaluation(Evaluation("2", "abc", {}, (), {"labels": np.zeros(1)}), tmp_path)
    assert read_evaluation(tmp_path).examples == ()
