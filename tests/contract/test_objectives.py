"""What every objective promises, found by its yaml."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

import clips
import pairs
import yamls
from trivium import objectives
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
ONCE = [pair for pair in PAIRS if pair.values[1] not in (resnet, wave)]
"""Each objective with one encoder of each modality."""


def modalities_of(file):
    names = ("image", "text", "audio", "image+text")
    return [one for one in names if kind_of(one) in needs_of(file).modalities]


def test_every_objective_of_the_library_has_a_yaml():
    for module in pkgutil.walk_packages(objectives.__path__, "trivium.objectives."):
        importlib.import_module(module.name)
    written, todo = set(), [Objective]
    while todo:
        for kind in todo.pop().__subclasses__():
            todo.append(kind)
            if kind.__module__.startswith("trivium.") and getattr(kind, "__final__", False):
                written.add(kind)
    found = [get_class(read(file).objective._target_) for file in FILES]
    assert len(set(found)) == len(found) >= 32
    assert set(found) == written


@pytest.mark.parametrize("file", FILES, ids=title)
def test_yaml_is_short_and_its_keys_are_the_settings_and_hold_the_only_defaults(file):
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert len(lines) <= 26
    config = OmegaConf.load(file)
    kind = get_class(config.objective._target_)
    assert kind.paradigm == file.parent.name
    own = {"adamw", "search", "encoder", "trainer"}
    assert set(config) - own == {"objective", "objective_views"}
    parameters = inspect.signature(kind.__init__).parameters.values()
    keywords = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for modality in modalities_of(file):
        settings = dict(read(file, modality).objective)
        assert {p.name for p in keywords} == set(settings) - {"_target_"}
    assert all(p.default is inspect.Parameter.empty for p in keywords)


ELSEWHERE = OmegaConf.load(FOLDER.parent / "encoder" / "text_nano.yaml")
ELSEWHERE = OmegaConf.create({"encoder": ELSEWHERE})


@pytest.mark.parametrize("file", TRAINED, ids=title)
def test_search_space_is_sound_and_of_equal_size(file):
    for config in (read(file, modality) for modality in modalities_of(file)):
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


def step(file, make_encoder, filler=None, bfloat16=False):
    """An objective after one backward pass, and its terms; padding holds `filler`."""
    objective = build(file, make_encoder)
    views, labels = batch(objective.needs.num_views, make_encoder)
    if filler is not None:
        valid = views[0].valid if make_encoder is text else views[0].valid[:, None, :, None]
        views = tuple(View(view.values.where(valid, filler), view.valid) for view in views)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        terms = objective(Views(views, labels))
    terms["loss"].backward()
    return objective, terms


@pytest.mark.parametrize(("file", "make_encoder"), PAIRS)
def test_one_step_reaches_every_parameter_and_repeats(file, make_encoder):
    objective, terms = step(file, make_encoder)
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]
    optional = tuple(f"encoder.{one}" for one in objective.encoder.optional)
    unreached = [
        name
        for name, parameter in objective.named_parameters()
        if not name.startswith(optional)
        and parameter.requires_grad
        and (parameter.grad is None or not parameter.grad.any())
    ]
    assert unreached == []
    if make_encoder is not resnet:
        assert step(file, make_encoder)[1]["loss"].item() == terms["loss"].item()
    if make_encoder in (text, spectrogram):  # what stands in the padding does not matter
        other, found = step(file, make_encoder, filler=17)
        assert found["loss"].item() == pytest.approx(terms["loss"].item(), abs=1e-6)
        torch.testing.assert_close(norms(other), norms(objective), rtol=1e-4, atol=1e-6)
    rounded = step(file, make_encoder, bfloat16=True)[1]
    assert all(term.dtype == torch.float32 for term in rounded.values())
    assert rounded["loss"].item() == pytest.approx(terms["loss"].item(), rel=0.05)


def norms(objective):
    """The norm of each parameter's gradient."""
    found = [p.grad.double().norm() for p in objective.parameters() if p.grad is not None]
    return torch.stack(found)


@pytest.mark.parametrize(("file", "make_encoder"), ONCE)
def test_one_batch_can_be_overfitted(file, make_encoder):
    objective = build(file, make_encoder)
    views = batch(objective.needs.num_views, make_encoder)
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = objective(views)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if max(losses[-2:]) < losses[0] - 0.15 * abs(losses[0]):
            return
    pytest.fail(f"{losses[0]} fell to {losses[-1]} only")


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
        elif make_encoder is text:
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


@pytest.mark.parametrize("file", FILES, ids=title)
def test_each_misfit_is_one_sentence_that_names_what_does_not_fit(file):
    needs, name = needs_of(file), title(file)
    makers = {"image": vit, "text": text, "audio": spectrogram, "several": towers}
    kinds = {modality: ENCODERS[make.__name__][0] for modality, make in makers.items()}
    specs = {modality: SPECS.get(make, DATA) for modality, make in makers.items()}
    causal = bool(needs.causal)

    def refused(named, encoder, data, num_views=needs.num_views, causal=causal):
        with pytest.raises(ValueError, match=named) as error:
            check(needs, name, encoder, data, num_views, causal)
        assert "\n" not in str(error.value)

    for modality, data in specs.items():
        if modality not in needs.modalities:
            refused(data.modality.replace("+", r"\+"), kinds[modality], data)
            continue
        right = kinds[modality], data
        check(needs, name, *right, needs.num_views, causal)
        refused(f"{name}.* {needs.num_views} .*view", *right, num_views=needs.num_views - 1)
        other = next(kind for one, kind in kinds.items() if one != modality)
        refused(other.__name__, other, data)
        if needs.more_views:
            check(needs, name, *right, needs.num_views + 1, causal)
        else:
            refused(f"{name}.* {needs.num_views} .*view", *right, num_views=needs.num_views + 1)
        if needs.labels:
            refused(f"{name}.*label", right[0], data._replace(num_classes=0))
        if needs.causal is not None:
            refused("encoder.causal", *right, causal=not causal)
        if modality == "image" and needs.tokens:
            refused("ResNet", ResNet, data)
