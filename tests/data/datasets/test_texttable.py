import csv
import json

import numpy as np
import pytest

from trivium.data.datasets import files
from trivium.data.errors import ConfigError, DataError

datasets = pytest.importorskip("datasets")

TOPICS = ["World", "Sports", "Business", "Sci/Tech"]
KINDS = ["Company", "EducationalInstitution", "Artist", "Athlete", "OfficeHolder",
         "MeanOfTransportation", "Building", "NaturalPlace", "Village", "Animal", "Plant", "Album",
         "Film", "WrittenWork"]  # fmt: skip
CONFIG = {
    "name": "mine",
    "modality": "text",
    "tokenizer": {"kind": "byte"},
    "spec": {"shape": [64]},
}
OWN = {"columns": {"text": "text", "tasks": {"label": "label"}}, "splits": {"train": "train"}}
BOTH = {"splits": {"train": "train", "test": "test"}}


def parquet(folder, split, columns, names=None, shards=1):
    """A split as the hub has it: `text` columns, and class names within the file's metadata."""
    features = {key: datasets.Value("string") for key in columns}
    if names:
        features["label"] = datasets.ClassLabel(names=names)
    part = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        file = folder / f"{split}-{shard:05}-of-{shards:05}.parquet"
        part.shard(shards, shard, contiguous=True).to_parquet(file)


def rows(split, num, num_classes=2):
    """Texts that tell their split, row and class."""
    label = [row % num_classes for row in range(num)]
    return {"text": [f"{split} {row} of {c}" for row, c in enumerate(label)], "label": label}


def write_csv(path, header, lines, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, **options).writerows([header, *lines])


def write_jsonl(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def reviews(first, num):
    return [(f"review {first + row}, \"quoted\",\n鯨 é", ["bad", "good"][row % 2])
            for row in range(num)]  # fmt: skip


def parse(folder, tmp_path, **change):
    return files.parse(folder, CONFIG | OWN | change, tmp_path / "scratch")


def of_split(store, split):
    indices = store.split(split)
    return store.texts(indices), store.labels()[indices].tolist() if store.meta.tasks else None


def test_parquet_in_the_schema_of_ag_news_is_read(tmp_path, prepared):
    train, test = rows("train", 40, 4), rows("test", 20, 4)
    parquet(tmp_path / "data", "train", train, TOPICS, shards=2)
    parquet(tmp_path / "data", "test", test, TOPICS)
    store = prepared("ag_news", tmp_path / "data")
    assert store.meta.tasks == {"topic": ("World", "Sports", "Business", "Sci/Tech")}
    assert store.meta.counts == {"train": 36, "validation": 4, "test": 20}
    assert store.spec().shape == (96,)
    assert of_split(store, "test") == (test["text"], test["label"])
    texts, labels = of_split(store, "train")
    assert all(text.endswith(str(label)) for text, label in zip(texts, labels, strict=True))
    assert store.texts(np.arange(60)) == train["text"] + test["text"]
    assert store.meta.notes == ()


def test_parquet_in_the_schema_of_imdb_is_read(tmp_path, prepared):
    """Its third split, without labels (-1), is none of ours."""
    folder = tmp_path / "data" / "plain_text"
    parquet(folder, "train", rows("train", 20), ["neg", "pos"])
    parquet(folder, "test", rows("test", 10), ["neg", "pos"])
    unlabelled = {"text": ["x"] * 5, "label": [-1] * 5}
    parquet(folder, "unsupervised", unlabelled, ["neg", "pos"])
    store = prepared("imdb", tmp_path / "data")
    assert store.meta.tasks == {"sentiment": ("neg", "pos")}
    assert store.meta.counts == {"train": 18, "validation": 2, "test": 10}
    assert of_split(store, "test") == (rows("test", 10)["text"], [0, 1] * 5)


def test_parquet_in_the_schema_of_dbpedia_is_joined(tmp_path, prepared):
    for split, num in (("train", 56), ("test", 14)):
        label = [row % 14 for row in range(num)]
        columns = {
            "label": label,
            "title": [f"{split} {row}" for row in range(num)],
            "content": [f" It is a {KINDS[c]}." for c in label],
        }
        parquet(tmp_path / "data", split, columns, KINDS)
    store = prepared("dbpedia", tmp_path / "data")
    assert store.meta.tasks == {"ontology": tuple(KINDS)}
    assert store.meta.counts == {"train": 42, "validation": 14, "test": 14}
    texts, labels = of_split(store, "test")
    assert texts == [f"test {row}\n It is a {kind}." for row, kind in enumerate(KINDS)]
    assert labels == list(range(14))


def test_parquet_in_the_schema_of_wikitext_is_read_without_its_empty_rows(tmp_path, prepared):
    lines = {}
    for split, num in (("train", 30), ("test", 10)):
        articles = [["", f" = {split} {i} = \n", " \n", f" Text of {split} {i} . \n"]
                    for i in range(num)]  # fmt: skip
        lines[split] = [line for article in articles for line in article]
        parquet(tmp_path / "data" / "wikitext-103-raw-v1", split, {"text": lines[split]}, shards=2)
    store = prepared("wikitext103", tmp_path / "data")
    assert (store.meta.tasks, store.spec().num_classes) == ({}, 0)
    assert store.meta.counts == {"train": 54, "validation": 6, "test": 20}
    assert store.meta.notes == ("80 rows without text were left out.",)
    kept = {split: [line for line in every if line.strip()] for split, every in lines.items()}
    assert store.texts(np.arange(80)) == kept["train"] + kept["test"]
    assert of_split(store, "test") == (kept["test"], None)


def test_a_hub_dataset_in_a_local_folder(tmp_path, prepared):
    parquet(tmp_path / "data", "train", rows("train", 20), ["no", "yes"])
    parquet(tmp_path / "data", "test", rows("test", 4), ["no", "yes"])
    store = prepared("hub_text", tmp_path / "data")
    assert store.meta.tasks == {"label": ("no", "yes")}
    assert store.meta.counts == {"train": 18, "validation": 2, "test": 4}


def table(path, lines):
    """The same table as a file of the kind that the path says."""
    header, kind = ("text", "label"), path.suffix
    named = [dict(zip(header, line, strict=True)) for line in lines]
    if kind == ".jsonl":
        write_jsonl(path, named)
    elif kind == ".json":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(named))
    elif kind == ".parquet":
        path.parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_list(named).to_parquet(path)
    else:
        write_csv(path, header, lines, delimiter="\t" if kind == ".tsv" else ",")


every_kind = pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])


@every_kind
def test_a_single_file_is_a_table(tmp_path, prepared, kind):
    lines = reviews(0, 50)
    table(tmp_path / f"reviews.{kind}", lines)
    store = prepared("texttable", tmp_path / f"reviews.{kind}")
    assert store.meta.tasks == {"label": ("bad", "good")}
    assert store.meta.counts == {"train": 36, "validation": 4, "test": 10}
    assert store.texts(np.arange(50)) == [text for text, _ in lines]
    assert store.labels().tolist() == [0, 1] * 25
    assert store.meta.notes == ("The source has no test split: 0.2 of its samples are test.",)
    assert np.bincount(store.labels()[store.split("test")]).tolist() == [5, 5]


@every_kind
def test_a_folder_with_a_file_of_any_name_is_a_table(tmp_path, prepared, kind):
    table(tmp_path / "data" / f"reviews.{kind}", reviews(0, 50))
    store = prepared("texttable", tmp_path / "data")
    assert store.texts(np.arange(50)) == [text for text, _ in reviews(0, 50)]


@every_kind
def test_a_folder_with_files_of_the_splits_keeps_them(tmp_path, prepared, kind):
    table(tmp_path / "data" / f"train.{kind}", reviews(0, 30))
    table(tmp_path / "data" / f"test.{kind}", reviews(100, 8))
    store = prepared("texttable", tmp_path / "data", **BOTH)
    assert store.meta.counts == {"train": 26, "validation": 4, "test": 8}
    assert of_split(store, "test") == ([text for text, _ in reviews(100, 8)], [0, 1] * 4)
    assert store.meta.notes == ()


def test_a_changed_file_gives_a_new_store(tmp_path, prepared):
    for word in ("old", "new"):
        write_csv(tmp_path / "data" / "r.csv", ("text", "label"), [(f"{word} text", "a")] * 10)
        store = prepared("texttable", tmp_path / "data")
        assert set(store.texts(np.arange(10))) == {f"{word} text"}


def test_several_files_without_split_names_are_one_table(tmp_path, prepared):
    for part in range(2):
        write_csv(tmp_path / "data" / f"part{part}.csv", ("text", "label"), reviews(10 * part, 10))
    store = prepared("texttable", tmp_path / "data")
    assert store.texts(np.arange(20)) == [text for text, _ in reviews(0, 20)]


def test_a_table_without_labels(tmp_path, prepared):
    write_csv(tmp_path / "r.csv", ("id", "body"), [(row, f"body {row}") for row in range(20)])
    store = prepared("texttable", tmp_path / "r.csv", columns={"text": "body", "tasks": {}})
    assert (store.meta.tasks, store.meta.counts["test"]) == ({}, 4)
    assert store.texts(np.arange(2)) == ["body 0", "body 1"]


def test_several_tasks_keep_their_order(tmp_path):
    lines = [{"text": f"t{i}", "stars": i % 3, "by": "xy"[i % 2]} for i in range(12)]
    write_jsonl(tmp_path / "data" / "r.jsonl", lines)
    columns = {"text": "text", "tasks": {"author": "by", "stars": "stars"}}
    parsed = parse(tmp_path / "data", tmp_path, columns=columns)
    assert list(parsed.tasks.items()) == [("author", ("x", "y")), ("stars", ("0", "1", "2"))]
    assert parsed.labels["author"].tolist() == [0, 1] * 6
    assert parsed.labels["stars"].tolist() == [0, 1, 2] * 4


def test_columns_are_joined_by_line_breaks_without_the_empty_ones(tmp_path):
    lines = [
        {"title": "A", "text": "b", "label": "x"},
        {"title": None, "text": "only text", "label": "y"},
        {"title": "only title", "text": "", "label": "x"},
        {"title": None, "text": None, "label": "y"},
    ]
    write_jsonl(tmp_path / "data" / "r.jsonl", lines * 3)
    columns = {"text": ["title", "text"], "tasks": {"label": "label"}}
    parsed = parse(tmp_path / "data", tmp_path, columns=columns)
    assert parsed.texts == ["A\nb", "only text", "only title"] * 3
    assert parsed.labels["label"].tolist() == [0, 1, 0] * 3


def test_rows_without_text_are_left_out_with_their_labels(tmp_path):
    train, test = rows("train", 20), rows("test", 10)
    for row, blank in ((0, None), (7, ""), (19, " \n")):
        train["text"][row] = blank
    test["text"][4] = None
    parquet(tmp_path / "data", "train", train, ["a", "b"])
    parquet(tmp_path / "data", "test", test, ["a", "b"])
    parsed = parse(tmp_path / "data", tmp_path, **BOTH)
    kept = [text for text in train["text"] + test["text"] if text and text.strip()]
    assert parsed.texts == kept
    assert [text[-1] for text in kept] == list(map(str, parsed.labels["label"]))
    assert parsed.train.tolist() == list(range(17))
    assert parsed.test.tolist() == list(range(17, 26))
    assert parsed.notes == ("4 rows without text were left out.",)


def test_without_a_test_split_a_stratified_fifth_of_the_rows_with_text_is_taken(tmp_path):
    train = rows("train", 40)
    train["text"][3] = train["text"][5] = ""
    parquet(tmp_path / "data", "train", train, ["a", "b"])
    parsed = parse(tmp_path / "data", tmp_path)
    assert np.bincount(parsed.labels["label"][parsed.test]).tolist() == [4, 4]
    assert np.array_equal(np.sort(np.concatenate([parsed.train, parsed.test])), np.arange(38))
    assert len(parsed.notes) == 2
    assert "2 rows without text" in parsed.notes[0]


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_numbers_are_no_texts(tmp_path, kind):
    table(tmp_path / "data" / f"r.{kind}", [(5 + row, "a") for row in range(9)])
    with pytest.raises(DataError, match="column 'text' holds 5, which is no text"):
        parse(tmp_path / "data", tmp_path)


def test_a_number_among_texts_is_a_text_of_a_csv(tmp_path):
    table(tmp_path / "data" / "r.csv", [("one", "a"), ("2", "a"), ("3.50", "b"), ("four", "b")])
    assert parse(tmp_path / "data", tmp_path).texts == ["one", "2", "3.50", "four"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_wrong_columns_are_named(tmp_path, kind):
    table(tmp_path / "data" / f"train.{kind}", reviews(0, 10))
    wrong_text = {"text": "body", "tasks": {"label": "label"}}
    with pytest.raises(DataError, match="no column 'body'; it has: text, label"):
        parse(tmp_path / "data", tmp_path, columns=wrong_text)
    wrong_task = {"text": "text", "tasks": {"label": "stars"}}
    with pytest.raises(DataError, match="no column 'stars'; it has: text, label"):
        parse(tmp_path / "data", tmp_path, columns=wrong_task)


@pytest.mark.parametrize("text", [[], 5, {"a": "b"}])
def test_a_text_column_is_a_name_or_a_list(tmp_path, text):
    parquet(tmp_path / "data", "train", rows("train", 4), ["a", "b"])
    with pytest.raises(DataError, match=r"mine: columns has .*text.*; name a column for each"):
        parse(tmp_path / "data", tmp_path, columns={"text": text})


def test_tasks_are_a_mapping(tmp_path):
    parquet(tmp_path / "data", "train", rows("train", 4), ["a", "b"])
    with pytest.raises(DataError, match=r"columns\.tasks must map tasks to columns"):
        parse(tmp_path / "data", tmp_path, columns={"tasks": ["label"]})


def test_a_missing_label_is_no_class(tmp_path):
    write_jsonl(tmp_path / "data" / "r.jsonl", [{"text": "a", "label": c} for c in ("x", None)] * 3)
    with pytest.raises(DataError, match="column 'label' holds None, which is no class"):
        parse(tmp_path / "data", tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("train.jsonl", '{"text": "a", "label": 1}\n{"text": '),
        ("train.csv", "text,label\na,b\na,b,c\n"),
        ("notes.xyz", "no table"),
        ("test.csv", "text,label\na,1\n"),
        ("train.parquet", "PAR1 broken PAR1"),
    ],
    ids=["half a json", "odd csv", "another kind", "another split", "broken parquet"],
)
def test_what_cannot_be_loaded_is_one_clear_error(tmp_path, file, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / file).write_text(content)
    with pytest.raises(DataError, match="data"):
        parse(tmp_path / "data", tmp_path)


def test_a_missing_split_is_named(tmp_path):
    parquet(tmp_path / "data", "train", rows("train", 4), ["a", "b"])
    splits = {"train": "train", "test": "dev"}
    with pytest.raises(DataError, match="no files of split dev or test; found"):
        parse(tmp_path / "data", tmp_path, splits=splits)


def test_a_shape_must_be_known(tmp_path):
    parquet(tmp_path / "data", "train", rows("train", 4), ["a", "b"])
    with pytest.raises(ConfigError, match=r"spec\.shape is None; expected \[length\]"):
        parse(tmp_path / "data", tmp_path, spec={})


def test_recorded_facts_must_be_true(tmp_path, prepared):
    parquet(tmp_path / "data", "train", rows("train", 40, 4), TOPICS)
    parquet(tmp_path / "data", "test", rows("test", 20, 4), TOPICS)
    with pytest.raises(ConfigError, match=r"spec\.num_samples: 108000, the data have 36"):
        prepared("ag_news", tmp_path / "data", spec={"num_samples": 108000})
    with pytest.raises(ConfigError, match=r"spec\.vocabulary: 8192, the data have"):
        prepared("ag_news", tmp_path / "data", spec={"vocabulary": 8192})


def test_the_users_cache_of_the_library_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    parquet(tmp_path / "data", "train", rows("train", 20), ["a", "b"])
    assert len(parse(tmp_path / "data", tmp_path).texts) == 20
    assert not (tmp_path / "hf").exists()
