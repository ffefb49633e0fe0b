"""Tiny tables of pictures of one colour, sounds of one height, and captions."""

import csv
import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from trivium.data.datasets import files
from trivium.data.errors import ConfigError, DataError
from trivium.data.prepare import prepare
from trivium.data.writer import Origin, write_store

CONFIG = {
    "name": "mine",
    "modality": "image+text",
    "media": {"image": "image", "text": "caption"},
    "tokenizer": {"kind": "bpe", "vocabulary": 300},
    "spectrogram": {"rate": 8000, "window": 256, "hop": 80, "bands": 16, "low": 60, "high": 3900},
    "spec": {
        "tasks": None,
        "image": {"shape": [3, 4, 4]},
        "text": {"shape": [16]},
        "audio": {"shape": [1, 8, 16]},
    },
}
ALL = {
    "modality": "image+text+audio",
    "media": {"image": "image", "text": "caption", "audio": "audio"},
}
HEARD = {"modality": "text+audio", "media": {"text": "caption", "audio": "audio"}}


def picture(number, size=4):
    stream = io.BytesIO()
    Image.new("RGB", (size, size), (number, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def sound(number, rate=8000, num=400):
    stream = io.BytesIO()
    soundfile.write(stream, np.full(num, 10 * number, np.int16), rate, format="WAV")
    return stream.getvalue()


def struct(content, path=None):
    return {"bytes": content, "path": path}


def write_parquet(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")


def write_csv(folder, name, rows, delimiter=","):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_lines(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(map(json.dumps, rows)) + "\n\n")


def write_tar(folder, name, files):
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name, "w") as tar:
        for file, content in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def write_files(folder, numbers, what=picture, ending="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number}.{ending}").write_bytes(what(number))


def parse(folder, tmp_path, **change):
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return files.parse(folder, CONFIG | change, tmp_path / "scratch")


def seen(parsed):
    """By sample: the number of the picture, the caption, the number of the sound; None: lacks."""
    senses = []
    for one, rows in parsed.rows.items():
        part = parsed.parts[one]
        if one == "image":
            values = part.columns["image"][:, 0, 0, 0].tolist()
        elif one == "text":
            values = part.texts
        else:
            values = (part.waves.flat[part.waves.offsets[:-1]] // 10).tolist()
        senses.append([None if row < 0 else values[row] for row in rows])
    return list(zip(*senses, strict=True))


NUMBERS = list(range(1, 11))
PAIRS = [(n, f"number {n}") for n in NUMBERS]


@pytest.fixture
def table(tmp_path):
    """A folder with ten pictures and ten sounds."""
    write_files(tmp_path / "data" / "images", NUMBERS)
    write_files(tmp_path / "data" / "sounds", NUMBERS, sound, "wav")
    return tmp_path / "data"


def rows(numbers=NUMBERS, **more):
    return [
        {"image": f"images/{n}.png", "caption": f"number {n}", "audio": f"sounds/{n}.wav"} | more
        for n in numbers
    ]


@pytest.mark.parametrize("kind", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_paths_in_a_table(table, tmp_path, kind):
    if kind.endswith("parquet"):
        write_parquet(table, "a", rows())
    elif kind.endswith("jsonl"):
        write_lines(table, kind, rows())
    else:
        write_csv(table, kind, rows(), "\t" if kind == "a.tsv" else ",")
    assert seen(parse(table, tmp_path, **ALL)) == [
        (*pair, n) for n, pair in zip(NUMBERS, PAIRS, strict=True)
    ]
    parsed = parse(table, tmp_path)
    assert seen(parsed) == PAIRS
    assert list(parsed.parts) == ["image", "text"]
    assert (len(parsed.train), len(parsed.test)) == (8, 2)
    assert parsed.notes == ("The source has no test split: 0.2 of its groups are test.",)


def test_paths_are_seen_from_the_table_or_from_the_whole_folder(table, tmp_path):
    near = [{"image": f"../images/{n}.png", "caption": f"number {n}"} for n in NUMBERS]
    near[3]["image"] = "images/4.png"
    write_csv(table / "tables", "a.csv", near)
    assert seen(parse(table, tmp_path)) == PAIRS


def test_a_path_must_not_leave_the_folder(table, tmp_path):
    (tmp_path / "secret.png").write_bytes(picture(1))
    for path in ("../secret.png", str(tmp_path / "secret.png")):
        write_csv(table, "a.csv", [*rows(), {"image": path, "caption": "x", "audio": ""}])
        with pytest.raises(DataError, match=r"a\.csv, row 10: .*secret\.png lies outside of"):
            parse(table, tmp_path, on_error="skip")


def test_an_empty_cell_is_a_missing_sense(table, tmp_path):
    given = rows()
    given[2] |= {"image": ""}
    given[3] |= {"caption": None}
    given[4] |= {"audio": None}
    write_lines(table, "a.jsonl", given)
    parsed = parse(table, tmp_path, **ALL)
    assert seen(parsed)[1:6] == [
        (2, "number 2", 2),
        (None, "number 3", 3),
        (4, None, 4),
        (5, "number 5", None),
        (6, "number 6", 6),
    ]
    assert parsed.rows["image"].tolist() == [0, 1, -1, *range(2, 9)]
    store = write_store(tmp_path / "store", "mine", parsed, Origin("", "", "", ""))
    assert sum(store.meta.counts.values()) == 10


def test_two_senses_are_the_least(table, tmp_path):
    given = rows()
    given[4] |= {"image": "", "caption": " "}
    given[7] |= {"image": "", "audio": ""}
    write_csv(table, "a.csv", given)
    with pytest.raises(DataError, match=r"2 rows have fewer .* first is a\.csv, row 4; complete"):
        parse(table, tmp_path, **ALL)
    with pytest.warns(UserWarning, match=r"2 rows have fewer .*: left out"):
        parsed = parse(table, tmp_path, **ALL, on_error="skip")
    assert [n for n, _, _ in seen(parsed)] == [1, 2, 3, 4, 6, 7, 9, 10]
    assert parsed.notes[0] == "2 rows were left out."


def test_several_captions_are_samples_of_one_picture(table, tmp_path):
    given = [{"image": f"images/{n}.png", "caption": [f"a{n}", " ", f"b{n}"]} for n in NUMBERS]
    write_lines(table, "a.jsonl", given)
    parsed = parse(table, tmp_path)
    assert seen(parsed) == [(n, f"{word}{n}") for n in NUMBERS for word in "ab"]
    assert len(parsed.parts["image"].columns["image"]) == 10
    assert parsed.groups.tolist() == [n // 2 for n in range(20)]
    assert len(parsed.test) == 4
    store = write_store(tmp_path / "store", "mine", parsed, Origin("", "", "", ""))
    assert store.part("image").meta.counts == {"train": 7, "validation": 1, "test": 2}


def test_equal_bytes_share_a_row_and_a_group(table, tmp_path):
    (table / "images" / "copy.png").write_bytes(picture(1))
    given = [*rows(), {"image": "images/copy.png", "caption": "again", "audio": "sounds/2.wav"}]
    write_csv(table, "a.csv", given)
    parsed = parse(table, tmp_path, **ALL)
    assert seen(parsed)[-1] == (1, "again", 2)
    assert [parsed.parts[one].num_samples for one in parsed.parts] == [10, 11, 10]
    # The last row has the picture of the first and the sound of the second.
    assert parsed.groups.tolist() == [0, 0, *range(1, 9), 0]


def test_rows_of_other_labels_share_no_row_but_a_group(table, tmp_path):
    given = [row | {"kind": "even" if n % 2 else "odd"} for n, row in enumerate(rows())]
    given.append(given[0] | {"kind": "even"})
    write_csv(table, "a.csv", given)
    parsed = parse(table, tmp_path, columns={"tasks": {"kind": "kind"}})
    assert parsed.tasks == {"kind": ("even", "odd")}
    assert parsed.labels["kind"].tolist() == [1, 0] * 5 + [0]
    assert parsed.rows["image"].tolist() == list(range(11))
    assert parsed.groups.tolist() == [*range(10), 0]
    write_store(tmp_path / "store", "mine", parsed, Origin("", "", "", ""))


def test_numbers_and_gaps_are_classes(table, tmp_path):
    write_csv(table, "a.csv", [row | {"who": 7 + n % 2 * 5} for n, row in enumerate(rows())])
    parsed = parse(table, tmp_path, columns={"tasks": {"who": "who"}})
    assert parsed.tasks == {"who": ("7", "12")}
    assert parsed.labels["who"].tolist() == [0, 1] * 5


def test_numbers_and_the_word_null_are_captions(table, tmp_path):
    words = ["12", "null", "NA", "0", "1e5", "true", "2020-01-01", 'a "b"', "c, d", "e\nf"]
    given = [
        {"image": f"images/{n}.png", "caption": w} for n, w in zip(NUMBERS, words, strict=True)
    ]
    write_csv(table, "a.csv", given)
    assert [text for _, text in seen(parse(table, tmp_path))] == words


def test_files_name_the_splits(table, tmp_path):
    write_csv(table, "train.csv", rows(range(1, 7)))
    write_csv(table, "test-0.csv", rows(range(7, 11)))
    parsed = parse(table, tmp_path, splits={"train": "train", "test": "test"})
    assert (parsed.train.tolist(), parsed.test.tolist()) == (list(range(6)), list(range(6, 10)))
    assert seen(parsed) == PAIRS
    (table / "test-0.csv").rename(table / "more.csv")
    with pytest.raises(DataError, match="no files of split dev or test; found"):
        parse(table, tmp_path, splits={"train": "train", "test": "dev"})


def test_what_the_source_has_on_both_sides_is_two_rows(table, tmp_path):
    write_csv(table, "train.csv", rows(range(1, 7)))
    write_csv(table, "test.csv", rows(range(6, 11)))
    parsed = parse(table, tmp_path, splits={"train": "train", "test": "test"})
    assert parsed.rows["image"].tolist() == list(range(11))
    assert len(np.unique(parsed.groups)) == 11
    write_store(tmp_path / "store", "mine", parsed, Origin("", "", "", ""))


def test_a_column_names_the_splits(table, tmp_path):
    named = ["train", "val", "test", "train", "train"] * 2
    write_csv(table, "a.csv", [r | {"part": p} for r, p in zip(rows(), named, strict=True)])
    both = {"columns": {"split": "part"}, "splits": {"train": "train", "test": "test"}}
    parsed = parse(table, tmp_path, **both)
    # What is in neither is not even decoded.
    assert seen(parsed) == [PAIRS[n] for n in (0, 2, 3, 4, 5, 7, 8, 9)]
    assert (parsed.train.tolist(), parsed.test.tolist()) == ([0, 2, 3, 4, 6, 7], [1, 5])
    with pytest.raises(DataError, match=r"column 'part' never says 'dev'; it says: test, train"):
        parse(table, tmp_path, **both | {"splits": {"train": "train", "test": "dev"}})
    one = parse(table, tmp_path, **both | {"splits": {"train": "train", "test": None}})
    assert (len(one.train), len(one.test)) == (5, 1)


@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_the_share_of_test_is_a_share(table, tmp_path, share):
    write_csv(table, "a.csv", rows())
    assert len(parse(table, tmp_path, test_fraction=0.4).test) == 4
    with pytest.raises(ConfigError, match=f"test_fraction is {share}"):
        parse(table, tmp_path, test_fraction=share)


def test_something_broken_names_its_row(table, tmp_path):
    write_csv(table, "a.csv", rows())
    (table / "images" / "3.png").write_bytes(b"?")
    with pytest.raises(DataError, match=r"a\.csv, row 2, images/3\.png is no readable picture"):
        parse(table, tmp_path)
    with pytest.raises(DataError, match=r"a\.csv, row 2, images/3\.png is no readable picture"):
        parse(table, tmp_path, **ALL)
    (table / "images" / "3.png").unlink()
    with pytest.raises(
        DataError, match=r"row 2, images/3\.png .*FileNotFoundError.*on_error: skip"
    ):
        parse(table, tmp_path)
    (table / "sounds" / "5.wav").write_bytes(b"?")
    with pytest.raises(DataError, match=r"a\.csv, row 4, sounds/5\.wav is no readable sound"):
        parse(table, tmp_path, **HEARD)
    with pytest.warns(UserWarning, match="1 (pictures|sounds) left out"):
        parsed = parse(table, tmp_path, **ALL, on_error="skip")
    assert [n for n, _, _ in seen(parsed)] == [1, 2, 4, 6, 7, 8, 9, 10]
    store = write_store(tmp_path / "store", "mine", parsed, Origin("", "", "", ""))
    assert sum(store.meta.counts.values()) == 8


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "picture,caption\nx,y\n", "no column 'image'; it has: picture, caption"),
        ("a.csv", "image,words\nx,y\n", "no column 'caption'; it has: image, words"),
        ("a.csv", "image,caption\nx,y,z\n", r"a\.csv is no table \(.*[Ee]xpected 2 columns, got 3"),
        ("a.csv", "", r"a\.csv is no table"),
        ("a.csv", "image,caption\n,y\n", "column 'image' is always empty"),
        ("a.jsonl", '{"image": "x", "caption": 3}\n', "row 0: column 'caption' holds 3, which"),
        ("a.jsonl", '{"image": 3, "caption": "x"}\n', "row 0: column 'image' holds no file"),
        ("a.jsonl", '{}\n{"image": \n', r"a\.jsonl: row 1 is no mapping in json"),
        ("a.jsonl", "[1]\n", r"a\.jsonl: row 0 is no mapping in json"),
        ("a.parquet", "?", r"a\.parquet is a broken file"),
        ("a.tar", "?" * 600, r"a\.tar is no whole tar file"),
        ("a.xlsx", "?", r"no rows in .*; known kinds are: \.parquet \.csv"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, name, text, message):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text(text)
    with pytest.raises(DataError, match=message):
        parse(tmp_path / "data", tmp_path)


@pytest.mark.parametrize(
    "media",
    [
        {},
        {"image": "image"},
        {"image": "image", "audio": "audio"},
        {"image": ["a", "b"], "text": "caption"},
        {"image": "image", "text": []},
        {"image": "image", "text": [1]},
    ],
)
def test_media_name_a_column_for_each_modality(table, tmp_path, media):
    write_csv(table, "a.csv", rows())
    with pytest.raises(ConfigError, match=r"media is .*, modality is image\+text; name a column"):
        parse(table, tmp_path, media=media)


def samples(numbers, **more):
    files = {}
    for n in numbers:
        files |= {f"x/{n:02}.png": picture(n), f"x/{n:02}.txt": f"number {n}\n".encode()}
        files |= {f"x/{n:02}.{ending}": make(n) for ending, make in more.items()}
    return files


def test_shards_of_webdataset(tmp_path):
    folder = tmp_path / "data"
    write_tar(folder, "train-000.tar", samples(range(1, 4), wav=sound))
    write_tar(folder, "train-001.tar", samples(range(4, 8), wav=sound))
    write_tar(folder, "test-000.tar", samples(range(8, 11), wav=sound))
    given = ALL | {"splits": {"train": "train", "test": "test"}}
    parsed = parse(folder, tmp_path, **given)
    assert seen(parsed) == [(*pair, n) for n, pair in zip(NUMBERS, PAIRS, strict=True)]
    assert parsed.test.tolist() == [7, 8, 9]
    assert [path.name for path in (tmp_path / "scratch").iterdir() if path.suffix != ".npy"] == [
        "wave.int16"
    ]


def test_shards_with_json_classes_and_gaps(tmp_path):
    files = {}
    for n in NUMBERS:
        described = {"caption": [f"a{n}", f"b{n}"], "kind": ["x", "y"][n % 2]}
        files |= {f"{n}.JPG": picture(n), f"{n}.json": json.dumps(described).encode()}
        files |= {f"{n}.cls": str(n % 3).encode(), f"{n}.flac": sound(n)}
    del files["4.JPG"]
    # The same keys in another shard are other samples.
    write_tar(tmp_path / "data", "a.tar", dict([*files.items()][:19]))
    write_tar(tmp_path / "data", "b.tar", dict([*files.items()][19:]))
    tasks = {"tasks": {"kind": "kind", "number": "cls"}}
    parsed = parse(tmp_path / "data", tmp_path, **ALL, columns=tasks)
    expected = [(None if n == 4 else n, f"{w}{n}", n) for n in NUMBERS for w in "ab"]
    assert seen(parsed) == expected
    assert parsed.labels["kind"].tolist() == [n % 2 for n in NUMBERS for _ in "ab"]
    assert parsed.labels["number"].tolist() == [n % 3 for n in NUMBERS for _ in "ab"]


def test_equal_keys_of_two_shards_are_two_samples(tmp_path):
    write_tar(tmp_path / "data", "a.tar", {"0.png": picture(1), "0.txt": b"one"} | samples([3]))
    write_tar(tmp_path / "data", "b.tar", {"0.png": picture(2), "0.txt": b"two"} | samples([4]))
    expected = [(1, "one"), (3, "number 3"), (2, "two"), (4, "number 4")]
    assert seen(parse(tmp_path / "data", tmp_path)) == expected


def test_one_shard_alone_is_unpacked_by_the_fetcher(tmp_path):
    write_tar(tmp_path / "data", "a.tar", samples(NUMBERS))
    config = CONFIG | {
        "licence": "none",
        "parser": "trivium.data.datasets.files",
        "sources": [{"kind": "folder", "path": str(tmp_path / "data" / "a.tar")}],
        "spec": {
            "tasks": {},
            "num_samples": None,
            "image": {"shape": [3, 4, 4]},
            "text": {"shape": [16]},
        },
    }
    store = prepare(config, tmp_path / "store")
    assert store.meta.counts == {"train": 7, "validation": 1, "test": 2}
    assert sorted(store.part("image").column("image")[:, 0, 0, 0]) == NUMBERS


def test_links_in_a_shard_are_passed_over(tmp_path):
    (tmp_path / "secret.png").write_bytes(picture(9))
    write_tar(tmp_path / "data", "a.tar", samples(NUMBERS))
    with tarfile.open(tmp_path / "data" / "a.tar", "a") as tar:
        link = tarfile.TarInfo("11.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
        tar.addfile(link)
        text = tarfile.TarInfo("11.txt")
        text.size = 1
        tar.addfile(text, io.BytesIO(b"x"))
    with pytest.raises(DataError, match="1 rows have fewer than two modalities"):
        parse(tmp_path / "data", tmp_path)


def test_what_is_wrong_in_a_shard_is_named(tmp_path):
    folder = tmp_path / "data"
    write_tar(folder, "a.tar", samples([1]) | {"x/01.json": b"[]"})
    with pytest.raises(DataError, match=r"a\.tar: x/01\.json holds no mapping"):
        parse(folder, tmp_path, columns={"tasks": {"kind": "kind"}})
    write_tar(folder, "a.tar", samples([1]) | {"x/01.json": b"{"})
    with pytest.raises(DataError, match=r"a\.tar: x/01\.json is no json"):
        parse(folder, tmp_path, columns={"tasks": {"kind": "kind"}})
    write_tar(folder, "a.tar", samples([1]) | {"x/01.json": b"{}"})
    with pytest.raises(DataError, match=r"no sample has a column 'audio'; .* in: json, png, txt"):
        parse(folder, tmp_path, **ALL)
    write_tar(folder, "a.tar", {"1.txt": b"\xff", "1.png": picture(1)})
    with pytest.raises(DataError, match=r"a\.tar: 1\.txt is no text"):
        parse(folder, tmp_path)
    write_tar(folder, "a.tar", {"1.txt": b"one", "1.png": b"?"})
    with pytest.raises(DataError, match=r"row 0, a\.tar/1\.png is no readable picture"):
        parse(folder, tmp_path)
    write_tar(folder, "a.tar", {"1.txt": b"one", "1.png": picture(1)})
    whole = (folder / "a.tar").read_bytes()
    (folder / "a.tar").write_bytes(whole[: 3 * 512 + 20])
    with pytest.raises(DataError, match=r"a\.tar (is no whole tar file|ends within 1\.png)"):
        parse(folder, tmp_path)


@pytest.fixture
def store_of(yaml_config, tmp_path):
    """A store by a yaml of the hub, but from a local folder and with a small vocabulary."""

    def build(name, folder):
        config = yaml_config(name)
        config["sources"] = [{"kind": "folder", "path": str(folder)}]
        config["tokenizer"] = config["tokenizer"] | {"vocabulary": 300}
        return prepare(config, tmp_path / "stores" / name)

    return build


def texts_of(store, split):
    flat, offsets = store.part("text").ragged("text")
    found = store.rows("text")[store.split(split)]
    return [bytes(flat[offsets[row] : offsets[row + 1]]).decode() for row in found]


def test_flickr8k(tmp_path, store_of):
    for split, first, num in (("train", 1, 12), ("validation", 20, 3), ("test", 30, 3)):
        given = [
            {"image": struct(picture(n, 80))}
            | {f"caption_{k}": f"{n} word {k} ." for k in range(5)}
            for n in range(first, first + num)
        ]
        write_parquet(tmp_path / "data", f"{split}-00000-of-00001", given)
    store = store_of("flickr8k", tmp_path / "data")
    assert store.meta.counts == {"train": 55, "validation": 5, "test": 15}
    assert store.part("image").spec().shape == (3, 64, 64)
    assert store.part("image").meta.counts == {"train": 11, "validation": 1, "test": 3}
    assert texts_of(store, "test") == [f"{n} word {k} ." for n in (30, 31, 32) for k in range(5)]
    numbers = store.part("image").column("image")[store.rows("image"), 0, 0, 0]
    assert numbers[store.split("test")].tolist() == [n for n in (30, 31, 32) for _ in range(5)]


def test_flickr30k(tmp_path, store_of):
    for shard, first in enumerate((1, 11)):
        given = [
            {
                "image": struct(picture(n, 80), f"{n}.jpg"),
                "caption": [f"{n} word {k} ." for k in range(5)],
                "sentids": [str(n)] * 5,
                "split": ["train", "train", "train", "val", "test"][n % 5],
                "img_id": str(n),
                "filename": f"{n}.jpg",
            }
            for n in range(first, first + 10)
        ]
        write_parquet(tmp_path / "data" / "TEST" / "test", f"000{shard}", given)
    store = store_of("flickr30k", tmp_path / "data")
    assert store.meta.counts == {"train": 55, "validation": 5, "test": 20}
    assert texts_of(store, "test") == [f"{n} word {k} ." for n in (4, 9, 14, 19) for k in range(5)]


def test_audiocaps(tmp_path, store_of):
    for split, first, num in (("train", 1, 10), ("validation", 20, 2), ("test", 30, 2)):
        given = [
            {
                "audiocap_id": n,
                "youtube_id": f"id{n}",
                "start_time": 0,
                "audio_length": 16000,
                "caption": f"sound {n} of {k}",
                "audio": struct(sound(n, 16000, 1600), f"{n}.wav"),
            }
            for n in range(first, first + num)
            for k in range(1 if split == "train" else 5)
        ]
        write_parquet(tmp_path / "data", f"{split}-00000-of-00001", given)
    store = store_of("audiocaps", tmp_path / "data")
    assert store.meta.counts == {"train": 9, "validation": 1, "test": 10}
    # Five rows of the source have the same sound: one row, five captions.
    assert store.part("audio").meta.counts == {"train": 9, "validation": 1, "test": 2}
    assert store.part("audio").spec().shape == (1, 1000, 64)
    assert texts_of(store, "test") == [f"sound {n} of {k}" for n in (30, 31) for k in range(5)]
