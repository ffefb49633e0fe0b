"""Who meets whom; and two ranks with half of the batch each against one process with all of it."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import pairs as small
import ranks
from trivium.objectives.pairs import Pairs
from trivium.types import BOS, EOS, PAD, ModalityInput

SCRIPT = Path(__file__).parent / "pair_ranks.py"
TRIPLE = small.spec("image", "text", "audio")


def joint(data, batch, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        part.modality: torch.nn.functional.normalize(torch.randn(batch, 8, generator=generator))
        for part in data.parts
    }


def test_all_pairs_or_the_named_ones():
    assert Pairs(TRIPLE, None).chosen == (("image", "text"), ("image", "audio"), ("text", "audio"))
    named = [["image", "text"], ["audio", "image"]]
    assert Pairs(TRIPLE, named).chosen == (("image", "text"), ("audio", "image"))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ([["image", "smell"], ["text", "audio"]], "a pair is two of image, text, audio"),
        ([["image", "image"], ["text", "audio"]], "a pair is two of"),
        ([["image", "text", "audio"]], "a pair is two of"),
        ([["image", "text"], ["text", "image"], ["text", "audio"]], "names a pair twice"),
        ([["image", "text"]], "leaves out audio"),
    ],
)
def test_wrong_pairs_are_refused(named, message):
    with pytest.raises(ValueError, match=message):
        Pairs(TRIPLE, named)


def test_padding_does_not_change_a_text_s_hash_and_each_of_its_ids_does():
    pairs = Pairs(small.spec("image", "text"), None)
    ids = torch.tensor([[BOS, 7, 8, EOS], [BOS, 8, 7, EOS], [BOS, 7, EOS, PAD], [BOS, 7, 8, 9]])
    valid = ids != PAD
    longer = torch.nn.functional.pad(ids, (0, 5), value=PAD)
    found = pairs.hash(ModalityInput(ids, valid))
    assert len(set(found.tolist())) == 4
    assert torch.equal(pairs.hash(ModalityInput(longer, longer != PAD)), found)
    assert torch.equal(pairs.hash(ModalityInput(longer)), found)
    # What stands where a text is not valid is not part of it.
    noise = longer.masked_fill(longer == PAD, 33)
    assert torch.equal(pairs.hash(ModalityInput(noise, longer != PAD)), found)


def test_every_run_and_rank_hashes_alike():
    first, second = (Pairs(TRIPLE, None).keys for _ in range(2))
    assert torch.equal(first, second)
    assert len(first) == 12
    assert (first % 2 == 1).all()
    assert first[0] == 4762894746759899085  # in every process


def test_many_texts_have_many_hashes():
    pairs = Pairs(small.spec("image", "text"), None)
    ids = torch.cartesian_prod(*[torch.arange(4, 18)] * 4)  # 38416 texts of four ids
    assert len(pairs.hash(ModalityInput(ids)).unique()) == len(ids)


def test_texts_are_the_same_if_they_were_before_a_view_left_tokens_out():
    ids = torch.tensor([[BOS, 7, 8, EOS], [BOS, 7, EOS, PAD], [BOS, 7, EOS, PAD]])
    whole = ids[[0, 0, 1]]
    senses = {
        "image": ModalityInput(torch.rand(3, 3, 16, 16)),
        "text": ModalityInput(ids, ids != PAD, None, whole),
    }
    joint = {one: torch.eye(3) for one in senses}
    (match,) = Pairs(small.spec("image", "text"), None).match(joint, senses)
    alike = torch.tensor([[1, 0, 1], [0, 1, 1], [1, 1, 1]]).bool()
    assert torch.equal(match.candidates, alike)
    (match,) = Pairs(small.spec("image", "text"), None).match(
        joint, senses | {"text": ModalityInput(ids, ids != PAD)}
    )
    assert torch.equal(match.candidates, torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 1]]).bool())


def test_candidates_have_both_modalities_and_another_text():
    there = {
        "image": [True, True, True, True, True, False],
        "text": [True, True, True, False, False, True],
        "audio": [True, True, False, True, True, True],
    }
    senses = small.senses(TRIPLE, 6, present=there)
    text = senses["text"]
    for row in (1, 3, 4):  # of these 1 alone has a text, the one of 0
        text.values[row], text.valid[row] = text.values[0], text.valid[0]
    matches = Pairs(TRIPLE, None).match(joint(TRIPLE, 6), senses)
    image_text, image_audio, text_audio = matches
    itself = torch.eye(6, dtype=torch.bool)

    def among(*rows):
        mask = torch.zeros(6, 6, dtype=torch.bool)
        for row, others in enumerate(rows):
            mask[row, others] = True
        return mask | itself

    every = [[2], [2], [0, 1]]
    assert torch.equal(image_text.candidates[:3], among(*every)[:3])
    assert torch.equal(image_audio.candidates[[0, 1, 3, 4]], among(
        [3, 4], [3, 4], [], [0, 1, 4], [0, 1, 3]
    )[[0, 1, 3, 4]])  # fmt: skip
    assert torch.equal(text_audio.candidates[[0, 1, 5]], among(
        [5], [5], [], [], [], [0, 1]
    )[[0, 1, 5]])  # fmt: skip
    expected = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 1, 0], [1, 1, 0, 0, 0, 1]]) / 9
    expected[1] *= 9 / 12
    torch.testing.assert_close(torch.stack([match.weight for match in matches]), expected)


def test_pairs_without_two_samples_do_not_count():
    alone = {"text": [True, False, False, False], "audio": [True, True, False, True]}
    matches = Pairs(TRIPLE, None).match(joint(TRIPLE, 4), small.senses(TRIPLE, 4, present=alone))
    assert [match.weight.sum().item() for match in matches] == pytest.approx([0, 1, 0])
    assert torch.equal(matches[1].weight, torch.tensor([1, 1, 0, 1]) / 3)


def test_a_modality_is_encoded_once():
    data = small.spec("image", "text", "audio")
    encoder, calls = small.towers(data), []
    for one in encoder.modalities:
        encoder.tower(one).register_forward_hook(lambda *_, one=one: calls.append(one))
    matches = Pairs(data, None)(encoder, small.senses(data, 4))
    assert calls == ["image", "text", "audio"]
    assert torch.equal(matches[0].second, matches[2].first)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    return ranks.start(SCRIPT, tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def one_process():
    return runpy.run_path(str(SCRIPT))["outcome"](slice(0, 8), lambda values: None)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["clip", "siglip"])
@pytest.mark.parametrize("what", ["terms", "gradient"])
def test_two_ranks_learn_what_one_process_learns(two_ranks, one_process, objective, what):
    expected = one_process[f"{objective}_{what}"]
    largest = np.abs(expected).max()
    assert largest > 0.01
    near = 2e-6 * max(largest, 1)  # sums in float32, in another order on every machine
    for rank in two_ranks:
        np.testing.assert_allclose(rank[f"{objective}_{what}"], expected, rtol=1e-4, atol=near)
