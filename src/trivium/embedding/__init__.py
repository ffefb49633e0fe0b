"""Frozen features of any checkpoint: what probes and reports see of an encoder."""

from trivium.embedding.cached import LAYER, cached_features
from trivium.embedding.features import embed, embed_layers, embed_views
from trivium.embedding.loading import TOKENIZER, find_encoder, load_encoder

__all__ = [
    "LAYER",
    "TOKENIZER",
    "cached_features",
    "embed",
    "embed_layers",
    "embed_views",
    "find_encoder",
    "load_encoder",
]
