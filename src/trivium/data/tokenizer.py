"""From texts to ids and back: tokenizers trained on the train split alone, kept as json."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Int64, Integer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.normalizers import Lowercase

from trivium.data.errors import ConfigError
from trivium.types import BOS, EOS, SPECIAL_TOKENS

KINDS = ("bpe", "byte", "character", "file")
UNKNOWN = "[UNK]"
"""What a character that training never saw becomes (kind `character` alone); it comes last."""
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
"""One printable character for each of the 256 bytes."""


def train_tokenizer(settings: Mapping[str, object], texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of one of four kinds.

    `bpe`: byte-pair encoding over bytes (1508.07909; byte level as in GPT-2) with `vocabulary`
    ids; `byte`: the 256 bytes; `character`: the characters of `texts` (what they lack becomes
    `[UNK]`); `file`: the tokenizer.json at `path`, e.g. of another run. Ids 0 to 3 are the special
    tokens. With `lowercase` upper case is lost.

    Args:
        settings: kind, vocabulary (bpe), lowercase, path (file).
        texts: What it is trained on; the train split alone.

    Raises:
        ConfigError: an unknown key or kind, a vocabulary that cannot hold the bytes, or a file
            that is no tokenizer with these special tokens.
    """
    if unknown := sorted(set(settings) - {"kind", "vocabulary", "lowercase", "path"}):
        raise ConfigError(
            f"tokenizer: unknown {unknown[0]}; keys: kind, vocabulary, lowercase, path"
        )
    kind = settings.get("kind")
    if kind not in KINDS:
        raise ConfigError(f"tokenizer.kind is {kind!r}; choose of {', '.join(KINDS)}")
    if kind == "file":
        return _from_file(Path(str(settings.get("path"))))
    normalizer = Lowercase() if settings.get("lowercase") else None
    seen = texts if normalizer is None else map(normalizer.normalize_str, texts)
    tokenizer = _character(seen) if kind == "character" else _bytes(kind, settings, seen)
    tokenizer.normalizer = normalizer
    return load_tokenizer(tokenizer.to_str())


def load_tokenizer(text: str) -> Tokenizer:
    """A tokenizer out of its json; what looks like a special token in a text is text to it."""
    tokenizer = Tokenizer.from_str(text)
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode_all(
    tokenizer: Tokenizer, texts: Sequence[str]
) -> tuple[Integer[np.ndarray, " token"], Int64[np.ndarray, " bound"]]:
    """Every text as `[BOS] ids [EOS]`, one after another, and where each begins (and the end).

    Ids are uint16 if the vocabulary allows it, else uint32.
    """
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    rows = [np.array([BOS, *one.ids, EOS], dtype) for one in encoded]
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return np.concatenate([*rows, np.empty(0, dtype)]), offsets


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of some ids; special tokens are left out."""
    text: str = tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)
    return text


def token_bytes(tokenizer: Tokenizer) -> Int64[np.ndarray, " id"]:
    """How many bytes of text each id stands for: special tokens for none, `[UNK]` for one."""
    size = tokenizer.get_vocab_size()
    byte_level = isinstance(tokenizer.decoder, decoders.ByteLevel)
    counts = np.zeros(size, np.int64)
    for number in range(len(SPECIAL_TOKENS), size):
        token = tokenizer.id_to_token(number) or ""
        counts[number] = len(token) if byte_level else len(token.encode())
    if (unknown := tokenizer.token_to_id(UNKNOWN)) is not None:
        counts[unknown] = 1
    return counts


def _bytes(kind: object, settings: Mapping[str, object], texts: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=kind == "bpe"
    )
    tokenizer.decoder = decoders.ByteLevel()
    least = len(SPECIAL_TOKENS) + len(ALPHABET)
    size = settings.get("vocabulary") if kind == "bpe" else least
    if not isinstance(size, int) or size < least:
        raise ConfigError(
            f"tokenizer.vocabulary is {size!r}; it holds 256 bytes and 4 special tokens, so that "
            f"it must be a number of at least {least}"
        )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(name, special=True) for name in SPECIAL_TOKENS],
        initial_alphabet=ALPHABET,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts if kind == "bpe" else [], trainer)
    return tokenizer


def _character(texts: Iterable[str]) -> Tokenizer:
    characters = sorted({character for text in texts for character in text})
    names = [*SPECIAL_TOKENS, *characters, UNKNOWN]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL_TOKENS])
    return tokenizer


def _from_file(path: Path) -> Tokenizer:
    try:
        tokenizer = load_tokenizer(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare ones
        raise ConfigError(f"tokenizer.path: {path} is no tokenizer.json ({error})") from error
    names = tuple(cast(Any, tokenizer.id_to_token(number)) for number in range(len(SPECIAL_TOKENS)))
    if names != SPECIAL_TOKENS:
        raise ConfigError(
            f"tokenizer.path: the first ids of {path} are {', '.join(map(str, names))}, expected "
            f"{', '.join(SPECIAL_TOKENS)}: take the tokenizer.json of a store or a run"
        )
    return tokenizer
