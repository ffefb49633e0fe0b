"""A tiny SoundFont: sines, so that what is played is known in closed form (SoundFont 2.04)."""

import struct

import numpy as np

INSTRUMENT, RELEASE, KEYS, SAMPLE, LOOPED = 41, 38, 43, 53, 54  # generators, section 8.1.2
RATE, ROOT, CYCLE = 44100, 69, 100
"""The sample is a sine of 441 Hz, called key 69."""


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def text(name, size=20):
    return name.encode().ljust(size, b"\0")


def soundfont(names, highest=None, release=-12000):
    """The bytes of a SoundFont of programs 0, 1, ... that all play the same looped sine.

    Args:
        names: Of the programs.
        highest: Program to its highest key that sounds; 127 for the others.
        release: How long a note goes on after its key is let go, 1200 log2(seconds).
    """
    highest = highest or {}
    num = len(names)
    wave = 0.5 * 2**15 * np.sin(2 * np.pi * np.arange(20 * CYCLE) / CYCLE)
    samples = np.concatenate([wave, np.zeros(46)]).astype("<i2").tobytes()
    presets = [struct.pack("<HHHIII", p, 0, p, 0, 0, 0) for p in range(num + 1)]
    sample = struct.pack("<HhHHHH", RELEASE, release, LOOPED, 1, SAMPLE, 0)
    zones = [struct.pack("<HBB", KEYS, 0, highest.get(p, 127)) + sample for p in range(num)]
    loop = (0, len(wave), CYCLE, len(wave) - CYCLE, RATE)
    tables = {
        b"phdr": b"".join(text(n) + r for n, r in zip([*names, "EOP"], presets, strict=True)),
        b"pbag": b"".join(struct.pack("<HH", p, 0) for p in range(num + 1)),
        b"pmod": bytes(10),
        b"pgen": b"".join(struct.pack("<HH", INSTRUMENT, p) for p in range(num)) + bytes(4),
        b"inst": b"".join(text(f"i{p}") + struct.pack("<H", p) for p in range(num + 1)),
        b"ibag": b"".join(struct.pack("<HH", 4 * p, 0) for p in range(num + 1)),
        b"imod": bytes(10),
        b"igen": b"".join(zones) + bytes(4),
        b"shdr": text("sine") + struct.pack("<IIIIIBbHH", *loop, ROOT, 0, 0, 1) + text("EOS", 46),
    }
    info = chunk(b"ifil", struct.pack("<HH", 2, 4)) + chunk(b"INAM", b"tiny\0\0")
    lists = [
        b"INFO" + info,
        b"sdta" + chunk(b"smpl", samples),
        b"pdta" + b"".join(chunk(name, content) for name, content in tables.items()),
    ]
    return chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", content) for content in lists))
