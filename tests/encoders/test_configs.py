import inspect
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.types import DataSpec, Encoder, Stem

FOLDER = Path(__file__).parents[2] / "conf" / "encoder"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_the_configs_are_seen():
    assert {"vit_nano", "vit_tiny", "vit_small", "resnet18", "resnet50", "raw", "timm"} <= {
        path.stem for path in FILES
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_builds_an_encoder_that_encodes_and_can_be_saved(path, data, tmp_path):
    encoder = instantiate(OmegaConf.load(path), data=data)
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder.stem, Stem)
    assert encoder.name.startswith(path.stem)
    with torch.inference_mode():
        features = encoder.eval()(torch.rand(2, *data.shape))
    assert features.pooled.shape == (2, encoder.width)
    assert features.pooled.isfinite().all()
    assert encoder.stem.target(torch.rand(2, *data.shape)).shape == (
        2,
        encoder.stem.num_tokens,
        encoder.stem.target_width,
    )
    stored = DataSpec(**encoder.arguments["data"])
    assert stored == data
    save_encoder(encoder, tmp_path, {})
    assert load_encoder(tmp_path).arguments == encoder.arguments


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_keys_are_the_keyword_only_arguments(path):
    config = OmegaConf.load(path)
    parameters = inspect.signature(get_class(config["_target_"])).parameters.values()
    names = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert set(config) == names | {"_target_"}
