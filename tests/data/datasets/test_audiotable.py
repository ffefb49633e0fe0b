"""Local parquet files in the schemas of the hub's audio datasets."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from trivium.data.datasets import files
from trivium.data.errors import ConfigError, DataError
from trivium.data.prepare import prepare

datasets = pytest.importorskip("datasets")

RATE = 8000
CONFIG = {
    "name": "mine",
    "modality": "audio",
    "columns": {},
    "spectrogram": {"rate": RATE, "window": 256, "hop": 80, "bands": 16, "low": 60, "high": 3900},
    "spec": {"shape": [1, 20, 16]},
}
ONE = {"splits": {"train": "train", "test": None}}
STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def encoded(number, rate=RATE, num=400, kind="WAV"):
    stream = io.BytesIO()
    soundfile.write(stream, np.full(num, 10 * number, np.int16), rate, format=kind)
    return stream.getvalue()


def structs(numbers, **options):
    values = [{"bytes": encoded(n, **options), "path": f"{n}.wav"} for n in numbers]
    return pa.array(values, STRUCT)


def parquet(folder, split, columns, names=None, shards=1):
    """A split as the hub has it; class names lie within the file's metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    features = {"audio": datasets.Audio()}
    if names:
        features["label"] = datasets.ClassLabel(names=names)
    info = {"info": {"features": datasets.Features(features).to_dict()}}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(info)})
    size = -(-len(table) // shards)
    for shard in range(shards):
        part = table.slice(shard * size, size)
        pq.write_table(part, folder / f"{split}-{shard:05}-of-{shards:05}.parquet")


def parse(folder, tmp_path, **change):
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return files.parse(folder, CONFIG | change, tmp_path / "scratch")


def heights(parsed):
    return (parsed.waves.flat[parsed.waves.offsets[:-1]] // 10).tolist()


@pytest.fixture
def store_of(yaml_config, tmp_path):
    """A store by a yaml of the hub, but from a local folder."""

    def build(name, folder, **change):
        config = yaml_config(name)
        config["sources"] = [{"kind": "folder", "path": str(folder)}]
        config["spec"] = config["spec"] | change.pop("spec", {})
        return prepare(config | change, tmp_path / "stores" / name)

    return build


WORDS = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHI", "_silence_"]


def speech_commands(folder, split, num, first=0):
    """The columns of google/speech_commands: eight words of each speaker; silence has none."""
    rows = range(first, first + num)
    columns = {
        "file": [f"{split}/{n}.wav" for n in rows],
        "audio": structs(rows, rate=16000, num=16000),
        "label": [35 if n % 30 == 0 else n % 35 for n in rows],
        "is_unknown": [False] * num,
        "speaker_id": [None if n % 30 == 0 else f"{split}{n // 8}" for n in rows],
        "utterance_id": [n % 3 for n in rows],
    }
    parquet(folder, split, columns, WORDS, shards=2)


def test_speech_commands(tmp_path, store_of):
    folder = tmp_path / "data"
    speech_commands(folder, "train", 160)
    speech_commands(folder, "validation", 10)
    speech_commands(folder, "test", 40, 500)
    store = store_of("speech_commands", folder)
    assert store.meta.tasks == {"word": tuple(WORDS)}
    assert store.spec().shape == (1, 100, 64)
    flat, offsets = store.ragged("wave")
    assert (flat[offsets[store.split("test")]] // 10).tolist() == list(range(500, 540))
    assert store.labels()[store.split("test")].tolist() == [
        35 if n % 30 == 0 else n % 35 for n in range(500, 540)
    ]
    assert store.meta.counts["train"] + store.meta.counts["validation"] == 160
    speakers = [None if n % 30 == 0 else n // 8 for n in range(160)]
    sides = [{speakers[i] for i in store.split(s)} - {None} for s in ("train", "validation")]
    assert all(sides)
    assert not sides[0] & sides[1]
    # 20 and 6 speakers; the 6 and 1 rows without a speaker are alone, not one group.
    assert len(np.unique(store.groups())) == 20 + 6 + 6 + 1


def test_a_speaker_in_train_and_test_is_two_groups(tmp_path):
    for split in ("train", "test"):
        columns = {"audio": structs(range(4)), "label": [0, 1, 0, 1], "who": ["x", "x", "y", "y"]}
        parquet(tmp_path / "data", split, columns, ["a", "b"])
    parsed = parse(tmp_path / "data", tmp_path, columns={"group": "who"})
    assert parsed.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert parsed.test.tolist() == [4, 5, 6, 7]


def test_esc50(tmp_path, store_of):
    num = 60
    categories = [f"kind {n}" for n in range(3)]
    columns = {
        "filename": [f"{n}.wav" for n in range(num)],
        "fold": [n // 12 + 1 for n in range(num)],
        "target": [n // 2 % 3 for n in range(num)],
        "category": [categories[n // 2 % 3] for n in range(num)],
        "esc10": [True] * num,
        "src_file": [1000 + n // 2 for n in range(num)],
        "take": ["AB"[n % 2] for n in range(num)],
        "audio": structs(range(num), rate=44100, num=4410, kind="OGG"),
    }
    parquet(tmp_path / "data", "train", columns, shards=2)
    store = store_of("esc50", tmp_path / "data", spec={"tasks": {"category": 3}})
    assert store.meta.tasks == {"category": tuple(categories)}
    assert store.split("test").tolist() == list(range(48, 60))
    assert store.meta.notes == ("Test is fold 5.",)
    sources = np.arange(num) // 2
    sides = [set(sources[store.split(s)]) for s in ("train", "validation", "test")]
    assert all(sides)
    assert sum(map(len, sides)) == num / 2
    # A tenth of a second at 44.1 kHz is one at 16 kHz.
    assert set(store.lengths("wave")) == {1600}


@pytest.mark.parametrize("held_out", [[3], 3])
def test_other_folds_may_be_test(tmp_path, held_out):
    columns = {"audio": structs(range(6)), "label": [0, 1] * 3, "fold": [1, 1, 2, 2, 3, 3]}
    parquet(tmp_path / "data", "train", columns, ["a", "b"])
    folds = {"columns": {"fold": "fold"}, **ONE}
    parsed = parse(tmp_path / "data", tmp_path, held_out=held_out, **folds)
    assert parsed.test.tolist() == [4, 5]
    for none in ([4], None, [1, 2, 3]):
        with pytest.raises(DataError, match=r"expected one or more, but not all, of .*: 1, 2, 3"):
            parse(tmp_path / "data", tmp_path, held_out=none, **folds)


def test_librispeech(tmp_path, store_of):
    num, speakers = 40, [19, 26, 8975]
    columns = {
        "file": [f"{n}.flac" for n in range(num)],
        "audio": structs(range(num), rate=16000, num=4000, kind="FLAC"),
        "text": ["WORDS"] * num,
        "speaker_id": [speakers[n % 3] for n in range(num)],
        "chapter_id": [n // 3 for n in range(num)],
        "id": [str(n) for n in range(num)],
    }
    parquet(tmp_path / "data" / "clean", "train.100", columns, shards=2)
    store = store_of("librispeech", tmp_path / "data", spec={"tasks": {"speaker": 3}})
    assert store.meta.tasks == {"speaker": ("19", "26", "8975")}
    assert store.labels().tolist() == [n % 3 for n in range(num)]
    assert store.meta.counts == {"train": 28, "validation": 3, "test": 9}
    assert store.spec().shape == (1, 1600, 80)
    assert store.meta.notes[0].endswith("0.2 of its samples are test.")
    assert store.groups() is None


def test_a_made_test_split_keeps_groups_together(tmp_path):
    columns = {"audio": structs(range(40)), "who": [n // 4 for n in range(40)]}
    parquet(tmp_path / "data", "train", columns)
    parsed = parse(tmp_path / "data", tmp_path, columns={"tasks": {}, "group": "who"}, **ONE)
    assert len(parsed.test) == 8
    assert not set(parsed.test // 4) & set(parsed.train // 4)


def test_the_hubs_config_reads_any_such_files(tmp_path, store_of):
    for split, first in (("train", 0), ("test", 20)):
        rows = range(first, first + 20)
        columns = {"audio": structs(rows), "label": [n % 2 for n in rows]}
        parquet(tmp_path / "data", split, columns, ["low", "high"])
    store = store_of("hub_audio", tmp_path / "data")
    assert store.meta.tasks == {"label": ("low", "high")}
    assert store.meta.counts == {"train": 18, "validation": 2, "test": 20}
    assert store.spec("label").num_classes == 2


def test_bytes_alone_are_a_sound(tmp_path):
    columns = {"audio": [encoded(n) for n in range(8)], "label": [0, 1] * 4}
    parquet(tmp_path / "data", "train", columns, ["a", "b"])
    assert heights(parse(tmp_path / "data", tmp_path, **ONE)) == list(range(8))


@pytest.mark.parametrize("kind", ["struct", "words", "csv"])
def test_paths_are_files_of_the_folder(tmp_path, kind):
    folder = tmp_path / "data"
    (folder / "clips").mkdir(parents=True)
    paths = [f"clips/{n}.wav" for n in range(8)]
    for number, path in enumerate(paths):
        (folder / path).write_bytes(encoded(number))
    label = [0, 1] * 4
    if kind == "csv":
        lines = [f"{path},{c}" for path, c in zip(paths, label, strict=True)]
        (folder / "train.csv").write_text("\n".join(["audio,label", *lines]))
    else:
        values = paths
        if kind == "struct":
            values = pa.array([{"bytes": None, "path": path} for path in paths], STRUCT)
        parquet(folder, "train", {"audio": values, "label": label}, ["a", "b"])
    assert heights(parse(folder, tmp_path, **ONE)) == list(range(8))


def test_a_path_must_not_leave_the_folder(tmp_path):
    (tmp_path / "secret.wav").write_bytes(encoded(1))
    for path, message in (
        ("../secret.wav", "lies outside of"),
        (str(tmp_path / "secret.wav"), "lies outside of"),
        ("gone.wav", "gone.wav is no readable sound"),
    ):
        parquet(tmp_path / "data", "train", {"audio": [path] * 4, "label": [0, 1] * 2}, ["a", "b"])
        with pytest.raises(DataError, match=f"row 0.*{message}"):
            parse(tmp_path / "data", tmp_path, **ONE)


def test_a_broken_sound_is_an_error_or_in_no_split(tmp_path):
    for split in ("train", "test"):
        columns = {"audio": [b"?", *(encoded(n) for n in range(5))], "label": [0, 1] * 3}
        parquet(tmp_path / "data", split, columns, ["a", "b"])
    with pytest.raises(DataError, match="row 0 is no readable sound"):
        parse(tmp_path / "data", tmp_path)
    with pytest.warns(UserWarning, match="2 sounds left out"):
        parsed = parse(tmp_path / "data", tmp_path, on_error="skip")
    assert (parsed.train.tolist(), parsed.test.tolist()) == ([1, 2, 3, 4, 5], [7, 8, 9, 10, 11])


def test_numbers_with_names_keep_classes_without_samples(tmp_path):
    parquet(tmp_path / "data", "train", {"audio": structs(range(6)), "label": [0, 2] * 3}, [*"abc"])
    parsed = parse(tmp_path / "data", tmp_path, **ONE)
    assert parsed.tasks == {"label": ("a", "b", "c")}
    assert parsed.labels["label"].tolist() == [0, 2] * 3


def test_wrong_columns_are_named(tmp_path):
    columns = {"audio": structs(range(6)), "label": [0, 1] * 3, "level": [0.5] * 6}
    parquet(tmp_path / "data", "train", columns, ["a", "b"])
    for chosen, message in (
        ({"audio": "sound"}, "no column 'sound'; it has: audio, label, level"),
        ({"audio": "level"}, "row 0: column 'level' holds no file, but <class 'float'>"),
        ({"tasks": {"label": "level"}}, r"column 'level' holds 0\.5, which is no class"),
        ({"group": "who"}, "no column 'who'"),
        ({"fold": "part"}, "no column 'part'"),
    ):
        with pytest.raises(DataError, match=message):
            parse(tmp_path / "data", tmp_path, columns=chosen, **ONE)
    with pytest.raises(ConfigError, match="on_error is 'maybe'; choose of raise, skip"):
        parse(tmp_path / "data", tmp_path, on_error="maybe", **ONE)
