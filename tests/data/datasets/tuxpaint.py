"""Tiny folders of the layout of Tux Paint's stamps: tones instead of speech."""

import io
from functools import cache

import numpy as np
import soundfile


@cache  # equal bytes for equal numbers: ogg files hold a random serial number
def tone(number):
    stream = io.BytesIO()
    wave = 0.3 * np.sin(2 * np.pi * (200 + 10 * number) * np.arange(1200 + number) / 8000)
    soundfile.write(stream, wave, 8000, format="OGG")
    return stream.getvalue()


class Stamps:
    """Writes captions and clips, each of its own number unless one is given."""

    def __init__(self, root):
        self.root = root
        self.number = 0

    def add(self, picture, caption=None, languages=("fr",), number=None, **captions):
        place = self.root / "usr" / "share" / "stamps" / picture
        place.parent.mkdir(parents=True, exist_ok=True)
        if caption is not None:
            lines = [caption, *(f"{key}.utf8={value}" for key, value in captions.items())]
            place.with_name(place.name + ".txt").write_text("\n".join(lines) + "\n")
        for language in languages:
            self.number += 1
            ending = "_desc.ogg" if language == "en" else f"_desc_{language}.ogg"
            content = tone(self.number if number is None else number)
            place.with_name(place.name + ending).write_bytes(content)
