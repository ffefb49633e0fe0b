import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.tracking.query import register_encoder
from trivium.tracking.relocate import _moved, misplaced, relocate
from trivium.tracking.run import start_run

READ = (
    "import sys; from trivium.tracking.query import download; "
    "[print(download(uri)) for uri in sys.argv[1:]]"
)


def test_artifacts_are_found_after_the_project_moved(tracked, tmp_path):
    encoder = tmp_path / "run"
    encoder.mkdir()
    (encoder / "encoder.safetensors").write_bytes(b"weights")
    (encoder / "encoder.yaml").write_text("name: vit_nano")
    with start_run("pretrain", {}, {}) as run:
        pass
    register_encoder(run.run_id, encoder, "moving", "champion")
    moved = tmp_path / "moved"
    shutil.copytree(tracked, moved)
    shutil.rmtree(moved / "mlruns" / "journals", ignore_errors=True)
    file = moved / "mlruns" / "mlflow.db"
    assert misplaced(file)
    assert not misplaced(tracked / "mlruns" / "mlflow.db")
    assert relocate(moved) >= 3
    assert relocate(moved) == 0
    assert not misplaced(file)
    environment = os.environ | {"DVC_ROOT": str(moved)}
    printed = subprocess.run(
        [sys.executable, "-c", READ, f"runs:/{run.run_id}/encoder", "models:/moving@champion"],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.splitlines()
    place = moved / "mlruns" / "artifacts" / run.run_id / "artifacts" / "encoder"
    assert printed == [str(place), str(place)]


def test_a_folder_without_a_database_is_one_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a project that has tracked runs"):
        relocate(tmp_path)


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("/old/mlruns/artifacts", "/new/mlruns/artifacts"),
        ("/old/mlruns/artifacts/12/artifacts/x", "/new/mlruns/artifacts/12/artifacts/x"),
        ("file:///old/mlruns/artifacts/12", "file:///new/mlruns/artifacts/12"),
        ("s3://bucket/mlruns/artifacts/12", "s3://bucket/mlruns/artifacts/12"),
        ("/old/mlruns/artifacts_of_another", "/old/mlruns/artifacts_of_another"),
        ("models:/moving/1", "models:/moving/1"),
    ],
)
def test_only_paths_of_the_projects_own_artifacts_move(value, moved):
    assert _moved(value, "/new/mlruns/artifacts") == moved


@given(st.text())
def test_moving_twice_is_moving_once(value):
    once = _moved(value, "/new/mlruns/artifacts")
    assert _moved(once, "/new/mlruns/artifacts") == once
