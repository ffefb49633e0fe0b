"""What runs, probes and stores are known by."""

import copy
import json
import sys
from pathlib import Path

import pytest
import yaml

from trivium import identity
from trivium.config import pretraining_values, probe_values, without_numerics
from yamls import begin

STORE, OTHER_STORE = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def composed_once():
    """A pretraining's and a probe's values, as their stages have them."""
    from trivium.compose import composed

    with begin():
        pretraining = composed("pretrain", ["data=synthetic", "trainer.precision=32-true"])
        probing = composed("probe", ["data=synthetic", "checkpoint=raw"])
    return pretraining_values(pretraining), probe_values(probing)


@pytest.fixture
def pretraining(composed_once):
    return copy.deepcopy(composed_once[0])


@pytest.fixture
def probing(composed_once):
    return copy.deepcopy(composed_once[1])


def assign(values, key, value):
    *path, last = key.split(".")
    for name in path:
        values = values[name]
    assert last in values or key == "grid", key  # a run without a grid has no such key
    values[last] = value


def folder_of(path, own="c" * 12, weights="d" * 64):
    """A folder with the description of an encoder."""
    path.mkdir()
    facts = {} if own is None else {"identity": own}
    (path / identity.DESCRIPTION).write_text(yaml.safe_dump({"facts": facts, "sha256": weights}))
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run_dir", "elsewhere"), ("stores", "elsewhere"), ("overwrite", True), ("cell", "x"),
        ("tracking", {"experiment": "x", "interval": 9.0}), ("grid", {"name": "x"}),
        ("trainer.checkpoint_seconds", 1.0), ("trainer.checkpoint_steps", 7),
        ("trainer.accelerator", "gpu"), ("trainer.devices", 2),
    ],
)  # fmt: skip
def test_a_run_is_known_whatever_does_not_compute(key, value, pretraining):
    before = identity.run_identity(pretraining, STORE)
    assign(pretraining, key, value)
    assert identity.run_identity(pretraining, STORE) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1), ("objective.temperature", 0.2), ("objective.numerics", 99),
        ("encoder.numerics", 99), ("encoder.width", 24), ("views.image.numerics", 99),
        ("trainer.numerics", 99), ("trainer.batch_size", 3), ("trainer.precision", "bf16-mixed"),
        ("budget.flops", 1.0), ("data_fraction", 0.5), ("optimizer.weight_decay", 0.9),
        ("views.image.contrastive.views", []), ("monitor.num_items", 3), ("task", "colour"),
    ],
)  # fmt: skip
def test_a_run_is_another_one_by_what_computes(key, value, pretraining):
    before = identity.run_identity(pretraining, STORE)
    assign(pretraining, key, value)
    assert identity.run_identity(pretraining, STORE) != before


def test_a_run_is_another_one_on_other_data(pretraining):
    before = identity.run_identity(pretraining, STORE)
    assert identity.run_identity(pretraining, OTHER_STORE) != before
    pretraining["data"]["licence"] = "another"  # the store says what it holds
    assert identity.run_identity(pretraining, STORE) == before
    pretraining["data"]["name"] = "another"
    assert identity.run_identity(pretraining, STORE) != before


def test_the_order_of_keys_says_nothing(pretraining):
    backwards = dict(reversed(pretraining.items()))
    assert identity.run_identity(backwards, STORE) == identity.run_identity(pretraining, STORE)


def test_a_pretrained_tower_counts_by_its_content(pretraining, tmp_path):
    def with_tower(folder, **more):
        towers = {"image": {"checkpoint": str(folder), **more}}
        return identity.run_identity({**pretraining, "towers": towers}, STORE)

    first = with_tower(folder_of(tmp_path / "one"))
    assert first != identity.run_identity(pretraining, STORE)
    assert with_tower(folder_of(tmp_path / "same")) == first
    assert with_tower(tmp_path / "same", frozen=False) == first
    assert with_tower(tmp_path / "same", frozen=True) != first
    assert with_tower(folder_of(tmp_path / "trained_longer", weights="e" * 64)) != first
    with pytest.raises(FileNotFoundError, match=r"holds no encoder\.yaml"):
        with_tower(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "same"),
    [
        ("stores", "x", True), ("features", "x", True), ("probe_dir", "x", True),
        ("overwrite", True, True), ("probe.numerics", 99, False), ("probe.num_draws", 1, False),
        ("label_free.numerics", 99, False), ("sensitivity.numerics", 99, False),
        ("more_tasks", ["colour"], False), ("num_threads", 2, False),
    ],
)  # fmt: skip
def test_a_probe_is_known_by_what_it_measures(key, value, same, probing):
    before = identity.measurement_identity(probing, STORE)
    assign(probing, key, value)
    assert (identity.measurement_identity(probing, STORE) == before) is same


def test_a_probe_is_another_one_of_another_encoder(probing, tmp_path):
    def of(folder):
        return identity.measurement_identity(probing | {"checkpoint": str(folder)}, STORE)

    found = of(folder_of(tmp_path / "one"))
    assert found == of(folder_of(tmp_path / "same"))
    assert found != of(folder_of(tmp_path / "other", weights="e" * 64))
    assert found != of("raw")


def test_a_measurement_lies_where_it_is_told_or_by_its_name(probing, tmp_path):
    folder = folder_of(tmp_path / "one")
    for given, start in ({"checkpoint": str(folder)}, "one"), ({}, "raw"):
        path, own, done = identity.measurement_place(probing | given, STORE)
        assert path == Path(f"outputs/probes/{start}-on-synthetic-{own}")
        assert not done
    assert identity.measurement_place(probing | {"probe_dir": "here"}, STORE)[0] == Path("here")


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A component of the user's own: a package below a folder of the import path."""
    package = tmp_path / "own_lab" / "objectives"
    package.mkdir(parents=True)
    (tmp_path / "own_lab" / "__init__.py").touch()
    (package / "fresh.py").write_text("class Fresh: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package / "fresh.py"


def test_a_component_outside_counts_by_its_file(outside, pretraining):
    target = "own_lab.objectives.fresh.Fresh"
    pretraining["objective"] = {"_target_": target}
    assert identity.source_file(target) == outside
    assert list(identity.external_sums(pretraining)) == [target]
    before = identity.run_identity(pretraining, STORE)
    outside.write_text("class Fresh: # edited\n    ...\n")
    assert identity.run_identity(pretraining, STORE) != before
    assert "own_lab.objectives" not in sys.modules  # it is read, not run


def test_our_own_and_installed_components_do_not_count_by_their_files(pretraining):
    assert {target.partition(".")[0] for target in identity.targets(pretraining)} >= {
        "trivium", "torch",
    }  # fmt: skip
    assert identity.external_sums(pretraining) == {}
    found = identity.source_file("trivium.objectives.self_supervised.simclr.SimCLR")
    assert found.name == "simclr.py"
    assert identity.source_file("no_such_package.Thing") is None


def test_no_constructor_sees_numerics(pretraining, probing):
    for values in (pretraining, probing):
        assert '"numerics"' in json.dumps(values)
        assert '"numerics"' not in json.dumps(without_numerics(values))


META = {
    "format": 1, "config": "x", "modality": "image", "shape": [3, 8, 8], "licence": "CC0-1.0",
    "notes": "", "source": "url one", "columns": {"images": {"sha256": "1" * 64}},
    "tasks": {"shape": ["a", "b"]}, "parts": [],
}  # fmt: skip


def store(folder, **changes):
    folder.mkdir(exist_ok=True)
    (folder / identity.META).write_text(json.dumps({**META, **changes}))
    return identity.store_fingerprint(folder)


def test_a_store_is_known_by_what_it_holds(tmp_path):
    found = store(tmp_path)
    assert store(tmp_path, licence="MIT", notes="from a mirror", source="url two") == found
    assert store(tmp_path, config="y") == found
    assert store(tmp_path, columns={"images": {"sha256": "2" * 64}}) != found
    assert store(tmp_path, tasks={"shape": ["b", "a"]}) != found


def test_a_store_of_several_counts_by_its_parts(tmp_path):
    store(tmp_path / "image")
    found = store(tmp_path, parts=["image"])
    store(tmp_path / "image", notes="changed")
    assert store(tmp_path, parts=["image"]) == found
    store(tmp_path / "image", columns={"images": {"sha256": "2" * 64}})
    assert store(tmp_path, parts=["image"]) != found


def test_a_store_of_another_config_is_not_prepared(tmp_path):
    config = {"name": "x", "num_train": 3}
    assert identity.prepared_fingerprint(tmp_path, config, None) is None
    found = store(tmp_path, config=identity.config_digest(config))
    assert identity.prepared_fingerprint(tmp_path, config, None) == found
    assert identity.prepared_fingerprint(tmp_path, {**config, "num_train": 4}, None) is None
    assert identity.prepared_fingerprint(tmp_path, config, "image") is None  # no such part


def test_a_run_is_finished_when_its_last_file_is_there_and_the_identity_is_its_own(tmp_path):
    folder = folder_of(tmp_path / "run", own="f" * 12)
    assert not identity.is_finished(folder, "f" * 12)
    (folder / "metrics.json").write_text("{}")
    assert identity.is_finished(folder, "f" * 12)
    assert not identity.is_finished(folder, "0" * 12)
    (folder / identity.DESCRIPTION).write_text("{broken")
    assert not identity.is_finished(folder, "f" * 12)


def test_a_measurement_is_finished_when_its_environment_is_there(tmp_path):
    assert not identity.is_measured(tmp_path, "f" * 12)
    (tmp_path / identity.ENVIRONMENT).write_text(json.dumps({"identity": "f" * 12}))
    assert identity.is_measured(tmp_path, "f" * 12)
    assert not identity.is_measured(tmp_path, "0" * 12)
