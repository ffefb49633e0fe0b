import numpy as np
import pytest

from trivium.data.datasets import wordnet
from trivium.data.errors import ConfigError, DataError

CONFIG = {
    "name": "wordnet",
    "tokenizer": {"kind": "byte"},
    "spec": {"shape": [64]},
}
LICENCE = (
    "  1 This software and database is being provided to you, the LICENSEE, by\n"
    "  2 Princeton University under the following license. | Not a synset.\n"
)
OPEN = {"tasks": None}
NUMBERS = {name: number for number, name in enumerate(wordnet.LEXNAMES)}


def line(offset, lexname, gloss, part="n", above=(), words=("thing",), frames="", kind="@"):
    """A synset as wndb(5WN) says: counts of words are hexadecimal, those of pointers decimal."""
    named = " ".join(f"{word} 0" for word in words)
    pointers = [f"{kind} {number:08d} {part} 0000" for number in above]
    pointers.append(f"~ 00099999 {part} 0000")
    return (
        f"{offset:08d} {lexname:02d} {part} {len(words):02x} {named} {len(pointers):03d} "
        f"{' '.join(pointers)} {frames}| {gloss}  \n"
    )


def write(folder, **parts):
    """Data files of the four parts of speech, the absent ones of licence alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("noun", "verb", "adj", "adv"):
        content = (LICENCE + "".join(parts.get(part, ()))).encode()
        (folder / f"data.{part}").write_bytes(content)
    return folder


def many(number, kind, num, first=0):
    return [line(first + i, number, f"the {kind} that is number {i}") for i in range(num)]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Nouns of three supersenses: 10 acts, 20 animals, 30 foods; verbs, an adjective, an adverb."""
    monkeypatch.setattr(wordnet, "LEAST", 10)
    nouns = [*many(4, "act", 10), *many(13, "food", 30, 200), *many(5, "animal", 20, 100)]
    return write(
        tmp_path / "dict",
        noun=nouns,
        verb=[
            line(7, 30, "undergo a change", "v", frames="02 + 02 00 + 08 01 "),
            line(8, 30, "change again", "v", frames="01 + 02 00 "),
        ],
        adj=[line(7, 0, "having life", "a"), line(9, 0, "full of life", "s")],
        adv=[line(7, 2, "in a lively way", "r"), line(9, 2, "in no way", "r")],
    )


def parse(folder, **options):
    return wordnet.parse(folder, CONFIG | options, folder)


def test_a_line_is_read_field_by_field(tmp_path):
    words = [f"word_{i}" for i in range(17)]  # 11 in hexadecimal
    noun = line(1740, 3, "what is; is", above=(42, 43), words=words)
    verb = line(
        2684, 38, "move", "v", above=(99,), words=["go", "move"], frames="02 + 02 00 + 04 01 "
    )
    folder = write(tmp_path, noun=[noun], verb=[verb])
    assert list(wordnet.read(folder / "data.noun")) == [("n", 1740, 3, 42, "what is; is")]
    assert list(wordnet.read(folder / "data.verb")) == [("v", 2684, 38, 99, "move")]


def test_a_line_of_the_real_file_is_read(tmp_path):
    (tmp_path / "data.noun").write_text(
        LICENCE + "00002137 03 n 02 abstraction 0 abstract_entity 0 002 @ 00001740 n 0000 "
        "+ 00692329 v 0101 | a general concept formed by extracting common features from specific "
        "examples  \n"
        '03386011 15 n 01 Fort_Ticonderoga 0 001 @i 03297735 n 0000 | a fort; "it fell"  \n'
        "00001740 03 n 01 entity 0 000 | that which exists (living or nonliving)  \n"
    )
    synsets = list(wordnet.read(tmp_path / "data.noun"))
    assert [synset.offset for synset in synsets] == [2137, 3386011, 1740]
    assert [synset.hypernym for synset in synsets] == [1740, 3297735, None]
    assert synsets[1].gloss == "a fort"


@pytest.mark.parametrize(
    ("whole", "kept"),
    [
        ('a place; "he went there"', "a place"),
        ('a place; somewhere; "he went"; "she stayed"', "a place; somewhere"),
        ('the word "place"; a noun', 'the word "place"; a noun'),
        ("a | b", "a | b"),
        ('a place ; "he went"', "a place"),
    ],
)
def test_examples_are_cut_off(tmp_path, whole, kept):
    folder = write(tmp_path, noun=[line(1, 4, whole)])
    assert [synset.gloss for synset in wordnet.read(folder / "data.noun")] == [kept]


def test_a_line_of_another_encoding_is_read(tmp_path):
    content = line(1, 4, "a café").encode("latin-1") + line(2, 4, "a naïf").encode()
    (tmp_path / "data.noun").write_bytes(content)
    synsets = wordnet.read(tmp_path / "data.noun")
    assert [synset.gloss for synset in synsets] == ["a café", "a naïf"]


def test_numbers_of_the_lexicographer_files_are_those_of_the_manual():
    assert len(wordnet.LEXNAMES) == len(set(wordnet.LEXNAMES)) == 45
    by_hand = {"adj.all": 0, "adv.all": 2, "noun.Tops": 3, "noun.animal": 5, "noun.food": 13,
               "noun.person": 18, "noun.time": 28, "verb.body": 29, "verb.weather": 43,
               "adj.ppl": 44}  # fmt: skip
    assert {name: NUMBERS[name] for name in by_hand} == by_hand


def test_nouns_have_their_supersense(small):
    parsed = parse(small)
    assert parsed.tasks == {"supersense": ("act", "animal", "food")}
    assert len(parsed.texts) == 60
    for text, label in zip(parsed.texts, parsed.labels["supersense"], strict=True):
        assert text.startswith(f"the {parsed.tasks['supersense'][label]} that")
    assert parsed.groups is None


def test_a_fifth_of_each_supersense_is_test(small):
    parsed = parse(small)
    labels = parsed.labels["supersense"]
    assert np.bincount(labels[parsed.test]).tolist() == [2, 4, 6]
    assert np.array_equal(np.sort(np.concatenate([parsed.train, parsed.test])), np.arange(60))


def test_supersenses_of_few_glosses_are_left_out(small, monkeypatch):
    monkeypatch.setattr(wordnet, "LEAST", 11)
    parsed = parse(small)
    assert parsed.tasks == {"supersense": ("animal", "food")}
    assert len(parsed.texts) == 50
    assert parsed.labels["supersense"].tolist() == [1] * 30 + [0] * 20


def test_a_supersense_is_counted_without_what_occurs_again(small, monkeypatch):
    write(small, noun=[*many(4, "act", 10), *many(4, "act", 10, 50), *many(13, "food", 30, 200)])
    monkeypatch.setattr(wordnet, "LEAST", 11)
    assert parse(small).tasks == {"supersense": ("food",)}


def test_every_gloss_has_its_lexicographer_file(small):
    parsed = parse(small, items="all")
    names = ("adj.all", "adv.all", "noun.act", "noun.animal", "noun.food", "verb.change")
    assert parsed.tasks == {"lexname": names}
    assert len(parsed.texts) == 66
    told = dict(zip(parsed.texts, parsed.labels["lexname"], strict=True))
    assert names[told["full of life"]] == "adj.all"
    assert names[told["in no way"]] == "adv.all"
    assert names[told["change again"]] == "verb.change"
    assert names[told["the food that is number 29"]] == "noun.food"


def test_equal_glosses_are_kept_once_with_the_first_label(small):
    again = [line(900, 13, "the act that is number 3"), line(901, 13, 'one; "a"'),
             line(902, 13, 'one; "b"')]  # fmt: skip
    verbs = [line(7, 30, "one", "v"), line(8, 30, "go", "v"), line(9, 30, "come", "v")]
    write(small, noun=[*many(4, "act", 10), *again], verb=verbs)
    parsed = parse(small, items="all")
    assert sorted(parsed.texts) == sorted({*parsed.texts})
    assert len(parsed.texts) == 13
    told = dict(zip(parsed.texts, parsed.labels["lexname"], strict=True))
    names = parsed.tasks["lexname"]
    assert names[told["the act that is number 3"]] == "noun.act"
    assert names[told["one"]] == "noun.food"
    assert parsed.notes == ("3 glosses occur again and were left out.",)


@pytest.fixture
def trees(tmp_path, monkeypatch):
    """A root above twelve families of five; the texts name the family."""
    monkeypatch.setattr(wordnet, "LEAST", 1)
    monkeypatch.setattr(wordnet, "SUBTREE", 5)
    nouns = [line(1, 4, "root")]
    for family in range(12):
        head = 100 * (family + 1)
        nouns.append(line(head, 4, f"head of {family}", above=(1,)))
        nouns += [
            line(head + 1, 4, f"first of {family}", above=(head, 1)),
            line(head + 2, 4, f"second of {family}", above=(head,)),
            line(head + 3, 4, f"third of {family}", above=(head + 2,)),
            line(head + 4, 4, f"fourth of {family}", above=(head + 3,), kind="@i"),
        ]
    return write(tmp_path / "dict", noun=nouns)


def test_relatives_are_a_group(trees):
    parsed = parse(trees, split="hypernym")
    families = [text.split()[-1] for text in parsed.texts]
    same_family = np.equal.outer(families, families)
    assert np.array_equal(np.equal.outer(parsed.groups, parsed.groups), same_family)
    assert len(np.unique(parsed.groups)) == 13


def test_groups_are_as_large_as_they_may_be(trees, monkeypatch):
    monkeypatch.setattr(wordnet, "SUBTREE", 61)
    assert len(np.unique(parse(trees, split="hypernym").groups)) == 1
    monkeypatch.setattr(wordnet, "SUBTREE", 3)
    groups = parse(trees, split="hypernym").groups
    # Of each family: the head and the first alone, and the second with what is below it.
    assert sorted(np.bincount(groups).tolist()) == [1] * 25 + [3] * 12


def test_relatives_are_never_in_train_and_in_test(trees):
    parsed = parse(trees, split="hypernym")
    assert np.array_equal(np.sort(np.concatenate([parsed.train, parsed.test])), np.arange(61))
    families = [{parsed.texts[i].split()[-1] for i in part} for part in (parsed.train, parsed.test)]
    assert not families[0] & families[1]
    assert len(families[1]) == 3  # a fifth of 13 groups


def test_glosses_that_were_left_out_still_join_their_relatives(tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "LEAST", 1)
    nouns = [line(1, 4, "one"), line(2, 4, "one", above=(9,)), line(3, 4, "two", above=(2,)),
             line(4, 4, "three", above=(2,)), line(9, 4, "four")]  # fmt: skip
    parsed = parse(write(tmp_path, noun=nouns), split="hypernym")
    assert parsed.texts == ["one", "two", "three", "four"]
    assert parsed.groups.tolist() == [0, 1, 1, 1]


def test_equal_offsets_of_two_parts_of_speech_are_no_relatives(tmp_path):
    nouns = [line(1, 4, "a"), line(2, 4, "b", above=(1,))]
    verbs = [line(1, 30, "c", "v"), line(2, 30, "d", "v", above=(1,))]
    parsed = parse(write(tmp_path, noun=nouns, verb=verbs), items="all", split="hypernym")
    assert parsed.groups.tolist() == [0, 0, 1, 1]


def test_verbs_that_are_hypernyms_of_each_other_are_one_group(tmp_path):
    """As 02422663 and 02423762 in the files of npm."""
    verbs = [
        line(1, 41, "limit", "v", above=(2,)),
        line(2, 41, "control", "v", above=(1,)),
        line(3, 41, "moderate", "v", above=(1,)),
        line(4, 41, "sing", "v"),
    ]
    parsed = parse(write(tmp_path, verb=verbs), items="all", split="hypernym")
    assert parsed.groups.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "broken",
    [
        "00001740 03 n 01 entity 0 000 that which exists",
        "00001740 03 n 02 entity 0 000 | that which exists",
        "0000174x 03 n 01 entity 0 000 | that which exists",
        "00001740 tops n 01 entity 0 000 | that which exists",
        "00001740 03 n zz entity 0 000 | that which exists",
        "00001740 03 n 01 entity 0 002 @ 00000001 n 0000 | that which exists",
        "00001740 | that which exists",
        "00001740 03 n 01 entity 0 000 |   ",
        "00001740 45 n 01 entity 0 000 | a file that the manual does not have",
        "no synset",
    ],
)
@pytest.mark.parametrize("items", ["nouns", "all"])
def test_a_broken_line_is_named_with_its_file(small, broken, items):
    content = LICENCE + line(1, 4, "good") + broken + "\n" + line(2, 4, "good too")
    (small / "data.noun").write_text(content)
    with pytest.raises(DataError, match=r"data\.noun, line 4 is no synset of WordNet"):
        parse(small, items=items)


def test_a_missing_file_is_named(small):
    (small / "data.adv").unlink()
    parse(small)
    with pytest.raises(DataError, match=r"expected a file data\.adv"):
        parse(small, items="all")


def test_files_are_found_in_the_folders_of_an_archive(small, tmp_path):
    (tmp_path / "package").mkdir()
    small.rename(tmp_path / "package" / "dict")
    assert len(parse(tmp_path / "package").texts) == 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": "verbs"}, "items is 'verbs'; choose of nouns, all"),
        ({"split": "topic"}, "split is 'topic'; choose of random, hypernym"),
        ({"spec": {"shape": [3, 8, 8]}}, "expected \\[length\\]"),
    ],
)
def test_wrong_settings_are_one_clear_error(small, change, message):
    with pytest.raises(ConfigError, match=message):
        parse(small, **change)


def test_it_becomes_a_store(small, prepared):
    store = prepared("wordnet", small, spec=OPEN)
    assert store.meta.tasks == {"supersense": ("act", "animal", "food")}
    assert store.meta.counts == {"train": 43, "validation": 5, "test": 12}
    assert store.texts(np.array([0, 59])) == [
        "the act that is number 0",
        "the animal that is number 19",
    ]
    assert (store.spec().shape, store.groups()) == ((64,), None)


def test_a_store_of_all_parts_of_speech(small, prepared):
    store = prepared("wordnet_lexname", small, spec=OPEN)
    assert len(store.meta.tasks["lexname"]) == 6


def test_no_group_of_relatives_is_in_two_splits_of_a_store(trees, prepared):
    store = prepared("wordnet_hypernym", trees, spec=OPEN)
    parts = [set(store.groups()[store.split(s)]) for s in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 13
    families = [{t.split()[-1] for t in store.texts(store.split(s))} for s in ("train", "test")]
    assert not families[0] & families[1]
