import pytest

from trivium.data.errors import DataError
from trivium.data.formats.svg import render_file

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:own="urn:own" '


@pytest.fixture
def draw(tmp_path):
    def drawn(text, size=8):
        path = tmp_path / "x.svg"
        path.write_text(text)
        return render_file(path, size)

    return drawn


def red(pixels):
    """Where it is red."""
    return ((pixels[0] > 200) & (pixels[1] < 50)).tolist()


HALF = [[True] * 4 + [False] * 4] * 8


@pytest.mark.parametrize(
    "size",
    ['width="8" height="8"', 'width="6pt" height="6pt"', 'width="1in" viewBox="0,0 8 8"'],
)
def test_the_size_is_the_view_box_or_width_and_height(draw, size):
    assert red(draw(f'{HEAD}{size}><rect width="4" height="8" fill="red"/></svg>')) == HALF


def test_a_drawing_lies_whole_in_the_middle(draw):
    pixels = draw(f'{HEAD} viewBox="0 0 8 4"><rect width="8" height="4" fill="red"/></svg>')
    assert red(pixels) == [[False] * 8] * 2 + [[True] * 8] * 4 + [[False] * 8] * 2


def test_what_an_editor_adds_is_left_out(draw):
    body = """<metadata><own:thing own:x="1">text &amp; more<path d="M0 0"/></own:thing></metadata>
    <style>rect {fill: blue}</style><script>1</script><image href="file:///etc/passwd"/>
    <text x="0" y="8">word</text><own:view/><rect own:label="a" width="4" height="8"/>"""
    assert red(draw(f'{HEAD} fill="red" width="8" height="8">{body}</svg>')) == HALF


def test_a_switch_shows_its_drawing(draw):
    body = '<switch><foreignObject/><g><rect width="4" height="8" fill="red"/></g></switch>'
    assert red(draw(f'{HEAD} width="8" height="8">{body}</svg>')) == HALF


def test_an_entity_may_stand_for_a_namespace(draw):
    text = '<!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg">]><svg xmlns="&ns;" '
    body = 'width="8" height="8"><rect width="4" height="8" fill="red"/></svg>'
    assert red(draw(text + body)) == HALF


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}", "is not well-formed"),
        (f'{HEAD} width="8"><rect/></svg>', "no viewBox, width and height"),
        (f'{HEAD} width="8em" height="8"><rect/></svg>', "no viewBox, width and height"),
        (f'{HEAD} viewBox="0 0 8"><rect/></svg>', "no viewBox, width and height"),
        (f'{HEAD} width="8" height="8"><text>a</text></svg>', "the drawing is empty"),
        (f'{HEAD} width="8" height="8"><use href="http://x/y"/></svg>', "leaves the drawing"),
        ('<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///x">]><svg/>', "refused: entity a"),
        ('<!DOCTYPE svg [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><svg/>', "refused: entity c"),
        (" " * (1 << 20) + "<svg/>", "bytes are too many"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, text, message):
    with pytest.raises(DataError, match=rf"x\.svg.*{message}"):
        draw(text)
