"""Frozen features of any checkpoint: what probes and reports see of an encoder."""

from trivium.features.cache import cached_features
from trivium.features.extract import embed, embed_layers, embed_views
from trivium.features.load import TOKENIZER, find_encoder, load_encoder

__all__ = [
    "TOKENIZER",
    "cached_features",
    "embed",
    "embed_layers",
    "embed_views",
    "find_encoder",
    "load_encoder",
]
