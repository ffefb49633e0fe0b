"""Clips of audio of different lengths, as views of waves or of log-mel, and small encoders."""

import math

import torch

from trivium.data.spectrogram import SILENCE, LogMel, settings_of
from trivium.encoders.spectrogram import SpectrogramTransformer
from trivium.encoders.wave import WaveTransformer
from trivium.types import DataSpec, View

SOUND = (8000.0, 64.0, 32.0, 16.0, 0.0, 4000.0)
HOP = 32
CLIPS = DataSpec("clips", "audio", (1, 24, 16), 4, 100, (-4.0,), (3.0,), sound=SOUND)
"""At most 24 frames of 16 mel bands: 768 samples."""
LONGER = CLIPS._replace(shape=(1, 120, 16))
"""At most 120 frames: 3840 samples, 12 tokens of waves."""
SIZES = {"width": 32, "depth": 2, "num_heads": 2}


def spectrogram(data=CLIPS, patch=(2, 16), **settings):
    return SpectrogramTransformer(data, name="audio_test", patch=patch, **(SIZES | settings))


def wave(data=LONGER, **settings):
    return WaveTransformer(data, name="wave_test", **(SIZES | {"channels": 8} | settings))


def noisy_tones(lengths, generator=None):
    """One clip of so many samples each: a tone that swells, in noise."""
    clips = []
    for number, length in enumerate(lengths):
        time = torch.arange(length) / SOUND[0]
        tone = (2 * math.pi * (200 + 150 * number) * time).sin() * (30 * time).sin()
        noise = torch.randn(length, generator=generator)
        clips.append(0.3 * tone + 0.05 * noise)
    return clips


def padded(clips, fill=0.0):
    """Sequences of different lengths as one batch, and where it holds data."""
    lengths = torch.tensor([len(clip) for clip in clips])
    values = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=fill)
    return values, torch.arange(values.shape[1]) < lengths[:, None]


def waves(lengths, generator=None):
    """Clips of so many samples as a view of waves."""
    return View(*padded(noisy_tones(lengths, generator)))


def mels(lengths, generator=None, data=CLIPS):
    """Clips of so many frames as a view of log-mel: silence behind the end, as in a store."""
    transform = LogMel(settings_of(data.sound))
    clips = noisy_tones([HOP * length for length in lengths], generator)
    values, valid = padded([transform(clip[None])[0] for clip in clips], fill=SILENCE)
    return View(values.unsqueeze(1), valid)


def alone(view, number):
    """One clip of a view without padding."""
    length = int(view.valid[number].sum())
    dim = 0 if view.values.ndim == 2 else 1
    return View(view.values[number].narrow(dim, 0, length).unsqueeze(0))


def perturbed(module):
    """Every parameter away from its start: zeros and ones hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module
