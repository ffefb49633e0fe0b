"""GPT against transformers 5.23 (`GPT2LMHeadModel`) at the same weights, and how it goes on."""

import math

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from trivium.encoders.projections import TermProjection
from trivium.encoders.text import TextTransformer
from trivium.objectives.self_supervised.gpt import GPT
from trivium.types import BOS, EOS, MASK, PAD, DataSpec, View, Views

TEXTS = DataSpec("short", "text", (12,), 0, 100, (), (), vocabulary=30)
SIZES = {"width": 24, "depth": 2, "num_heads": 3}
LENGTHS = torch.tensor([13, 9, 5, 2])


def gpt(data=TEXTS, temperature=1.0, top_p=0.9, **settings):
    encoder = TextTransformer(data, name="text_test", causal=True, **(SIZES | settings))
    return GPT(encoder, data, temperature=temperature, top_p=top_p)


def perturb(module):
    """Every parameter away from its start, so that zeros and ones hide no mistake."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


def copy_norm(source, target):
    target.weight.copy_(source.weight)
    target.bias.copy_(source.bias)


def copy_linear(source, target):
    """A Linear to GPT-2's `Conv1D`, whose weight is transposed."""
    target.weight.copy_(source.weight.T)
    target.bias.copy_(source.bias)


@torch.no_grad()
def twin_of(encoder):
    """transformers' GPT2LMHeadModel with the weights of an encoder, for one more token."""
    config = GPT2Config(
        vocab_size=30,
        n_positions=13,
        n_embd=24,
        n_layer=2,
        n_head=3,
        activation_function="gelu",
        layer_norm_epsilon=encoder.trunk.norm.eps,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    twin = GPT2LMHeadModel(config).eval()
    twin.transformer.wte.weight.copy_(encoder.stem.embedding.weight)
    twin.transformer.wpe.weight[:12] = encoder.stem.positions
    for block, ours in zip(twin.transformer.h, encoder.trunk.blocks, strict=True):
        copy_norm(ours.attention_norm, block.ln_1)
        copy_linear(ours.attention.qkv, block.attn.c_attn)
        copy_linear(ours.attention.projection, block.attn.c_proj)
        copy_norm(ours.mlp_norm, block.ln_2)
        copy_linear(ours.mlp[0], block.mlp.c_fc)
        copy_linear(ours.mlp[2], block.mlp.c_proj)
    copy_norm(encoder.trunk.norm, twin.transformer.ln_f)
    return twin


@pytest.fixture
def objective():
    objective = gpt()
    perturb(objective)
    return objective


@pytest.fixture
def block():
    """A packed block: one id more than the encoder is shown, ends of texts in its midst."""
    ids = torch.randint(4, 30, (4, 13))
    ids[:, 6], ids[:, 7] = EOS, BOS
    return View(ids)


@pytest.fixture
def padded():
    valid = torch.arange(13) < LENGTHS[:, None]
    ids = torch.randint(4, 30, (4, 13)).where(valid, PAD)
    ids[:, 0] = BOS
    return View(ids.scatter(1, LENGTHS[:, None] - 1, EOS), valid)


def test_logits_and_loss_equal_transformers(objective, block):
    theirs = twin_of(objective.encoder)(input_ids=block.values, labels=block.values)
    logits, target, counted = objective.predict(block)
    torch.testing.assert_close(logits, theirs.logits[:, :-1], atol=1e-5, rtol=1e-5)
    assert torch.equal(target, block.values[:, 1:])
    assert counted.all()
    loss = objective(Views((block,)))["loss"]
    torch.testing.assert_close(loss, theirs.loss, atol=1e-5, rtol=1e-5)
    assert abs(loss.item() - math.log(30)) > 0.1


def test_logits_and_loss_of_padded_texts_equal_transformers(objective, padded):
    ids, valid = padded
    labels = ids.masked_fill(~valid, -100)
    twin = twin_of(objective.encoder)
    theirs = twin(input_ids=ids, attention_mask=valid.long(), labels=labels)
    logits, _, counted = objective.predict(padded)
    expected = theirs.logits[:, :-1][counted]
    torch.testing.assert_close(logits[counted], expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(counted, valid[:, 1:])
    loss = objective(Views((padded,)))["loss"]
    torch.testing.assert_close(loss, theirs.loss, atol=1e-5, rtol=1e-5)


def test_gradients_equal_transformers(objective, block):
    twin = twin_of(objective.encoder)
    twin(input_ids=block.values, labels=block.values).loss.backward()
    objective(Views((block,)))["loss"].backward()
    theirs, ours = twin.transformer, objective.encoder
    close = {"atol": 1e-6, "rtol": 1e-4}
    torch.testing.assert_close(ours.stem.embedding.weight.grad, theirs.wte.weight.grad, **close)
    torch.testing.assert_close(ours.stem.positions.grad, theirs.wpe.weight.grad[:12], **close)
    expected = theirs.h[0].attn.c_attn.weight.grad.T
    torch.testing.assert_close(ours.trunk.blocks[0].attention.qkv.weight.grad, expected, **close)


def test_accuracy_is_the_share_of_right_tokens(objective, padded):
    logits, target, counted = objective.predict(padded)
    expected = (logits.argmax(-1) == target)[counted].float().mean()
    assert objective(Views((padded,)))["accuracy"] == expected


def test_padding_does_not_count(objective, padded):
    ids, valid = padded
    loss = objective(Views((padded,)))["loss"]
    noise = View(ids.where(valid, torch.randint(30, ids.shape)), valid)
    torch.testing.assert_close(objective(Views((noise,)))["loss"], loss)
    nats = [
        objective(Views((View(ids[row : row + 1, :length]),)))["loss"] * (length - 1)
        for row, length in enumerate(LENGTHS.tolist())
    ]
    torch.testing.assert_close(sum(nats) / (LENGTHS - 1).sum(), loss)


def test_no_token_sees_itself_or_what_comes_after(objective, block):
    logits, _, _ = objective.predict(block)
    for place in (1, 6, 12):
        changed = block.values.clone()
        changed[:, place] = (changed[:, place] + 5) % 30
        others, _, _ = objective.predict(View(changed))
        moved = (others - logits).abs().amax((0, 2)) > 1e-5
        assert moved.tolist() == [other >= place for other in range(12)]


def test_surprisal_sums_to_the_loss(objective, block, padded):
    for view, num in ((block, 48), (padded, (LENGTHS - 1).sum())):
        nats = objective.surprisal(view)
        assert nats.shape == view.values.shape
        assert not nats[:, 0].any()
        torch.testing.assert_close(nats.sum() / num, objective(Views((view,)))["loss"])
    assert not nats[~padded.valid].any()
    assert (nats[:, 1:][padded.valid[:, 1:]] > 0).all()


def test_surprisal_is_the_chain_rule():
    """The probabilities of all texts of two tokens after the begin sum to one."""
    data = TEXTS._replace(vocabulary=7)
    small = gpt(data)
    perturb(small)
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    ids = torch.cat([torch.full((49, 1), BOS), pairs], 1)
    shares = (-small.surprisal(View(ids)).sum(1)).exp()
    torch.testing.assert_close(shares.sum(), torch.tensor(1.0))


def test_gpt2_starts_as_its_paper_says():
    torch.manual_seed(0)
    data = TEXTS._replace(shape=(128,), vocabulary=200)
    for depth in (2, 8):
        encoder = gpt(data, width=96, depth=depth, init="gpt2").encoder
        residual = 0.02 / math.sqrt(2 * depth)
        for name, parameter in encoder.named_parameters():
            if "norm" in name:
                assert (parameter == (1 if name.endswith("weight") else 0)).all()
            elif name.endswith("bias"):
                assert not parameter.any()
            else:
                inner = name.endswith(("attention.projection.weight", "mlp.2.weight"))
                expected = residual if inner else 0.02
                assert parameter.std().item() == pytest.approx(expected, rel=0.03)
                assert abs(parameter.mean().item()) < 0.05 * expected


def test_the_plateau_is_the_loss_of_a_uniform_guess(block):
    objective = gpt(init="gpt2")
    assert objective.plateau(64) == pytest.approx(math.log(30))
    assert objective(Views((block,)))["loss"].item() == pytest.approx(math.log(30), abs=0.1)
    nn.init.zeros_(objective.stem.embedding.weight)
    assert objective(Views((block,)))["loss"].item() == pytest.approx(math.log(30), abs=1e-5)


def test_the_embeddings_are_tied(objective):
    own = {id(parameter) for parameter in objective.encoder.parameters()}
    assert {id(parameter) for parameter in objective.parameters()} == own


def uniform_but(favoured, weight=1.0):
    """A head that knows nothing but that some ids are likelier."""

    def logits(tokens):
        scores = torch.zeros(*tokens.shape[:2], 30)
        scores[..., favoured] = weight
        return scores

    return logits


def test_special_tokens_are_never_drawn_even_if_they_are_likely(objective):
    objective.logits = uniform_but([PAD, BOS, MASK], 20.0)
    objective.top_p = 1.0
    ids = objective.generate(torch.full((200, 1), BOS), 12)
    drawn = ids[:, 1:]
    ended = (drawn == EOS).cumsum(1) > 0
    assert not torch.isin(drawn[~ended], torch.tensor([PAD, BOS, MASK])).any()
    assert len(drawn.unique()) == 28  # 26 words, the end, and the padding behind it


def test_after_the_end_there_is_padding_alone(objective):
    objective.logits = uniform_but([EOS], 2.0)
    ids = objective.generate(torch.full((100, 1), BOS), 12)
    assert ids.shape == (100, 12)
    for row in ids.tolist():
        end = row.index(EOS) if EOS in row else 11
        assert PAD not in row[:end]
        assert set(row[end + 1 :]) <= {PAD}
    assert (ids == EOS).any(1).float().mean() > 0.5


def test_a_prompt_that_has_ended_is_not_continued(objective):
    ids = objective.generate(torch.tensor([[BOS, 9, EOS], [BOS, 9, 8]]), 8)
    assert ids[0].tolist() == [BOS, 9, EOS, PAD, PAD, PAD, PAD, PAD]
    assert ids[1, 3] != PAD


def test_the_prompt_stays_and_a_long_one_is_not_touched(objective):
    prompt = torch.randint(4, 30, (5, 4))
    ids = objective.generate(prompt, 9)
    assert ids.shape == (5, 9)
    assert torch.equal(ids[:, :4], prompt)
    assert torch.equal(objective.generate(prompt, 4), prompt)
    assert torch.equal(objective.generate(prompt, 2), prompt)


def test_one_seed_gives_one_continuation(objective):
    def once(seed):
        torch.manual_seed(seed)
        return objective.generate(torch.full((8, 1), BOS), 12)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_a_small_top_p_is_greedy_and_equals_transformers(objective):
    objective.top_p = 1e-9
    prompt = torch.randint(4, 30, (6, 3))
    ids = objective.generate(prompt, 12)
    twin = twin_of(objective.encoder)
    ended = torch.zeros(6, dtype=torch.bool)
    for place in range(3, 12):
        scores = twin(input_ids=ids[:, :place]).logits[:, -1]
        best = scores.index_fill(1, torch.tensor([PAD, BOS, MASK]), -math.inf).argmax(1)
        assert torch.equal(ids[:, place], best.masked_fill(ended, PAD))
        ended |= best == EOS


def test_continuations_are_without_dropout_and_leave_the_mode_as_it_was():
    objective = gpt(dropout=0.5, top_p=1e-9)
    perturb(objective)
    prompt = torch.randint(4, 30, (6, 3))
    for training in (True, False):
        objective.train(training)
        first, second = objective.generate(prompt, 12), objective.generate(prompt, 12)
        assert torch.equal(first, second)
        assert objective.training == objective.encoder.training == training


def test_draws_follow_the_model_at_the_temperature(objective):
    objective.top_p = 1.0
    for temperature in (0.5, 2.0):
        objective.temperature = temperature
        prompt = torch.tensor([[BOS, 7, 9]])
        logits, _, _ = objective.predict(View(torch.tensor([[BOS, 7, 9, 4]])))
        scores = logits[0, -1].detach().index_fill(0, torch.tensor([PAD, BOS, MASK]), -math.inf)
        share = (scores / temperature).softmax(0)
        drawn = objective.generate(prompt.expand(5000, -1), 4)[:, 3]
        frequency = drawn.bincount(minlength=30) / 5000
        assert ((frequency - share).abs() <= 5 * (share * (1 - share) / 5000).sqrt()).all()


def test_pictures_hold_texts_prompts_and_continuations(objective, padded, block):
    for view in (padded, block):
        pictures = objective.pictures(Views((view,)))
        assert list(pictures) == ["text", "prompt", "continuation 1", "continuation 2"]
        prompt = pictures["prompt"]
        assert prompt.shape[1] == (1 if view is padded else 4)
        assert torch.equal(prompt, view.values[:, : prompt.shape[1]])
        for number in (1, 2):
            row = pictures[f"continuation {number}"]
            assert row.shape == (4, 12)
            assert torch.equal(row[:, : prompt.shape[1]], prompt)


def test_an_overfitted_model_continues_a_memorised_text():
    objective = gpt(top_p=1e-6, width=32, num_heads=2)
    text = torch.randperm(26)[:10] + 4
    other = torch.randperm(26)[:10] + 4
    ids = torch.stack([text, other])
    ids = torch.cat([torch.full((2, 1), BOS), ids, torch.full((2, 1), EOS)], 1)
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        terms = objective(Views((View(ids),)))
        terms["loss"].backward()
        optimizer.step()
    # The first token cannot be known: 1 of 11 predictions is a toss of a coin.
    assert terms["loss"].item() == pytest.approx(math.log(2) / 11, abs=0.05)
    assert torch.equal(objective.generate(ids[:, :2], 12), ids)
    nats = objective.surprisal(View(ids))
    assert nats[:, 2:].max() < 0.1
    assert nats[:, 1].mean().item() == pytest.approx(math.log(2), abs=0.1)


def test_encoders_without_embeddings_of_their_own_are_refused():
    encoder = TermProjection(TEXTS, width=2)
    with pytest.raises(ValueError, match="gpt predicts by the encoder's own embeddings"):
        GPT(encoder, TEXTS, temperature=1.0, top_p=0.9)
