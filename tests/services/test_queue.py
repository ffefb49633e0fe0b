"""What a command does with the jobs in SLURM's queue; other commands stand in for SLURM's."""

from types import SimpleNamespace

from omegaconf import OmegaConf

from hydra_plugins.trivium_launchers import _slurm

WORDS = [["number=0"], ["number=1"], ["number=2"]]
CONFIG = OmegaConf.create({"hydra": {"job": {"name": "app"}, "runtime": {"cwd": "here"}}})


def queue(folder):
    return _slurm.Queue(_slurm.Records(CONFIG, folder), WORDS)


def submit(jobs, numbers, first):
    made = [SimpleNamespace(job_id=str(first + n), num_tasks=1) for n in range(len(numbers))]
    jobs.submit(lambda: made, numbers)


def test_ctrl_c_cancels_what_this_command_submitted_and_no_job_of_an_earlier_one(
    tmp_path, monkeypatch, capsys
):
    said = []

    def run(*words, seconds=0.0):
        said.append(words)
        return "7 RUNNING\n8 COMPLETED\n"

    monkeypatch.setattr(_slurm, "run", run)
    monkeypatch.setattr(_slurm, "on_stop", lambda _: None)
    submit(queue(tmp_path), [0, 1], 7)  # a terminal that was closed left both
    again = queue(tmp_path)
    assert again.adopt() == [1, 2]  # the other one has ended meanwhile
    submit(again, [1, 2], 20)
    again.cancel()
    assert said[-1] == ("scancel", "20", "21")
    assert "1 SLURM jobs of an earlier command go on" in capsys.readouterr().out
    left = [again.records.read(words) for words in WORDS]
    assert left[0]["job_id"] == "7"
    assert left[1:] == [None, None]
    assert queue(tmp_path).adopt() == [1, 2]
