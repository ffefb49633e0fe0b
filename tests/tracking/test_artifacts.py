import pytest

from trivium.tracking.query import download, register_encoder
from trivium.tracking.run import start_run


@pytest.fixture
def encoder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "encoder.safetensors").write_bytes(b"weights")
    (folder / "encoder.yaml").write_text("name: vit_nano")
    (folder / "last.ckpt").write_bytes(b"not to be registered")
    return folder


def test_an_encoder_goes_into_the_registry_and_comes_back(tracked, encoder):
    with start_run("pretrain", {}, {}) as run:
        pass
    version = register_encoder(run.run_id, encoder, "fashion_mnist-simclr", "champion")
    uris = (
        *("models:/fashion_mnist-simclr@champion", f"models:/fashion_mnist-simclr/{version}"),
        f"runs:/{run.run_id}/encoder",
    )
    for uri in uris:
        folder = download(uri)
        assert (folder / "encoder.safetensors").read_bytes() == b"weights"
        assert sorted(f.name for f in folder.iterdir()) == ["encoder.safetensors", "encoder.yaml"]
    (encoder / "encoder.safetensors").write_bytes(b"better")
    with start_run("pretrain", {}, {}) as other:
        pass
    assert register_encoder(other.run_id, encoder, "fashion_mnist-simclr", "champion") == "2"
    assert (download(uris[0]) / "encoder.safetensors").read_bytes() == b"better"
    assert (download(uris[1]) / "encoder.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("outputs/runs/x", ValueError, "expected runs:/ID/PATH or models:/NAME@ALIAS"),
        ("models:/nobody@champion", FileNotFoundError, "names nothing in the tracking store"),
        ("runs:/0123/encoder", FileNotFoundError, "names nothing in the tracking store"),
    ],
)
def test_wrong_addresses_are_one_clear_error(tracked, uri, error, message):
    with pytest.raises(error, match=message):
        download(uri)


def test_a_folder_without_an_encoder_is_refused(tracked, tmp_path):
    with pytest.raises(FileNotFoundError, match="is no exported encoder"):
        register_encoder("0" * 32, tmp_path, "empty")
