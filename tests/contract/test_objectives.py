"""What every objective promises, found by its yaml."""

import inspect
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

import clips
import pairs
import yamls
from trivium.config import register
from trivium.data.spectrogram import SILENCE
from trivium.encoders.resnet import ResNet
from trivium.encoders.spectrogram import SpectrogramTransformer
from trivium.encoders.text import TextTransformer
from trivium.encoders.towers import Towers
from trivium.encoders.vit import ViT
from trivium.encoders.wave import WaveTransformer
from trivium.objectives.compatibility import check
from trivium.types import BOS, EOS, PAD, DataSpec, Objective, View, Views, kind_of

register()

FOLDER = Path(__file__).parents[2] / "conf" / "objective"
FILES = sorted(FOLDER.rglob("*.yaml"))
TRAINED = [file for file in FILES if file.parent.name != "control"]
DATA = DataSpec("tiny", "image", (1, 8, 8), 4, 100, (0.5,), (0.3,))
TEXTS = DataSpec("short", "text", (12,), 4, 100, (), (), vocabulary=23)
NUM_SAMPLES = 8
SUPERVISED = "cross_entropy supcon"
UNSUPERVISED = "autoencoder denoising_autoencoder vae vq_vae deepcluster_v2"
SEVERAL = "unsupervised/mvae unsupervised/mopoe self_supervised/clip self_supervised/siglip "
SEVERAL += "self_supervised/m3ae control/cca"
SELF_SUPERVISED = (
    "simclr moco_v3 byol barlow_twins vicreg dino mae i_jepa lejepa data2vec gpt bert electra "
    "wav2vec2 hubert best_rq"
)


def vit(needs):
    return ViT(DATA, name="vit_test", patch=2, width=32, depth=2, num_heads=2)


def resnet(needs):
    return ResNet(DATA, name="resnet_test", depth=18, stem_kind="small", patch=2)


def text(needs):
    causal = bool(needs.causal)
    return TextTransformer(TEXTS, name="text_test", width=32, depth=2, num_heads=2, causal=causal)


def spectrogram(needs):
    return clips.spectrogram()


def wave(needs):
    return clips.wave()


def towers(needs):
    return pairs.towers(pairs.spec("image", "text"))


ENCODERS = {
    "vit": (ViT, vit),
    "resnet": (ResNet, resnet),
    "text": (TextTransformer, text),
    "spectrogram": (SpectrogramTransformer, spectrogram),
    "wave": (WaveTransformer, wave),
    "towers": (Towers, towers),
}
SPECS = {
    text: TEXTS,
    spectrogram: clips.CLIPS,
    wave: clips.LONGER,
    towers: pairs.spec("image", "text"),
}


def title(file):
    return file.relative_to(FOLDER).with_suffix("").as_posix()


def read(file, modality="image"):
    return OmegaConf.merge(yamls.read(file), {"data": {"modality": modality}})


def needs_of(file):
    return get_class(OmegaConf.load(file).objective._target_).needs


def build(file, make_encoder):
    torch.manual_seed(0)
    encoder, data = make_encoder(needs_of(file)), SPECS.get(make_encoder, DATA)
    objective = instantiate(read(file, data.modality).objective, encoder=encoder, data=data)
    assert objective.encoder is encoder or isinstance(objective.encoder, ENCODERS["text"][0])
    if type(objective).fit is not Objective.fit:
        objective.fit(*sounds(1, torch.Generator().manual_seed(2), make_encoder, number=40)[0])
    objective.after_step(1.0)
    return objective


def images(num_views, generator):
    images = torch.rand(NUM_SAMPLES, 1, 8, 8, generator=generator)
    noise = 0.05 * torch.randn(num_views, NUM_SAMPLES, 1, 8, 8, generator=generator)
    return tuple(View((images + part).clamp(0, 1)) for part in noise)


def texts(num_views, generator):
    """Texts of 4 to 12 tokens; each view has one id of each text exchanged."""
    ids = torch.randint(4, TEXTS.vocabulary, (NUM_SAMPLES, 12), generator=generator)
    lengths = torch.arange(NUM_SAMPLES) % 9 + 4
    places = torch.arange(12)
    valid = places < lengths[:, None]
    ids = ids.where(places < lengths[:, None] - 1, EOS).where(valid, PAD)
    ids[:, 0] = BOS
    views = []
    for number in range(num_views):
        changed = ids.clone()
        changed[:, 1] = (ids[:, 1] - 4 + number) % (TEXTS.vocabulary - 4) + 4
        views.append(View(changed, valid))
    return tuple(views)


def sounds(num_views, generator, make_encoder, number=NUM_SAMPLES):
    """Clips of 4 to 12 tokens; each view is the same in some noise, up to the end of each clip."""
    numbers = torch.arange(number) % 5 * 2 + 4
    if make_encoder is wave:
        values, valid = clips.waves((320 * numbers).tolist(), generator)
        heard, strength = valid, 0.01
    else:
        values, valid = clips.mels((2 * numbers).tolist(), generator)
        heard, strength = valid[:, None, :, None], 0.1
    noise = strength * torch.randn(num_views, *values.shape, generator=generator)
    return tuple(View(torch.where(heard, values + part, values), valid) for part in noise)


def batch(num_views, make_encoder=vit):
    generator = torch.Generator().manual_seed(1)
    if make_encoder is towers:
        some = [pairs.senses(SPECS[towers], NUM_SAMPLES, seed) for seed in range(num_views)]
        return Views(tuple(map(View, some)), torch.arange(NUM_SAMPLES) % DATA.num_classes)
    if make_encoder in (spectrogram, wave):
        views = sounds(num_views, generator, make_encoder)
    else:
        views = (texts if make_encoder is text else images)(num_views, generator)
    return Views(views, torch.arange(NUM_SAMPLES) % DATA.num_classes)


def fits(file, encoder):
    needs = needs_of(file)
    tokens = encoder.contextual or encoder is Towers  # its towers are
    return encoder.modality in needs.modalities and (tokens or not needs.tokens)


PAIRS = [
    pytest.param(file, make, id=f"{title(file)}-{name}")
    for file in TRAINED
    for name, (kind, make) in ENCODERS.items()
    if fits(file, kind)
]
MODALITIES = [
    pytest.param(file, modality, id=f"{title(file)}-{modality}")
    for file in FILES
    for modality in ("image", "text", "audio", "image+text")
    if kind_of(modality) in needs_of(file).modalities
]


def test_every_objective_is_seen():
    seen = {title(file) for file in FILES}
    assert seen >= {f"supervised/{name}" for name in SUPERVISED.split()}
    assert seen >= {f"unsupervised/{name}" for name in UNSUPERVISED.split()}
    assert seen >= {f"self_supervised/{name}" for name in SELF_SUPERVISED.split()}
    assert seen >= {"control/untrained", "control/pca", "control/lsa", *SEVERAL.split()}
    assert {
        get_class(read(file).objective._target_).__module__.split(".")[-1] for file in FILES
    } == {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=title)
def test_yaml_is_short_and_says_where_it_belongs(file):
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert len(lines) <= 26
    config = OmegaConf.load(file)
    kind = get_class(config.objective._target_)
    assert kind.paradigm == file.parent.name
    own = {"adamw", "search", "encoder", "trainer"}
    assert set(config) - own == {"objective", "objective_views"}


ELSEWHERE = OmegaConf.load(FOLDER.parent / "encoder" / "text_nano.yaml")
ELSEWHERE = OmegaConf.create({"encoder": ELSEWHERE})


@pytest.mark.parametrize(("file", "modality"), MODALITIES)
def test_search_space_is_sound_and_of_equal_size(file, modality):
    if file not in TRAINED:
        return
    config = read(file, modality)
    search = config.search
    free = [space for space in search.values() if len(space.get("choices", "ab")) > 1]
    assert 2 <= len(free) <= 3
    assert search["adamw.lr"] == {"low": 1e-3, "high": 1.6e-2, "log": True}
    for key, space in search.items():
        chosen = OmegaConf.select(config, key, default=OmegaConf.select(ELSEWHERE, key))
        assert chosen is not None
        if "choices" in space:
            assert set(space) == {"choices"}
            assert chosen in space.choices
        else:
            assert space.low <= chosen <= space.high


@pytest.mark.parametrize(("file", "modality"), MODALITIES)
def test_yaml_keys_are_the_settings_and_hold_the_only_defaults(file, modality):
    settings = dict(read(file, modality).objective)
    kind = get_class(settings.pop("_target_"))
    parameters = inspect.signature(kind.__init__).parameters.values()
    keywords = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert {p.name for p in keywords} == set(settings)
    assert all(p.default is inspect.Parameter.empty for p in keywords)
    assert getattr(kind, "__final__", False)


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_one_step_reaches_every_parameter(file, make_encoder):
    objective = build(file, make_encoder)
    terms = objective(batch(objective.needs.num_views, make_encoder))
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]
    terms["loss"].backward()
    unreached = [
        name
        for name, parameter in objective.named_parameters()
        if not name.startswith(tuple(f"encoder.{one}" for one in objective.encoder.optional))
        and parameter.requires_grad
        and (parameter.grad is None or not parameter.grad.any())
    ]
    assert unreached == []


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_same_seed_same_loss(file, make_encoder):
    def step():
        objective = build(file, make_encoder)
        torch.manual_seed(5)
        return objective(batch(objective.needs.num_views, make_encoder))["loss"].item()

    assert step() == step()


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_one_batch_can_be_overfitted(file, make_encoder):
    objective = build(file, make_encoder)
    views = batch(objective.needs.num_views, make_encoder)
    num_steps, rate = (50, 3e-3) if make_encoder is not resnet else (12, 1e-3)
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
            terms = objective(batch(objective.needs.num_views, make_encoder))
        assert all(term.dtype == torch.float32 for term in terms.values())
        terms["loss"].backward()
        return terms["loss"].item()

    assert step(True) == pytest.approx(step(False), rel=0.05)


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_pictures_are_aligned_images_or_ids(file, make_encoder):
    objective = build(file, make_encoder).eval()
    drawn = objective.pictures(batch(objective.needs.num_views, make_encoder))
    for name, row in drawn.items():
        if make_encoder is towers:
            modality = name.split(" ")[0]
            ids = modality == "text"
            assert row.shape[1:] == ((12,) if ids else pairs.PARTS[modality].shape)
            assert len(row) == NUM_SAMPLES
            assert row.dtype == (torch.int64 if ids else torch.float32)
            continue
        if make_encoder is text:
            assert len(row) == NUM_SAMPLES
            assert row.dtype == torch.int64
            assert row.min() >= 0
            assert row.max() < TEXTS.vocabulary
        elif make_encoder is wave:
            assert row.shape == (NUM_SAMPLES, 3840)
            assert row.abs().max() <= 1
        elif make_encoder is spectrogram:
            assert row.shape == (NUM_SAMPLES, 1, 24, 16)
            assert row.min() >= SILENCE - 1e-4
        else:
            assert row.shape == (NUM_SAMPLES, 1, 8, 8)
            assert row.dtype == torch.float32


@pytest.mark.parametrize(
    ("file", "make_encoder"), [pair for pair in PAIRS if pair.values[1] in (text, spectrogram)]
)
def test_what_stands_in_the_padding_does_not_matter(file, make_encoder):
    def step(filler):
        objective = build(file, make_encoder)
        views, labels = batch(objective.needs.num_views, make_encoder)
        heard = views[0].valid if make_encoder is text else views[0].valid[:, None, :, None]
        filled = (View(view.values.where(heard, filler), view.valid) for view in views)
        torch.manual_seed(5)
        loss = objective(Views(tuple(filled), labels))["loss"]
        loss.backward()
        rows = [p.grad.double().norm() for p in objective.parameters() if p.grad is not None]
        return loss.item(), torch.stack(rows)

    (first, rows), (second, others) = step(PAD), step(17)
    assert second == pytest.approx(first, abs=1e-6)
    torch.testing.assert_close(others, rows, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("file", FILES, ids=title)
@pytest.mark.parametrize("encoder", [ViT, ResNet, TextTransformer, SpectrogramTransformer, Towers])
@pytest.mark.parametrize(
    "data", [DATA, DATA._replace(num_classes=0), TEXTS, clips.CLIPS, SPECS[towers]]
)
@pytest.mark.parametrize("num_views", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_misfits_are_one_clear_error(file, encoder, data, num_views, causal):
    needs = needs_of(file)
    of_encoder = encoder.modality != kind_of(data.modality)
    misfit = (
        of_encoder
        or kind_of(data.modality) not in needs.modalities
        or (needs.labels and not data.num_classes)
        or (needs.tokens and not encoder.contextual and encoder is not Towers)
        or (needs.causal is not None and needs.causal != causal)
        or (num_views < needs.num_views if needs.more_views else num_views != needs.num_views)
    )
    if not misfit:
        check(needs, title(file), encoder, data, num_views, causal)
        return
    name = encoder.__name__ if of_encoder else title(file)
    with pytest.raises(ValueError, match=f"{name}|{title(file)}") as error:
        check(needs, title(file), encoder, data, num_views, causal)
    assert "\n" not in str(error.value)
