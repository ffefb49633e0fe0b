"""What every objective promises, found by its yaml."""

import inspect
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from trivium.encoders.resnet import ResNet
from trivium.encoders.vit import ViT
from trivium.objectives.contract import check
from trivium.types import DataSpec, View, Views

FOLDER = Path(__file__).parents[2] / "conf" / "objective"
FILES = sorted(FOLDER.rglob("*.yaml"))
TRAINED = [file for file in FILES if file.parent.name != "control"]
DATA = DataSpec("tiny", "image", (1, 8, 8), 4, 100, (0.5,), (0.3,))
NUM_SAMPLES = 8
SUPERVISED = "cross_entropy supcon"
UNSUPERVISED = "autoencoder denoising_autoencoder vae vq_vae deepcluster_v2"
SELF_SUPERVISED = "simclr moco_v3 byol barlow_twins vicreg dino mae i_jepa lejepa data2vec"


def vit():
    return ViT(DATA, name="vit_test", patch=2, width=32, depth=2, num_heads=2)


def resnet():
    return ResNet(DATA, name="resnet_test", **RESNET)


RESNET = {"depth": 18, "stem_kind": "small", "patch": 2}
ENCODERS = {"vit": (ViT, vit), "resnet": (ResNet, resnet)}


def title(file):
    return file.relative_to(FOLDER).with_suffix("").as_posix()


def read(file):
    return OmegaConf.load(file)


def build(file, make_encoder):
    torch.manual_seed(0)
    encoder = make_encoder()
    objective = instantiate(read(file).objective, encoder=encoder, data=DATA)
    assert objective.encoder is encoder
    objective.after_step(1.0)
    return objective


def batch(num_views):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(NUM_SAMPLES, 1, 8, 8, generator=generator)
    noise = 0.05 * torch.randn(num_views, NUM_SAMPLES, 1, 8, 8, generator=generator)
    views = tuple(View((images + part).clamp(0, 1)) for part in noise)
    return Views(views, torch.arange(NUM_SAMPLES) % DATA.num_classes)


def fits(file, encoder):
    kind = get_class(read(file).objective._target_)
    return encoder.contextual or not kind.needs.tokens


PAIRS = [
    pytest.param(file, make, id=f"{title(file)}-{name}")
    for file in TRAINED
    for name, (kind, make) in ENCODERS.items()
    if fits(file, kind)
]


def test_every_objective_is_seen():
    seen = {title(file) for file in FILES}
    assert seen >= {f"supervised/{name}" for name in SUPERVISED.split()}
    assert seen >= {f"unsupervised/{name}" for name in UNSUPERVISED.split()}
    assert seen >= {f"self_supervised/{name}" for name in SELF_SUPERVISED.split()}
    assert seen >= {"control/untrained", "control/pca"}
    assert {
        get_class(read(file).objective._target_).__module__.split(".")[-1] for file in FILES
    } == {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=title)
def test_yaml_is_short_and_says_where_it_belongs(file):
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert len(lines) <= 25
    config = read(file)
    kind = get_class(config.objective._target_)
    assert kind.paradigm == file.parent.name
    assert set(config) - {"adamw", "search"} == {"objective", "objective_views"}


@pytest.mark.parametrize("file", TRAINED, ids=title)
def test_search_space_is_sound_and_of_equal_size(file):
    config = read(file)
    search = config.search
    assert 2 <= len(search) <= 3
    assert search["adamw.lr"] == {"low": 1e-3, "high": 1.6e-2, "log": True}
    for key, space in search.items():
        chosen = OmegaConf.select(config, key)
        assert chosen is not None
        if "choices" in space:
            assert set(space) == {"choices"}
            assert chosen in space.choices
        else:
            assert space.low <= chosen <= space.high


@pytest.mark.parametrize("file", FILES, ids=title)
def test_yaml_keys_are_the_settings_and_hold_the_only_defaults(file):
    settings = dict(read(file).objective)
    kind = get_class(settings.pop("_target_"))
    parameters = inspect.signature(kind.__init__).parameters.values()
    keywords = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert {p.name for p in keywords} == set(settings)
    assert all(p.default is inspect.Parameter.empty for p in keywords)
    assert getattr(kind, "__final__", False)


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_one_step_reaches_every_parameter(file, make_encoder):
    objective = build(file, make_encoder)
    terms = objective(batch(objective.needs.num_views))
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]
    terms["loss"].backward()
    unreached = [
        name
        for name, parameter in objective.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert unreached == []


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_same_seed_same_loss(file, make_encoder):
    def step():
        objective = build(file, make_encoder)
        torch.manual_seed(5)
        return objective(batch(objective.needs.num_views))["loss"].item()

    assert step() == step()


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_one_batch_can_be_overfitted(file, make_encoder):
    objective = build(file, make_encoder)
    views = batch(objective.needs.num_views)
    num_steps, rate = (50, 3e-3) if make_encoder is vit else (12, 1e-3)
    optimizer = torch.optim.Adam(objective.parameters(), lr=rate)
    losses = []
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = objective(views)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-2:]) / 2 < losses[0] - 0.15 * abs(losses[0])


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_bfloat16_autocast_changes_the_loss_little(file, make_encoder):
    def step(enabled):
        objective = build(file, make_encoder)
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            terms = objective(batch(objective.needs.num_views))
        assert all(term.dtype == torch.float32 for term in terms.values())
        terms["loss"].backward()
        return terms["loss"].item()

    assert step(True) == pytest.approx(step(False), rel=0.05)


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_pictures_are_aligned_images(file, make_encoder):
    objective = build(file, make_encoder).eval()
    for row in objective.pictures(batch(objective.needs.num_views)).values():
        assert row.shape == (NUM_SAMPLES, 1, 8, 8)
        assert row.dtype == torch.float32


@pytest.mark.parametrize("file", FILES, ids=title)
@pytest.mark.parametrize("encoder", [ViT, ResNet])
@pytest.mark.parametrize("data", [DATA, DATA._replace(num_classes=0)])
@pytest.mark.parametrize("num_views", [1, 2])
def test_misfits_are_one_clear_error(file, encoder, data, num_views):
    needs = get_class(read(file).objective._target_).needs
    misfit = (
        (needs.labels and not data.num_classes)
        or (needs.tokens and not encoder.contextual)
        or (num_views < needs.num_views if needs.more_views else num_views != needs.num_views)
    )
    if not misfit:
        check(needs, title(file), encoder, data, num_views)
        return
    with pytest.raises(ValueError, match=title(file)) as error:
        check(needs, title(file), encoder, data, num_views)
    assert "\n" not in str(error.value)
