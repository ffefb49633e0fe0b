import numpy as np
import pytest
from PIL import Image

from trivium.data.errors import DataError
from trivium.data.formats.svg import Bounds, Box, render

BOX = Box(0, 0, 8, 8)
RED = '<rect width="8" height="8" fill="#f00"/>'


def test_a_drawing_lies_on_white():
    pixels = render('<rect width="4" height="8" fill="#f00"/>', BOX, 16, "half")
    assert (pixels.shape, pixels.dtype) == ((3, 16, 16), np.uint8)
    assert (pixels[:, :, 8:] == 255).all()
    assert (pixels[0, :, :8] == 255).all()
    assert (pixels[1:, :, :8] == 0).all()


def test_the_box_is_centred_in_a_square():
    pixels = render('<rect x="-5" y="7" width="8" height="4"/>', Box(-5, 7, 8, 4), 8, "flat")
    assert (pixels[:, 2:6] == 0).all()
    assert (pixels[:, [0, 1, 6, 7]] == 255).all()


def test_references_inside_of_a_drawing_are_followed():
    body = (
        '<defs><path id="a" d="M0 0h4v8H0z"/><linearGradient id="b"><stop stop-color="#00f"/>'
        '</linearGradient></defs><use href="#a" fill="url(#b)"/><use xlink:href="#a" x="4"/>'
    )
    pixels = render(body, BOX, 8, "uses")
    assert pixels[:, 4, 1].tolist() == [0, 0, 255]
    assert pixels[:, 4, 6].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ('<image href="FILE" width="8" height="8"/>', "<image>"),
        ('<use href="FILE#a"/>', "leaves the drawing"),
        ('<use xlink:href="FILE#a"/>', "leaves the drawing"),
        ('<g xmlns:y="http://www.w3.org/1999/xlink"><use y:href="FILE"/></g>', "leaves"),
        ("<rect fill=\"url('FILE')\"/>", "leaves the drawing"),
        ('<rect style="fill: URL( FILE )"/>', "leaves the drawing"),
        ('<filter><feImage href="FILE"/></filter>', "<feImage>"),
        ('<x:image xmlns:x="http://www.w3.org/2000/svg" href="FILE"/>', "<x:image>"),
        ("<style>@import 'FILE'</style>", "<style>"),
        ("<text>hello</text>", "<text>"),
        ("<script>1</script>", "<script>"),
        ('</svg><!DOCTYPE svg [<!ENTITY a "b">]><svg>', "not well-formed"),
        ("&a;", "not well-formed"),
        ("<g>", "not well-formed"),
        ("<g>" * 40 + "</g>" * 40, "too deep"),
        ("<g/>" * 20_000, "too many elements"),
        ('<path id="a"/>' + '<use href="#a"/>' * 201, "too many uses"),
        ('<g id="a"><use href="#b"/></g><path id="b"/><use href="#a"/>', "inside of a used"),
        (" " * (1 << 20), "out of bounds"),
    ],
)
def test_what_might_do_harm_is_refused(tmp_path, extra, message):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    with pytest.raises(DataError, match=f"odd.*{message}"):
        render(RED + extra.replace("FILE", str(tmp_path / "red.png")), BOX, 8, "odd")


def test_nesting_within_the_bounds_is_drawn():
    deep = Bounds().max_depth - 2
    assert render("<g>" * deep + RED + "</g>" * deep, BOX, 8, "deep")[1].max() == 0


def test_nothing_to_see_is_refused():
    for body in ("", '<rect width="8" height="8" fill="#fff"/>', '<path d="M 0"/>'):
        with pytest.raises(DataError, match="blank: the drawing is empty"):
            render(body, BOX, 8, "blank")
    with pytest.raises(DataError, match="out of bounds"):
        render(RED, Box(0, 0, 0, 8), 8, "flat")
