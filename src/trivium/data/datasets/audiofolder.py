"""A folder of the user's own sounds, one folder per class (or none, without labels)."""

from collections.abc import Mapping
from pathlib import Path

from trivium.data.config import plain_option, sound_settings
from trivium.data.datasets.folders import open_folder
from trivium.data.datasets.soundfiles import SUFFIXES, decode_all
from trivium.data.writer import Parsed, Waves


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Decode every sound below `folder`, ordered by path: one sample each.

    Any rate and number of channels becomes `spectrogram.rate` and one channel. Layouts: see
    `ClassFolder`. Options: `test_fraction` (where there is no folder `test`) and `on_error`
    (`raise` or `skip`).

    Raises:
        DataError: no sounds, classes that differ between train and test, sounds both in class
            folders and outside, or a broken one (unless skipped).
    """
    settings, frames = sound_settings(config)
    on_error = plain_option(config, "on_error", ("raise", "skip"))
    found = open_folder(folder, SUFFIXES, "sounds")
    sources = ((str(path), path) for path in found.every)
    clips = decode_all(sources, settings.rate, scratch, on_error, len(found.every))
    return Parsed(
        {},
        *found.labels(),
        *found.divide(clips.good, config),
        waves=Waves(clips.flat, clips.offsets, settings, frames),
    )
