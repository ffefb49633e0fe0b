"""Small data of several modalities, and towers for them."""

import torch

from trivium.encoders.towers import Towers
from trivium.types import BOS, EOS, MODALITIES, PAD, DataSpec, ModalityInput, View, Views, together

SOUND = (16000, 400, 160, 16, 60.0, 7600.0)
PARTS = {
    "image": DataSpec("pairs", "image", (3, 16, 16), 4, 64, (0.5,) * 3, (0.5,) * 3),
    "text": DataSpec("pairs", "text", (12,), 4, 64, (), (), vocabulary=50),
    "audio": DataSpec("pairs", "audio", (1, 24, 16), 4, 64, (-5.0,), (3.0,), sound=SOUND),
}
TRUNK = {"width": 16, "depth": 1, "num_heads": 2, "init": "xavier"}
TOWERS = {
    "image": {"_target_": "trivium.encoders.vit.ViT", "name": "vit", "patch": 8, **TRUNK},
    "text": {"_target_": "trivium.encoders.text.TextTransformer", "name": "text", **TRUNK},
    "audio": {
        "_target_": "trivium.encoders.spectrogram.SpectrogramTransformer",
        "name": "audio",
        "patch": [4, None],
        **TRUNK,
    },
}


def spec(*modalities):
    """Facts of data of these modalities."""
    parts = tuple(PARTS[one] for one in MODALITIES if one in modalities)
    return DataSpec("pairs", together(modalities), (), 4, 64, (), (), parts=parts)


def towers(data, **settings):
    """Small towers."""
    given = {"name": "towers", "joint_width": 8, "fusion_width": 16, **TOWERS, **settings}
    return Towers(data, **given)


def senses(data, batch=6, seed=0, present=None):
    """Random inputs; `present` by modality."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for part in data.parts:
        one = part.modality
        valid = None
        if one == "image":
            values = torch.rand(batch, *part.shape, generator=generator)
        elif one == "text":
            lengths = torch.randint(4, part.shape[0] + 1, (batch,), generator=generator)
            valid = torch.arange(part.shape[0]) < lengths[:, None]
            values = torch.randint(4, part.vocabulary, (batch, part.shape[0]), generator=generator)
            values[:, 0] = BOS
            values = values.scatter(1, lengths[:, None] - 1, EOS).masked_fill(~valid, PAD)
        else:
            values = torch.randn(batch, *part.shape, generator=generator) * 3 - 5
            valid = (
                torch.arange(part.shape[1]) < torch.tensor([16, 24])[torch.arange(batch) % 2, None]
            )
        there = None if present is None or one not in present else torch.tensor(present[one])
        found[one] = ModalityInput(values, valid, there)
    return found


THERE = {"image": [True] * 4 + [False] * 2, "text": [True, False] + [True] * 4}
"""Who has what, of six samples."""


def assert_missing_is_ignored(objective, data):
    """What stands for missing pictures and texts changes neither terms nor gradients."""
    some = senses(data, present=THERE)
    ids, pixels = some["text"].values.clone(), some["image"].values.clone()
    ids[1], pixels[4:] = 9, 0.1
    other = {**some, "text": some["text"]._replace(values=ids)}
    other["image"] = some["image"]._replace(values=pixels)
    found = []
    for each in (some, other):
        torch.manual_seed(0)
        objective.zero_grad()
        terms = objective(Views((View(each),)))
        terms["loss"].backward()
        grads = [one.grad.clone() for one in objective.parameters() if one.grad is not None]
        found.append((terms, grads))
    for name, value in found[0][0].items():
        torch.testing.assert_close(value, found[1][0][name])
    for first, second in zip(found[0][1], found[1][1], strict=True):
        assert first.isfinite().all()
        torch.testing.assert_close(first, second)
