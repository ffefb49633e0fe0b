"""The text encoder against naive pooling and transformers' rotary positions; nothing leaks."""

import math

import pytest
import torch
import transformers
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from trivium.encoders.attention import Attention, rotate
from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.encoders.text import Ids, TextTransformer, TokenStem
from trivium.types import BOS, EOS, PAD, DataSpec, Tokens

TEXTS = DataSpec("short", "text", (12,), 3, 100, (), (), vocabulary=30)
IMAGES = DataSpec("grey", "image", (1, 28, 28), 10, 100, (0.3,), (0.35,))
SIZES = {"width": 24, "depth": 2, "num_heads": 3}
LENGTHS = torch.tensor([12, 9, 5, 2])
CLOSE = {"atol": 1e-5, "rtol": 1e-4}

poolings = pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
positions = pytest.mark.parametrize("positions", ["learned", "rotary", "sincos"])
directions = pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])


def text(data=TEXTS, **settings):
    """An encoder whose parameters are all away from their start: zeros and ones hide mistakes."""
    encoder = TextTransformer(data, name="text_test", **(SIZES | settings)).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder


@pytest.fixture
def valid():
    return torch.arange(12) < LENGTHS[:, None]


@pytest.fixture
def ids(valid):
    ids = torch.randint(4, 30, (4, 12)).where(valid, PAD)
    ids[:, 0] = BOS
    return ids.scatter(1, LENGTHS[:, None] - 1, EOS)


@poolings
@positions
@directions
def test_what_stands_in_the_padding_does_not_matter(ids, valid, pooling, positions, causal):
    encoder = text(pooling=pooling, positions=positions, causal=causal)
    first = encoder(ids, valid)
    second = encoder(ids.where(valid, torch.randint(30, ids.shape)), valid)
    torch.testing.assert_close(second.pooled, first.pooled, **CLOSE)
    torch.testing.assert_close(second.tokens[valid], first.tokens[valid], **CLOSE)


@poolings
@positions
@directions
def test_a_text_alone_is_as_in_a_padded_batch(ids, valid, pooling, positions, causal):
    encoder = text(pooling=pooling, positions=positions, causal=causal)
    features = encoder(ids, valid)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = encoder(ids[row : row + 1, :length])
        torch.testing.assert_close(features.pooled[row], alone.pooled[0], **CLOSE)
        torch.testing.assert_close(features.tokens[row, :length], alone.tokens[0], **CLOSE)
        if length < 12:
            more = encoder(ids[row : row + 1, : length + 3], valid[row : row + 1, : length + 3])
            torch.testing.assert_close(more.pooled, alone.pooled, **CLOSE)


@positions
def test_all_valid_is_the_same_as_no_word_on_it(ids, positions):
    encoder = text(positions=positions)
    first, second = encoder(ids), encoder(ids, torch.ones_like(ids, dtype=torch.bool))
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.pooled, second.pooled)
    assert first.valid.all()
    assert first.valid.shape == ids.shape


@positions
@pytest.mark.parametrize("place", [0, 5, 11])
def test_only_a_causal_encoder_hides_the_future(ids, positions, place):
    changed = ids.clone()
    changed[:, place] = (ids[:, place] + 3) % 30

    def moved(causal):
        encoder = text(positions=positions, causal=causal)
        difference = (encoder(changed).tokens - encoder(ids).tokens).abs().amax((0, 2))
        return difference > 1e-5

    assert moved(causal=True).tolist() == [other >= place for other in range(12)]
    assert moved(causal=False).all()


def test_causal_gradients_end_at_the_past(ids):
    encoder = text(causal=True)
    tokens = encoder.embed(ids)
    values = tokens.values.detach().requires_grad_()
    encoder.contextualise(tokens._replace(values=values)).tokens[:, 6].square().sum().backward()
    reached = values.grad.abs().sum((0, 2)) > 0
    assert reached.tolist() == [place <= 6 for place in range(12)]


def test_pooling_is_the_naive_one(ids, valid):
    encoder = text()
    for pooling, naive in {
        "mean": lambda tokens: sum(tokens) / len(tokens),
        "cls": lambda tokens: tokens[0],
        "last": lambda tokens: tokens[-1],
    }.items():
        encoder.pooling = pooling
        features = encoder(ids, valid)
        texts = [tokens[:length] for tokens, length in zip(features.tokens, LENGTHS, strict=True)]
        expected = torch.stack([naive(list(tokens)) for tokens in texts])
        torch.testing.assert_close(features.pooled, expected)
        everything = encoder(ids)
        expected = torch.stack([naive(list(tokens)) for tokens in everything.tokens])
        torch.testing.assert_close(everything.pooled, expected)


def test_learned_and_sincos_positions_are_added_to_the_embeddings(ids):
    learned = text()
    stem = learned.stem
    expected = nn.functional.one_hot(ids, 30).float() @ stem.embedding.weight + stem.positions
    torch.testing.assert_close(learned.embed(ids).values, expected)
    shorter = learned.embed(ids[:, :7]).values
    assert torch.equal(shorter, learned.embed(ids).values[:, :7])
    assert text(positions="rotary").stem.positions.count_nonzero() == 0

    fixed = TokenStem(TEXTS, width=24, positions="sincos").positions
    for place in range(12):
        for step in range(12):
            angle = place / 10000 ** (step / 12)
            assert fixed[place, step].item() == pytest.approx(0.02 * math.sin(angle), abs=1e-6)
            assert fixed[place, 12 + step].item() == pytest.approx(0.02 * math.cos(angle), abs=1e-6)


def test_only_learned_positions_are_weights():
    for name, expected in {"learned": True, "rotary": False, "sincos": False}.items():
        state = text(positions=name).state_dict()
        assert ("stem.positions" in state) == expected


@positions
def test_every_kind_of_positions_knows_the_order(ids, positions):
    order = torch.cat([torch.arange(2), torch.randperm(10) + 2])
    encoder = text(positions=positions)
    assert not torch.allclose(encoder(ids[:, order]).pooled, encoder(ids).pooled, atol=1e-3)


def test_embeddings_and_learned_positions_start_as_normals_of_two_hundredths():
    torch.manual_seed(0)
    stem = TokenStem(TEXTS._replace(shape=(100,), vocabulary=300), width=64)
    assert stem.embedding.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert stem.positions.std().item() == pytest.approx(0.02, rel=0.04)


def test_rotary_equals_transformers_llama():
    assert transformers.__version__.startswith("5.")  # 5.23.0 when this was written
    config = transformers.LlamaConfig(hidden_size=24, num_attention_heads=3)
    query, key = torch.randn(2, 4, 3, 15, 8)
    places = torch.stack([torch.randperm(200)[:15] for _ in range(4)])
    cosine, sine = LlamaRotaryEmbedding(config)(query, places)
    expected = apply_rotary_pos_emb(query, key, cosine, sine)
    ours = rotate(torch.stack([query, key]), places)
    torch.testing.assert_close(ours, torch.stack(expected), atol=1e-5, rtol=1e-5)


def test_rotary_is_a_complex_product():
    heads, places = torch.randn(1, 1, 2, 9, 6, dtype=torch.float64), torch.arange(9)[None]
    pairs = torch.complex(heads[..., :3], heads[..., 3:])
    angle = places[..., None] * 10000.0 ** (-torch.arange(3) / 3)
    turned = pairs * torch.polar(torch.ones_like(angle), angle).to(pairs.dtype)
    expected = torch.cat([turned.real, turned.imag], dim=-1)
    torch.testing.assert_close(rotate(heads, places), expected, atol=1e-5, rtol=1e-5)


@directions
def test_rotary_attention_sees_relative_places_only(causal):
    attention = Attention(24, 3, causal=causal, rotary=True)
    tokens, places = torch.randn(2, 9, 24), torch.arange(9).expand(2, -1)
    mixed = attention(tokens, None, places)
    torch.testing.assert_close(attention(tokens), mixed)
    torch.testing.assert_close(attention(tokens, None, places + 50), mixed, **CLOSE)
    assert not torch.allclose(attention(tokens, None, 2 * places), mixed, atol=1e-4)


def test_rotary_scores_depend_on_the_distance_alone():
    query, key = torch.randn(2, 1, 1, 1, 1, 8)

    def turned(heads, place):
        return rotate(heads, torch.tensor([[place]]))

    for distance in (-7, -1, 0, 1, 12):
        scores = [(turned(query, i) * turned(key, i + distance)).sum() for i in range(7, 20)]
        torch.testing.assert_close(torch.stack(scores), scores[0].expand(13), **CLOSE)
    torch.testing.assert_close(turned(query, 17).norm(), query.norm())


@pytest.mark.parametrize("length", [7, 80], ids=["matmul", "fused"])
def test_rotary_weights_are_those_of_a_naive_softmax(length):
    attention = Attention(24, 3, rotary=True)
    tokens = torch.randn(2, length, 24)
    query, key, value = (
        attention.qkv(tokens).chunk(3, -1)[n].unflatten(2, (3, 8)).transpose(1, 2) for n in range(3)
    )
    config = transformers.LlamaConfig(hidden_size=24, num_attention_heads=3)
    cosine, sine = LlamaRotaryEmbedding(config)(tokens, torch.arange(length)[None])
    query, key = apply_rotary_pos_emb(query, key, cosine, sine)
    expected = (query @ key.transpose(2, 3) / 8**0.5).softmax(-1)
    torch.testing.assert_close(attention.weights(tokens), expected, **CLOSE)
    mixed = attention.projection((expected @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(tokens), mixed, **CLOSE)


@positions
@directions
def test_a_subset_of_tokens_is_the_whole_with_the_others_masked(ids, valid, positions, causal):
    encoder = text(positions=positions, causal=causal)
    whole = encoder.embed(ids)
    keep = torch.stack([torch.randperm(12)[:6].sort().values for _ in range(4)])
    seen = torch.zeros_like(valid).scatter(1, keep, True)
    part = whole.values.gather(1, keep[..., None].expand(-1, -1, 24))
    features = encoder.contextualise(Tokens(part, torch.ones(4, 6, dtype=torch.bool), keep))
    masked = encoder.contextualise(whole._replace(valid=seen))
    expected = masked.tokens[seen].view(4, 6, 24)
    torch.testing.assert_close(features.tokens, expected, **CLOSE)
    torch.testing.assert_close(features.pooled, masked.pooled, **CLOSE)


def test_rotary_tokens_may_come_in_any_order_if_their_places_are_told(ids):
    encoder, order = text(positions="rotary"), torch.randperm(12)
    tokens = encoder.embed(ids)
    shuffled = Tokens(tokens.values[:, order], tokens.valid[:, order], order.expand(4, -1))
    expected = encoder(ids).tokens[:, order]
    torch.testing.assert_close(encoder.contextualise(shuffled).tokens, expected, **CLOSE)
    wrong = encoder.contextualise(shuffled._replace(indices=None)).tokens
    assert not torch.allclose(wrong, expected, atol=1e-3)


@positions
def test_the_last_layer_and_the_norm_are_the_tokens(ids, valid, positions):
    encoder = text(positions=positions)
    tokens = encoder.embed(ids, valid)
    layers = encoder.layers(tokens)
    assert len(layers) == 2
    assert torch.equal(encoder.trunk.norm(layers[-1]), encoder.contextualise(tokens).tokens)
    assert not torch.allclose(layers[0], layers[1])


def test_dropout_acts_in_training_only(ids, valid):
    encoder = text(dropout=0.3)
    plain = text()
    plain.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(ids, valid).tokens, plain(ids, valid).tokens)
    encoder.train()
    first, second = encoder(ids, valid), encoder(ids, valid)
    assert not torch.allclose(first.pooled, second.pooled, atol=1e-3)
    encoder.trunk.blocks = nn.ModuleList()  # what is left is the embedding's own dropout
    encoder.trunk.norm = nn.Identity()
    embedded = encoder.stem(ids)
    dropped = encoder(ids, valid).tokens
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], embedded[kept] / 0.7)
    assert kept.float().mean().item() == pytest.approx(0.7, abs=0.05)


def test_dropout_and_drop_path_reach_every_branch():
    branches = [block.drop_path for block in text(dropout=0.3, drop_path=0.2).trunk.blocks]
    drops = [[part.p for part in branch.modules() if hasattr(part, "p")] for branch in branches]
    assert drops == [[0.3], [0.3, 0.2]]


@positions
@poolings
def test_an_encoder_comes_back_from_disk(ids, valid, tmp_path, positions, pooling):
    settings = {"positions": positions, "pooling": pooling, "causal": True, "dropout": 0.1}
    encoder = text(**settings, drop_path=0.1, init="gpt2", mlp_ratio=2.0)
    save_encoder(encoder, tmp_path, {"objective": "gpt"})
    loaded = load_encoder(tmp_path)
    assert isinstance(loaded, TextTransformer)
    assert not loaded.training
    assert loaded.arguments == encoder.arguments
    assert (loaded.causal, loaded.pooling, loaded.modality) == (True, pooling, "text")
    for ours, theirs in zip(loaded(ids, valid), encoder(ids, valid), strict=True):
        assert torch.equal(ours, theirs)


def test_the_stem_says_what_predicting_a_text_means(ids):
    stem = text().stem
    assert (stem.likelihood, stem.num_tokens, stem.grid) == ("categorical", 12, (1, 12))
    assert stem.target_width == 30
    assert torch.equal(stem.target(ids), ids)
    logits = torch.randn(4, 12, 30)
    picked = logits.log_softmax(-1).gather(2, ids[..., None]).squeeze(2)
    torch.testing.assert_close(stem.distance(logits, ids), -picked)
    assert torch.equal(stem.render(logits), logits.argmax(-1))
    assert torch.equal(stem.render(ids), ids)
    assert list(Ids(TEXTS).parameters()) == []


@directions
def test_every_parameter_gets_a_gradient(ids, valid, causal):
    encoder = text(causal=causal).train()
    features = encoder(ids, valid)
    (features.pooled.square().sum() + features.tokens[valid].pow(3).sum()).backward()
    assert all(parameter.grad.count_nonzero() for parameter in encoder.parameters())


@directions
@positions
def test_bfloat16_autocast_stays_close(ids, valid, causal, positions):
    encoder = text(causal=causal, positions=positions)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(ids, valid)
        features.pooled.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)
    expected = encoder(ids, valid).pooled
    torch.testing.assert_close(features.pooled.float(), expected, atol=0.1, rtol=0.05)


def test_texts_that_are_too_long_are_refused():
    message = "texts have 13 tokens, the encoder was built for 12"
    for name in ("learned", "rotary", "sincos"):
        with pytest.raises(ValueError, match=message):
            text(positions=name)(torch.full((2, 13), 5))


def test_another_modality_is_refused():
    with pytest.raises(ValueError, match="takes text, but 'grey' is image of shape"):
        text(IMAGES)
    with pytest.raises(ValueError, match="choose an encoder for image or data of text"):
        text(TEXTS._replace(modality="image"))


@pytest.mark.parametrize("setting", ["pooling", "positions", "init"])
def test_unknown_choices_are_refused(setting):
    with pytest.raises(Exception, match=setting):
        text(**{setting: "both"})


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="width 24 does not split into num_heads 5"):
        text(num_heads=5)
    with pytest.raises(ValueError, match="width"):
        text(width=9, positions="sincos")


def test_rotary_heads_must_split_into_pairs():
    with pytest.raises(ValueError, match="width"):
        text(width=9, positions="rotary")  # heads of 3 channels
