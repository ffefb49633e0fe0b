"""DVC's stages in forks of a process that has imported everything."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path("pipelines").resolve()))

from dvc.stage.exceptions import StageCmdFailedError

from _warm import PRELOADED, _forked

ALONE = """
import importlib, threading
for name in {names}:
    importlib.import_module(name)
import torch
assert not torch.cuda.is_initialized()
print([thread.name for thread in threading.enumerate()])
"""


def test_what_is_preloaded_can_be_forked():
    command = [sys.executable, "-c", ALONE.format(names=PRELOADED)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['MainThread']"


def test_a_stage_sees_its_words_its_folder_and_its_environment(tmp_path):
    (tmp_path / "near.py").write_text("HERE = 'beside the script'\n")
    script = tmp_path / "stage.py"
    script.write_text(
        "import os, sys, near\n"
        "if __name__ == '__main__':\n"
        "    words = [*sys.argv[1:], near.HERE, os.environ['COLOUR'], str('HOME' in os.environ)]\n"
        "    open('seen', 'w').write('|'.join(words))\n"
        "    sys.exit(3 if 'fail' in sys.argv else 0)\n"
    )
    _forked(None, "python stage.py a=1 'b c'", cwd=str(tmp_path), env={"COLOUR": "blue"})
    assert (tmp_path / "seen").read_text() == "a=1|b c|beside the script|blue|False"
    with pytest.raises(StageCmdFailedError):
        _forked(None, "python stage.py fail", cwd=str(tmp_path), env={"COLOUR": "blue"})
    with pytest.raises(ValueError, match="expected python SCRIPT"):
        _forked(None, "make everything", cwd=str(tmp_path), env={})
