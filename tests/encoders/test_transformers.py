import sys

import pytest
import torch
from omegaconf import OmegaConf
from transformers import AutoModel

from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.encoders.external import TransformersEncoder
from trivium.types import BOS, EOS, DataSpec

DATA = DataSpec("short", "text", (16,), 3, 100, (), (), vocabulary=40)
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2}
LLAMA = {**BERT, "num_key_value_heads": 2}
CASES = {"bert": (BERT, False), "distilbert": ({"dim": 32, "n_layers": 1, "n_heads": 2}, False),
         "roberta": (BERT, False), "gpt2": (GPT2, True), "llama": (LLAMA, True)}  # fmt: skip


def wrap(model, **settings):
    options, causal = CASES[model]
    chosen = {"options": options, "causal": causal} | settings
    return TransformersEncoder(DATA, name="transformers_test", model=model, **chosen).eval()


def texts():
    ids = torch.randint(4, 40, (3, 10))
    ids[:, 0], ids[:, -1] = BOS, EOS
    valid = torch.arange(10) < torch.tensor([[10], [7], [4]])
    return ids.where(valid, 0), valid


@pytest.mark.parametrize("model", CASES)
def test_agrees_with_transformers_at_the_same_weights(model):
    encoder = wrap(model)
    twin = AutoModel.from_config(encoder.trunk.config).eval()
    twin.load_state_dict(encoder.trunk.state_dict())
    ids, valid = texts()
    features = encoder(ids, valid)
    assert features.tokens.shape == (3, 10, encoder.token_width)
    alone = twin(input_ids=ids[1:2, :7]).last_hidden_state
    torch.testing.assert_close(features.tokens[1, :7], alone[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.pooled[1], alone[0].mean(0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model", CASES)
def test_padding_does_not_count(model):
    encoder = wrap(model)
    ids, valid = texts()
    other = encoder(ids.where(valid, 9), valid)
    torch.testing.assert_close(other.pooled, encoder(ids, valid).pooled, atol=1e-5, rtol=1e-5)


def test_pooling_is_a_choice():
    ids, valid = texts()
    features = wrap("gpt2", pooling="last")(ids, valid)
    torch.testing.assert_close(features.pooled[1], features.tokens[1, 6])
    features = wrap("bert", pooling="cls")(ids, valid)
    torch.testing.assert_close(features.pooled, features.tokens[:, 0])


def test_it_comes_back_from_disk(tmp_path):
    encoder = wrap("bert", options=OmegaConf.create(BERT))
    save_encoder(encoder, tmp_path, {})
    ids, valid = texts()
    torch.testing.assert_close(load_encoder(tmp_path).eval()(ids, valid), encoder(ids, valid))


@pytest.mark.parametrize(("model", "causal"), [("bert", True), ("gpt2", False)])
def test_a_wrong_direction_is_refused(model, causal):
    with pytest.raises(ValueError, match=f"set encoder.causal={str(not causal).lower()}"):
        wrap(model, causal=causal)


def test_unknown_models_and_options_are_one_clear_sentence():
    with pytest.raises(ValueError, match="cannot build 'nothing'"):
        TransformersEncoder(DATA, name="x", model="nothing")
    with pytest.raises(ValueError, match="cannot build 'bert'") as error:
        wrap("bert", options={**BERT, "num_attention_heads": 5})
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"options name \['vocab_size'\]"):
        wrap("bert", options={"vocab_size": 10})


def test_images_are_refused(grey):
    with pytest.raises(ValueError, match=r"takes text, but .* is image"):
        TransformersEncoder(grey, name="x", model="bert")


def test_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install -e '.\[transformers\]'"):
        wrap("bert")
