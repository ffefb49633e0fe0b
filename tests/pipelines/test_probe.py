from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from trivium.evaluation import controls
from trivium.stages.probe import check_tokenizer, embedded


def store(modality="text", tokenizer="abc"):
    return SimpleNamespace(
        meta=SimpleNamespace(name="glosses", modality=modality),
        tokenizer_sum=tokenizer,
        fingerprint="f" * 8,
    )


def test_the_raw_control_of_text_is_tfidf(monkeypatch):
    monkeypatch.setattr(controls, "features", lambda _: np.eye(3))
    features, facts, digest = embedded({}, None, store())
    assert features.shape == (3, 3)
    assert (facts["encoder"], facts["objective"], facts["modality"]) == ("tfidf", "raw", "text")
    assert (facts["paradigm"], facts["flops"], digest) == ("control", 0, "raw-ffffffff")


def test_ids_of_another_tokenizer_are_refused():
    facts = {"modality": "text", "tokenizer": "abc"}
    check_tokenizer(facts, store(), Path("run"))
    with pytest.raises(ValueError, match=r"data.tokenizer.path=run/tokenizer.json"):
        check_tokenizer(facts, store(tokenizer="other"), Path("run"))
    with pytest.raises(ValueError, match="glosses was tokenised otherwise"):
        check_tokenizer({"modality": "text"}, store(), Path("run"))


def test_images_have_no_tokenizer():
    check_tokenizer({"modality": "image"}, store("image", None), Path("run"))
