import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trivium.data.errors import DataError
from trivium.data.formats import media as module
from trivium.data.formats.media import decode_picture as decode


def png(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_pixels_of_the_right_size_are_untouched():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    got = decode(png(Image.fromarray(pixels)), (3, 6, 5), "x")
    np.testing.assert_array_equal(got, pixels.transpose(2, 0, 1))


def test_the_shorter_side_is_resized_and_the_middle_kept():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 14:46] = 255
    assert (decode(png(Image.fromarray(pixels)), (3, 10, 10), "x") == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_grey_or_colour(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    content = png(Image.new(mode, (4, 4)), kind)
    assert decode(content, (1, 4, 4), "x").shape == (1, 4, 4)
    assert decode(content, (3, 4, 4), "x").shape == (3, 4, 4)


def test_transparency_lies_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (decode(png(clear), (3, 4, 4), "x") == 255).all()


def test_sixteen_bits_keep_their_upper_half():
    deep = Image.fromarray(np.full((4, 4), 0x8123, np.uint16))
    assert (decode(png(deep), (1, 4, 4), "x") == 0x81).all()


def test_the_cameras_orientation_is_applied():
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:4] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    got = decode(png(image, exif=exif), (1, 8, 8), "x")
    assert (got[0, 4:] == 255).all()
    assert (got[0, :4] == 0).all()


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 99)
    with pytest.raises(DataError, match="bomb: 10 x 10 pixels are too many"):
        decode(png(Image.new("L", (10, 10))), (1, 4, 4), "bomb")


@given(st.binary(max_size=60), st.integers(8, 70))
def test_whatever_the_bytes_it_is_a_picture_or_one_error(tail, keep):
    content = png(Image.new("L", (9, 9), 7))[:keep] + tail
    try:
        assert decode(content, (1, 9, 9), "odd").shape == (1, 9, 9)
    except DataError as error:
        said = str(error)
    else:
        said = "odd"
    assert said.startswith("odd")
