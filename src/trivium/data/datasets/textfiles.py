"""Plain text files."""

from pathlib import Path

from trivium.data.errors import DataError

SUFFIXES = {".txt", ".md", ".text"}


def read_text(path: Path) -> str:
    """A file's text (UTF-8, with or without a byte order mark), with one line break at line ends.

    Raises:
        DataError: it is empty, or of another encoding; names it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}): convert it") from error
    if not text.strip():
        raise DataError(f"{path} holds no text: remove it")
    return text
