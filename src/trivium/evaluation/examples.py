"""A few queries with what retrieval finds for them, in a form that a page can show."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float
from PIL import Image

from trivium.data.batches import gather
from trivium.data.store import Store
from trivium.evaluation.pair_search import Search
from trivium.evaluation.retrieval import cosine
from trivium.types import Modality

NUM_QUERIES = 6
"""Of a search: evenly spread over its queries, whatever was found for them."""
NUM_FOUND = {"image": 5, "text": 5, "audio": 3}
"""Candidates that are shown for a query; sounds take more room."""
LONGEST_SECONDS = 4.0
"""What is kept of a sound."""

Example = dict[str, Any]
"""`query` as `shown`, and the candidates `found` for it, most similar first, each as `shown` with
`right` and `similarity`; `rank` is that of the best right one, from 1."""


def examples(
    joint: Mapping[Modality, Float[np.ndarray, "_ joint"]], store: Store, search: Search
) -> list[Example]:
    """Some queries of a search with their most similar candidates.

    Args:
        joint: Features of every row of each part, in one space.
        store: Of several modalities.
        search: Queries and candidates; a query is compared with those of its own stratum.
    """
    places = np.unique(np.linspace(0, len(search.queries) - 1, NUM_QUERIES).round().astype(int))
    similarity = cosine(
        joint[search.first][search.queries[places]], joint[search.second][search.candidates]
    )
    if search.strata is not None:
        asked, searched = search.strata
        similarity = np.where(asked[places][:, None] == searched, similarity, -np.inf)
    return [
        _example(store, search, int(place), row)
        for place, row in zip(places, similarity, strict=True)
    ]


def _example(
    store: Store, search: Search, place: int, similarity: Float[np.ndarray, " candidate"]
) -> Example:
    right = np.zeros(len(similarity), bool)
    right[search.right[1][search.right[0] == place]] = True
    order = np.argsort(-similarity, kind="stable")
    order = order[np.isfinite(similarity[order])]
    found = [
        shown(store.part(search.second), int(search.candidates[at]))
        | {"right": bool(right[at]), "similarity": round(float(similarity[at]), 3)}
        for at in order[: NUM_FOUND[search.second]]
    ]
    return {
        "query": shown(store.part(search.first), int(search.queries[place])),
        "found": found,
        "rank": int(np.flatnonzero(right[order])[0]) + 1,
    }


def shown(part: Any, row: int) -> dict[str, str]:
    """A row of one modality: `text`; or `image` (PNG) or `audio` (MP3) as a data URI.

    Where libsndfile writes no MP3 a sound is a `text` that says how long it is.
    """
    modality, content = part.meta.modality, io.BytesIO()
    if modality == "text":
        return {"text": part.texts(np.array([row]))[0]}
    if modality == "image":
        pixels = np.asarray(part.column("image")[row])
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels[:3].transpose(1, 2, 0))
        image.save(content, "PNG")
    else:
        wave = gather(part, np.array([row]), None, "wave").inputs["audio"][0].numpy()
        rate = int(part.meta.sound[0])
        if "MP3" not in soundfile.available_formats():
            return {"text": f"a sound of {len(wave) / rate:.1f} s"}
        soundfile.write(content, wave[: int(LONGEST_SECONDS * rate)], rate, format="MP3")
    kind = "image/png" if modality == "image" else "audio/mpeg"
    return {modality: f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"}
