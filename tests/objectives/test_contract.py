import pytest

from clips import CLIPS
from trivium.encoders.spectrogram import SpectrogramTransformer
from trivium.encoders.vit import ViT
from trivium.encoders.wave import WaveTransformer
from trivium.objectives.compatibility import check
from trivium.types import DataSpec, Encoder, Needs

LABELLED = DataSpec("tiny", "image", (1, 8, 8), 3, 100, (0.4,), (0.25,))
UNLABELLED = LABELLED._replace(name="heap", num_classes=0)


class Whole(Encoder):
    """An encoder that takes whole inputs only."""

    contextual = False


@pytest.mark.parametrize(
    ("needs", "encoder", "data", "num_views"),
    [
        (Needs(), Whole, UNLABELLED, 1),
        (Needs(labels=True, num_views=2), Whole, LABELLED, 2),
        (Needs(tokens=True, target=True), ViT, UNLABELLED, 1),
    ],
)
def test_matching_choices_pass(needs, encoder, data, num_views):
    check(needs, "it", encoder, data, num_views)


@pytest.mark.parametrize(
    ("needs", "encoder", "data", "num_views", "message"),
    [
        (Needs(labels=True), ViT, UNLABELLED, 1, "SupCon needs labels, but the dataset heap"),
        (Needs(tokens=True), Whole, LABELLED, 1, "Whole cannot encode a subset of tokens"),
        (Needs(num_views=2), ViT, LABELLED, 1, r"needs 2 view\(s\).*make 1: choose"),
        (Needs(), ViT, LABELLED, 2, r"needs 1 view\(s\).*make 2: choose"),
    ],
)
def test_each_mismatch_is_one_sentence(needs, encoder, data, num_views, message):
    with pytest.raises(ValueError, match=message) as error:
        check(needs, "SupCon", encoder, data, num_views)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("encoder", "column", "message"),
    [
        (SpectrogramTransformer, "wave", "make waves, but SpectrogramTransformer takes log-mel"),
        (WaveTransformer, "mel", "make log-mel spectrograms, but WaveTransformer takes waves"),
    ],
)
def test_views_and_encoders_of_audio_agree_on_what_they_hear(encoder, column, message):
    check(Needs(), "it", encoder, CLIPS, 1, column=encoder.column)
    check(Needs(), "it", encoder, CLIPS, 1)
    with pytest.raises(ValueError, match=message) as error:
        check(Needs(), "it", encoder, CLIPS, 1, column=column)
    assert "\n" not in str(error.value)


def test_instances_are_checked_like_their_classes(encoder, data):
    check(Needs(tokens=True), "MAE", encoder, data, 1)
