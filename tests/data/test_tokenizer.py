import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.data.errors import ConfigError
from trivium.data.tokenizer import decode, encode_all, load_tokenizer, token_bytes, train_tokenizer
from trivium.types import BOS, EOS, MASK, PAD, SPECIAL_TOKENS

TEXTS = (
    "The whale swam; the whales swam on.",
    "A ship's whale-boat: 12 men, 3 oars!",
    "Où est la baleine ? 鯨はどこ。 🐳🐳",
    "  two blanks,\ttabs\r\nand\n\nline breaks  ",
)
BYTES = {"bpe": {"kind": "bpe", "vocabulary": 300}, "byte": {"kind": "byte"}}
KINDS = BYTES | {"character": {"kind": "character"}}
CHARACTERS = "".join(sorted({character for text in TEXTS for character in text}))


@pytest.fixture(scope="module")
def lower():
    return {
        kind: train_tokenizer(chosen | {"lowercase": True}, TEXTS) for kind, chosen in KINDS.items()
    }


def named(ids):
    return pytest.mark.parametrize("kind", ids)


@pytest.fixture(scope="module")
def trained():
    return {kind: train_tokenizer(chosen, TEXTS) for kind, chosen in KINDS.items()}


def ids_of(tokenizer, text):
    return encode_all(tokenizer, [text])[0].tolist()


@named(BYTES)
@given(text=st.text())
def test_any_text_comes_back(trained, kind, text):
    assert decode(trained[kind], ids_of(trained[kind], text)) == text


@given(st.text(CHARACTERS))
def test_a_text_of_known_characters_comes_back(trained, text):
    assert decode(trained["character"], ids_of(trained["character"], text)) == text


@named(BYTES)
@given(text=st.text())
def test_bytes_of_the_tokens_sum_to_those_of_any_text(trained, kind, text):
    tokenizer = trained[kind]
    assert token_bytes(tokenizer)[ids_of(tokenizer, text)].sum() == len(text.encode())


@given(st.text(CHARACTERS))
def test_bytes_of_characters_sum_to_those_of_the_text(trained, text):
    tokenizer = trained["character"]
    assert token_bytes(tokenizer)[ids_of(tokenizer, text)].sum() == len(text.encode())


@named(KINDS)
def test_special_tokens_come_first_and_stand_for_no_bytes(trained, kind):
    names = [trained[kind].id_to_token(number) for number in range(4)]
    assert tuple(names) == SPECIAL_TOKENS == ("[PAD]", "[BOS]", "[EOS]", "[MASK]")
    assert (PAD, BOS, EOS, MASK) == (0, 1, 2, 3)
    counts = token_bytes(trained[kind])
    assert counts.shape == (trained[kind].get_vocab_size(),)
    assert (counts[:4] == 0).all()
    assert (counts[4:] > 0).all()


@named(KINDS)
def test_special_tokens_are_left_out_of_a_decoded_text(trained, kind):
    ids = ids_of(trained[kind], "ship")
    assert decode(trained[kind], [BOS, MASK, *ids[1:-1], EOS, PAD, PAD]) == "ship"


@named(KINDS)
@given(text=st.lists(st.sampled_from([*SPECIAL_TOKENS, "a", " "])).map("".join))
def test_the_names_of_special_tokens_are_text_like_any_other(trained, kind, text):
    ids = ids_of(trained[kind], text)
    assert (ids[0], ids[-1]) == (BOS, EOS)
    assert all(number > MASK for number in ids[1:-1])


@named(BYTES)
def test_names_of_special_tokens_in_what_it_is_trained_on_stay_text(kind):
    tokenizer = train_tokenizer(BYTES[kind], ["[MASK] [MASK][PAD] [BOS]"] * 9)
    ids = ids_of(tokenizer, "[MASK][PAD]")
    assert min(ids[1:-1]) > MASK
    assert decode(tokenizer, ids) == "[MASK][PAD]"


def test_a_loaded_tokenizer_takes_special_names_for_text_too(trained):
    ids = ids_of(load_tokenizer(trained["bpe"].to_str()), "[MASK]")
    assert min(ids[1:-1]) > MASK


@named(KINDS)
@given(texts=st.lists(st.text(CHARACTERS), max_size=5))
def test_every_row_begins_and_ends_and_fits_its_offsets(trained, kind, texts):
    flat, offsets = encode_all(trained[kind], texts)
    assert flat.dtype == np.uint16
    assert (offsets[0], offsets[-1], len(offsets)) == (0, len(flat), len(texts) + 1)
    for text, start, end in zip(texts, offsets[:-1], offsets[1:], strict=True):
        row = flat[start:end].tolist()
        assert (row[0], row[-1]) == (BOS, EOS)
        assert row == ids_of(trained[kind], text)
        assert decode(trained[kind], row[1:-1]) == text


def test_bytes_and_characters_are_one_id_each(trained):
    text = TEXTS[2]
    assert len(ids_of(trained["byte"], text)) == len(text.encode()) + 2
    assert len(ids_of(trained["character"], text)) == len(text) + 2
    assert trained["byte"].get_vocab_size() == 256 + 4


def test_pairs_shorten_texts(trained):
    lengths = {kind: len(ids_of(trained[kind], TEXTS[0])) for kind in BYTES}
    assert lengths["bpe"] < 0.7 * lengths["byte"]
    assert trained["bpe"].get_vocab_size() == 300


def test_the_pairs_are_those_of_the_papers_example():
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    vocabulary = train_tokenizer({"kind": "bpe", "vocabulary": 264}, texts).get_vocab()
    assert {token for token in vocabulary if vocabulary[token] >= 260} >= {"est", "low"}
    assert len(vocabulary) == 264


def test_pairs_stay_within_words():
    """As in GPT-2: no token joins two words, or a word with a mark."""
    tokenizer = train_tokenizer({"kind": "bpe", "vocabulary": 300}, ["the whale! the whale!"] * 9)
    learnt = {decode(tokenizer, [number]) for number in range(260, tokenizer.get_vocab_size())}
    assert {"the", " the", " whale"} <= learnt
    assert all(part.strip().isalpha() and " " not in part[1:] for part in learnt)


@pytest.mark.parametrize(("more", "dtype"), [(0, np.uint16), (1, np.uint32)])
def test_ids_are_as_wide_as_the_vocabulary_asks(more, dtype):
    characters = [chr(0x10000 + number) for number in range(2**16 - 5 + more)]
    tokenizer = train_tokenizer({"kind": "character"}, ["".join(characters)])
    assert tokenizer.get_vocab_size() == 2**16 + more
    flat, _ = encode_all(tokenizer, [characters[0] + characters[-1] + "x"])
    assert flat.dtype == dtype
    assert flat.tolist() == [BOS, 4, 2**16 - 2 + more, 2**16 - 1 + more, EOS]  # x: [UNK], the last


def test_no_texts_are_no_rows(trained):
    flat, offsets = encode_all(trained["bpe"], [])
    assert (len(flat), offsets.tolist()) == (0, [0])


def test_unknown_characters_become_one_token_of_one_byte(trained):
    tokenizer = trained["character"]
    unknown = tokenizer.token_to_id("[UNK]")
    assert unknown == tokenizer.get_vocab_size() - 1
    assert ids_of(tokenizer, "sЖЖm")[2:4] == [unknown, unknown]
    assert decode(tokenizer, ids_of(tokenizer, "sЖm")) == "s[UNK]m"
    assert token_bytes(tokenizer)[unknown] == 1


def test_bytes_know_every_character(trained):
    assert all(tokenizer.token_to_id("[UNK]") is None for kind, tokenizer in trained.items()
               if kind in BYTES)  # fmt: skip


def test_characters_are_those_of_the_texts_in_order(trained):
    vocabulary = trained["character"].get_vocab()
    names = sorted(vocabulary, key=vocabulary.get)
    assert names == [*SPECIAL_TOKENS, *CHARACTERS, "[UNK]"]


def test_pairs_are_parts_of_the_texts_alone(trained):
    tokenizer = trained["bpe"]
    parts = [decode(tokenizer, [number]) for number in range(260, 300)]
    assert all(any(part in text for text in TEXTS) for part in parts if "�" not in part)
    assert sum("�" not in part for part in parts) > 30


@named(KINDS)
def test_the_same_texts_give_the_same_json(trained, kind):
    again = train_tokenizer(KINDS[kind], iter(TEXTS))
    assert again.to_str() == trained[kind].to_str()


def test_many_equally_frequent_pairs_are_still_learnt_in_one_order():
    texts = [f"{chr(97 + i)}{chr(97 + j)}" for i in range(26) for j in range(26)]
    chosen = {"kind": "bpe", "vocabulary": 400}
    assert len({train_tokenizer(chosen, texts).to_str() for _ in range(4)}) == 1


def test_other_texts_give_another_tokenizer(trained):
    for kind in ("bpe", "character"):
        assert train_tokenizer(KINDS[kind], TEXTS[:2]).to_str() != trained[kind].to_str()


def test_bytes_need_no_texts(trained):
    assert train_tokenizer({"kind": "byte"}, []).to_str() == trained["byte"].to_str()


@named(KINDS)
@settings(max_examples=30)
@given(text=st.text(CHARACTERS))
def test_lowercase_loses_upper_case_alone(lower, kind, text):
    tokenizer = lower[kind]
    assert decode(tokenizer, ids_of(tokenizer, text)) == text.lower()


@named(KINDS)
def test_lowercase_is_trained_on_lower_case(kind):
    """A tokenizer of lower case learns from WHALE what one learns from whale."""
    shouted = ["THE WHALE SWAM", "A Whale, THE WHALE"]
    chosen = KINDS[kind] | {"lowercase": True}
    of_lower = train_tokenizer(chosen, [text.lower() for text in shouted])
    of_upper = train_tokenizer(chosen, shouted)
    assert ids_of(of_upper, "The WHALE") == ids_of(of_lower, "the whale")
    assert of_upper.get_vocab() == of_lower.get_vocab()


@named(KINDS)
@settings(max_examples=30)
@given(text=st.text())
def test_a_json_loaded_again_gives_the_same_ids(trained, lower, kind, text):
    for tokenizer in (trained[kind], lower[kind]):
        again = load_tokenizer(tokenizer.to_str())
        assert ids_of(again, text) == ids_of(tokenizer, text)
        np.testing.assert_array_equal(token_bytes(again), token_bytes(tokenizer))


@named(KINDS)
def test_a_file_of_another_run_is_taken_as_it_is(trained, kind, tmp_path):
    (tmp_path / "t.json").write_text(trained[kind].to_str(), encoding="utf-8")
    chosen = {"kind": "file", "path": str(tmp_path / "t.json")}
    assert train_tokenizer(chosen, ["nothing of this is read"]).to_str() == trained[kind].to_str()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({}, "tokenizer.kind is None; choose of bpe, byte, character, file"),
        ({"kind": "wordpiece"}, "tokenizer.kind is 'wordpiece'; choose of bpe"),
        ({"kind": "bpe", "size": 300}, "unknown size; keys: kind, vocabulary, lowercase, path"),
        ({"kind": "bpe", "vocabulary": 259}, "vocabulary is 259; .* at least 260"),
        ({"kind": "bpe"}, "vocabulary is None; .* at least 260"),
        ({"kind": "bpe", "vocabulary": "many"}, "vocabulary is 'many'; .* a number"),
        ({"kind": "file", "path": "/nowhere/t.json"}, "/nowhere/t.json is no tokenizer.json"),
        ({"kind": "file"}, "is no tokenizer.json"),
    ],
)
def test_wrong_settings_are_one_clear_error(chosen, message):
    with pytest.raises(ConfigError, match=message):
        train_tokenizer(chosen, TEXTS)


def test_the_least_vocabulary_has_no_pairs():
    tokenizer = train_tokenizer({"kind": "bpe", "vocabulary": 260}, TEXTS)
    assert tokenizer.get_vocab_size() == 260


def test_a_file_that_is_no_tokenizer_is_named(tmp_path):
    path = tmp_path / "t.json"
    for text in ("", "{}", "no json", "\x00"):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"t\.json is no tokenizer\.json"):
            train_tokenizer({"kind": "file", "path": str(path)}, [])


def test_a_file_with_other_special_tokens_is_refused(trained, tmp_path):
    facts = json.loads(trained["character"].to_str())
    names = {"[PAD]": "<pad>"}
    facts["model"]["vocab"] = {names.get(k, k): v for k, v in facts["model"]["vocab"].items()}
    facts["added_tokens"][0]["content"] = "<pad>"
    (tmp_path / "t.json").write_text(json.dumps(facts))
    with pytest.raises(
        ConfigError, match=r"first ids of .* are <pad>, \[BOS\].*, expected \[PAD\]"
    ):
        train_tokenizer({"kind": "file", "path": str(tmp_path / "t.json")}, [])
