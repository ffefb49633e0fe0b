import inspect
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.types import DataSpec, Encoder, Stem
from yamls import read

FOLDER = Path(__file__).parents[2] / "conf" / "encoder"
FILES = sorted(FOLDER.glob("*.yaml"))
TEXTS = DataSpec("short", "text", (12,), 3, 100, (), (), vocabulary=20)
SOUND = {"rate": 8000, "window": 256, "hop": 80, "bands": 32, "low": 60, "high": 3900}
CLIPS = DataSpec(
    "clips", "audio", (1, 48, 32), 3, 100, (-2.0,), (3.0,), sound=tuple(map(float, SOUND.values()))
)


def test_the_configs_are_seen():
    assert {
        "vit_nano",
        "vit_tiny",
        "vit_small",
        "resnet18",
        "resnet50",
        "raw",
        "timm",
        "text_nano",
        "audio_nano",
        "wave_nano",
    } <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_builds_an_encoder_that_encodes_and_can_be_saved(path, data, tmp_path):
    config = OmegaConf.merge(read(path), {"data": {"spectrogram": SOUND}})
    OmegaConf.resolve(config)
    del config["data"]
    kind = get_class(config["_target_"])
    if kind.modality == "several":  # composed of others: tests/configs and test_towers.py
        return
    data = {"image": data, "text": TEXTS, "audio": CLIPS}[kind.modality]
    encoder = instantiate(config, data=data)
    values = torch.rand(2, *data.shape)
    if kind.column == "wave":
        values = torch.randn(2, 48 * 80)
    if data is TEXTS:
        values = torch.randint(4, data.vocabulary, (2, *data.shape))
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder.stem, Stem)
    assert encoder.name.startswith(path.stem)
    with torch.inference_mode():
        features = encoder.eval()(values)
    assert features.pooled.shape == (2, encoder.width)
    assert features.pooled.isfinite().all()
    size = (2, encoder.stem.num_tokens)
    if encoder.stem.likelihood == "gaussian":
        size = (*size, encoder.stem.target_width)
    assert encoder.stem.target(values).shape == size
    stored = DataSpec(**encoder.arguments["data"])
    assert stored == data
    save_encoder(encoder, tmp_path, {})
    assert load_encoder(tmp_path).arguments == encoder.arguments


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_keys_are_the_keyword_only_arguments(path):
    config = read(path)
    defaults = [one for one in config.pop("defaults", []) if one != "_self_"]
    composed = {key.split("@")[1] for one in defaults for key in one}
    parameters = inspect.signature(get_class(config["_target_"])).parameters.values()
    names = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert set(config) - {"_recursive_"} | composed == names | {"_target_"}
