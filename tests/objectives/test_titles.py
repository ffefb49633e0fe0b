"""The titles that tables read from sources are those of the classes."""

from pathlib import Path

from hydra.utils import get_class
from omegaconf import OmegaConf

from trivium.report.tables import label, objective_titles

CONF = Path(__file__).resolve().parents[2] / "conf"


def test_tables_know_the_title_of_every_objective():
    files = sorted(CONF.glob("objective/*/*.yaml"))
    wanted = {f.stem: get_class(OmegaConf.load(f).objective._target_).title for f in files}
    assert objective_titles() == wanted
    assert len(set(wanted.values())) == len(files)
    assert label("i_jepa") == "I-JEPA"
