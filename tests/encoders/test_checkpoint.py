import os

import pytest
import torch
import yaml

from clips import CLIPS, mels, perturbed, spectrogram, wave, waves
from trivium.encoders import checkpoint
from trivium.encoders.baselines import MelStatistics, Raw
from trivium.encoders.checkpoint import checkpoint_hash, load_encoder, read_facts, save_encoder
from trivium.encoders.external import TimmEncoder
from trivium.encoders.projections import MelProjection, Projection
from trivium.encoders.resnet import ResNet
from trivium.encoders.vit import ViT

FACTS = {"objective": "simclr", "seed": 3, "flops": 1.5e12, "views": ["a", "b"], "parent": None}


def vit(data):
    sizes = {"patch": 4, "width": 16, "depth": 2, "num_heads": 2}
    return ViT(data, name="vit_test", pooling="both", positions="learned", **sizes)


def projection(data):
    encoder = Projection(data, width=7)
    encoder.components.normal_()
    return encoder


ENCODERS = {
    "vit": vit,
    "resnet": lambda data: ResNet(data, name="resnet_test", depth=18),
    "timm": lambda data: TimmEncoder(data, name="timm_test", model="resnet10t"),
    "raw": Raw,
    "projection": projection,
}


def edit(folder, **changes):
    path = folder / "encoder.yaml"
    description = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump(description))


@pytest.fixture
def saved(tmp_path, grey):
    save_encoder(vit(grey), tmp_path, FACTS)
    return tmp_path


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_comes_back(tmp_path, data, kind):
    encoder = ENCODERS[kind](data)
    save_encoder(encoder, tmp_path / "new" / "folder", FACTS)
    loaded = load_encoder(tmp_path / "new" / "folder")
    values = torch.rand(2, *data.shape)
    assert type(loaded) is type(encoder)
    assert not loaded.training
    assert (loaded.name, loaded.width) == (encoder.name, encoder.width)
    assert loaded.arguments == encoder.arguments
    for ours, theirs in zip(loaded(values), encoder.eval()(values), strict=True):
        assert torch.equal(ours, theirs)
    assert read_facts(tmp_path / "new" / "folder") == FACTS


def mel_projection():
    encoder = MelProjection(CLIPS, width=7)
    encoder.components.normal_()
    return encoder


OF_AUDIO = {
    "spectrogram": lambda: spectrogram(patch=(5, 4), positions="learned", pooling="cls"),
    "wave": lambda: wave(drop_path=0.1),
    "mel_statistics": lambda: MelStatistics(CLIPS),
    "mel_projection": mel_projection,
}


@pytest.mark.parametrize("kind", OF_AUDIO)
def test_an_encoder_of_audio_comes_back(tmp_path, kind):
    encoder = perturbed(OF_AUDIO[kind]()).eval()
    save_encoder(encoder, tmp_path, FACTS)
    loaded = load_encoder(tmp_path)
    view = waves([900, 333]) if encoder.column == "wave" else mels([24, 11])
    assert type(loaded) is type(encoder)
    assert (loaded.name, loaded.width, loaded.column) == (
        encoder.name,
        encoder.width,
        encoder.column,
    )
    assert loaded.arguments == encoder.arguments
    assert loaded.stem.grid == encoder.stem.grid
    for ours, theirs in zip(loaded(*view), encoder(*view), strict=True):
        assert torch.equal(ours, theirs)


def test_half_precision_comes_back(tmp_path, grey):
    save_encoder(vit(grey).bfloat16(), tmp_path, {})
    loaded = load_encoder(tmp_path)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    assert loaded(torch.rand(1, 1, 28, 28).bfloat16()).pooled.dtype == torch.bfloat16


def test_the_same_encoder_gives_the_same_bytes(tmp_path, grey):
    encoder = vit(grey)
    save_encoder(encoder, tmp_path / "a", FACTS)
    save_encoder(encoder, tmp_path / "b", dict(reversed(FACTS.items())))
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["encoder.safetensors", "encoder.yaml"]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_hash_knows_weights_and_architecture_but_not_facts(saved, tmp_path, grey):
    before = checkpoint_hash(saved)
    encoder = load_encoder(saved)
    save_encoder(encoder, saved, {"seed": 4})
    assert checkpoint_hash(saved) == before
    edit(saved, data=grey._replace(mean=(0.9,))._asdict())
    assert checkpoint_hash(saved) != before
    encoder.cls.data += 1e-6
    save_encoder(encoder, saved, FACTS)
    assert checkpoint_hash(saved) != before


def test_a_failed_write_leaves_the_old_encoder(saved, grey, monkeypatch):
    before = checkpoint_hash(saved)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_encoder(vit(grey), saved, FACTS)
    assert checkpoint_hash(saved) == before
    assert len(list(saved.iterdir())) == 2


def test_facts_must_be_plain(tmp_path, grey):
    with pytest.raises(ValueError, match="facts and arguments must be plain values"):
        save_encoder(Raw(grey), tmp_path / "new", {"loss": torch.zeros(1)})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "subprocess.Popen",
        "trivium.types.Encoder",
        "trivium.encoders.vit.Transformer",  # lies elsewhere, and is no encoder
        "trivium.encoders.vit.Encoder",
        "trivium.encoders.patches.PatchStem",
        "trivium.encoders.checkpoint.Path",
        "trivium.encoders.checkpoint.os.system",
        "trivium.encoders..vit.ViT",
        "trivium.encoders.nowhere.ViT",
        "trivium.encoders.vit.ViT\n",
        "xtrivium.encoders.vit.ViT",
    ],
)
def test_only_encoders_of_ours_may_be_named(saved, path):
    edit(saved, **{"class": path})
    with pytest.raises(ValueError, match=r"no encoder of trivium\.encoders"):
        load_encoder(saved)


def test_python_objects_in_the_yaml_are_refused(saved):
    path = saved / "encoder.yaml"
    attack = "facts: !!python/object/apply:os.mkdir ['owned']\n"
    path.write_text(path.read_text().replace("facts:", attack + "ignored:"))
    with pytest.raises(ValueError, match="no readable yaml"):
        load_encoder(saved)


def test_damaged_or_foreign_files(saved, tmp_path, grey):
    weights = (saved / "encoder.safetensors").read_bytes()
    flipped = weights[:-1] + bytes([weights[-1] ^ 1])
    for content in (flipped, weights[:100], b""):
        (saved / "encoder.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match=r"encoder.safetensors is not the file"):
            load_encoder(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "not in format 1"),
        ({"arguments": None}, "must hold exactly"),
        ({"surprise": 1}, "must hold exactly"),
        ({"arguments": {"name": "x", "colour": "red"}}, "does not describe an encoder"),
        ({"data": {"name": "x"}}, "does not describe an encoder"),
        ({"arguments": {"pretrained": True}}, "asks for pretrained weights"),
    ],
)
def test_damaged_descriptions(saved, changes, message):
    edit(saved, **changes)
    with pytest.raises(ValueError, match=message):
        load_encoder(saved)


def test_weights_of_another_architecture(saved):
    description = yaml.safe_load((saved / "encoder.yaml").read_text())
    edit(saved, arguments=description["arguments"] | {"depth": 3})
    with pytest.raises(ValueError, match=r"safetensors: the weights fit \d+ of .*missing: trunk"):
        load_encoder(saved)


@pytest.mark.parametrize("file", ["encoder.safetensors", "encoder.yaml"])
def test_a_missing_file_says_where(saved, file):
    (saved / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"{file} does not exist: give a folder"):
        load_encoder(saved)


def test_descriptions_that_are_no_maps(saved):
    for text in ("", "- a\n", "a: [", "\0"):
        (saved / checkpoint.DESCRIPTION).write_text(text)
        with pytest.raises(ValueError, match=r"encoder\.yaml"):
            read_facts(saved)
