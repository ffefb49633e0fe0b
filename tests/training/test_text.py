"""Runs on text: what a step costs, what a language model reads, and what is left to be seen."""

import json
import math

import numpy as np
import pytest
import torch

from trivium.data.tokenizer import token_bytes
from trivium.data.writer import Origin, Parsed, TokenizerSettings, write_store
from trivium.encoders.text import TextTransformer
from trivium.features import embed, load_encoder
from trivium.objectives.self_supervised.bert import BERT
from trivium.objectives.self_supervised.gpt import GPT
from trivium.training.budget import Budget, count_flops
from trivium.training.callbacks.language import LanguageMeasures
from trivium.training.datamodule import StoreData
from trivium.training.run import build_module, pretrain
from trivium.training.settings import MonitorSettings
from trivium.transforms.text import TextPipeline, TextViews
from trivium.types import BOS, EOS, PAD, View

KINDS = ("cat", "dog", "bird")
WORDS = ["a", "small", "big", "red", "blue", "old", "young", "quick", "lazy",
    "one", "that", "sleeps", "runs", "flies", "eats", "sings", "at", "night"]  # fmt: skip
BUSY = MonitorSettings(
    num_items=40,
    num_glances=3,
    pictures=True,
    sentinels={"patience": 0.5, "tolerance": 1e-9, "lowest_rank": 1.0, "action": "warn"},
)


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Sentences of different lengths; the class is the animal that is named."""
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=400)
    texts = [
        " ".join([*generator.choice(WORDS, generator.integers(1, 12)), KINDS[label]])
        for label in labels
    ]
    parsed = Parsed(
        {}, {"kind": labels.astype(np.int64)}, {"kind": KINDS}, np.arange(320),
        np.arange(320, 400), texts=texts,
        tokenizer=TokenizerSettings({"kind": "bpe", "vocabulary": 300}, 24),
    )  # fmt: skip
    origin = Origin("generated", "", "", "CC0-1.0")
    return write_store(tmp_path_factory.mktemp("texts") / "animals", "animals", parsed, origin)


@pytest.fixture
def make_objective(store):
    def make(kind, *, seed=0, **settings):
        torch.manual_seed(seed)
        data = store.spec()
        encoder = TextTransformer(
            data, name="tiny", width=16, depth=1, num_heads=2, causal=kind is GPT, dropout=0.1
        )
        return kind(encoder, data, **settings)

    return make


GPT_SETTINGS = {"temperature": 1.0, "top_p": 0.9}
BERT_SETTINGS = {"ratio": 0.15, "mask": 0.8, "random": 0.1}


@pytest.fixture
def text_run(make_run):
    from dataclasses import replace

    def make(kind, settings, **others):
        run = make_run(kind, **settings, **others)
        facts = {**run.facts, "dataset": "animals", "modality": "text", "task": "kind"}
        views = TextViews([TextPipeline([])])
        return replace(run, views=views, task="kind", facts=facts)

    return make


def test_batches_of_text_have_their_labels_and_are_padded_alike(store):
    data = StoreData(store, batch_size=32, seed=0, task="kind")
    for step in range(20):
        batch = data.batch(step)
        ids, valid = batch.inputs["text"], batch.valid["text"]
        assert ids.shape == valid.shape == (32, data.size(step))
        assert data.tokens(step) == int(valid.sum())
        assert (ids[~valid] == PAD).all()
        assert (ids[:, 0] == BOS).all()
        for index, row, label in zip(batch.indices, ids, batch.labels, strict=True):
            (text,) = store.texts(index.numpy()[None])
            assert text.split()[-1] == KINDS[label]
            inner = [i for i in row.tolist() if i not in (PAD, BOS, EOS)]
            assert text.startswith(store.tokenizer().decode(inner))
    assert len({data.size(step) for step in range(20)}) > 1


def test_packed_batches_are_blocks_of_the_train_texts(store):
    data = StoreData(store, batch_size=8, seed=0, task=None, packed=True)
    batch = data.batch(0)
    assert batch.inputs["text"].shape == (8, 25)
    assert batch.valid["text"].all()
    assert batch.labels is None
    stream = data.packed.stream.tolist()
    flat, offsets = store.ragged("tokens")
    assert sum(len(flat[offsets[i] : offsets[i + 1]]) for i in store.split("train")) == len(stream)
    joined = ",".join(map(str, stream))
    assert all(",".join(map(str, row)) in joined for row in batch.inputs["text"].tolist())
    assert data.size(0) == 0
    assert data.tokens(0) == 8 * 24


def test_a_share_of_the_texts_is_packed_alone(store):
    data = StoreData(store, batch_size=8, seed=0, task=None, packed=True, data_fraction=0.5)
    lengths = store.lengths("tokens")[data.items]
    assert len(data.packed.stream) == lengths.sum()
    assert len(data.items) == round(len(store.split("train")) / 2)


def test_the_price_of_a_run_is_the_sum_of_its_steps(store, text_run):
    run = text_run(BERT, BERT_SETTINGS, budget=Budget(flops=1.2e9))
    data = StoreData(store, batch_size=32, seed=0, task="kind")
    module, step_cost = build_module(run, data)
    total = 0
    for step in range(module.num_steps + 1):
        first = next(s for s in range(step + 1) if data.size(s) == data.size(step))
        total += count_flops(run.objective, module.make_views(data.batch(first), first))
        assert step_cost.upto(step + 1) == total
    assert step_cost.upto(module.num_steps) <= 1.2e9 < total
    assert len(step_cost.by_size) > 1
    longer = sorted(step_cost.by_size)
    assert [step_cost.by_size[size] for size in longer] == sorted(step_cost.by_size.values())


@pytest.fixture
def gpt_run(tracked, store, text_run, make_folder):
    run = text_run(GPT, GPT_SETTINGS, monitor=BUSY, budget=Budget(steps=8))
    folder = make_folder()
    pretrain(run, store, folder, name="gpt", experiment="test", interval=0.1)
    return run, folder.path


def test_a_language_model_is_measured_in_bits_per_byte(store, gpt_run):
    run, folder = gpt_run
    metrics = json.loads((folder / "metrics.json").read_text())
    curves = json.loads((folder / "curves.json").read_text())
    measured = metrics["language"]
    history = curves["language"]
    assert history["step"] == curves["monitor"]["step"] == [0, 4, 8]
    assert history["bits_per_byte"][-1] == measured["bits_per_byte"] < history["bits_per_byte"][0]
    assert measured["perplexity"] == pytest.approx(math.exp(measured["nats_per_token"]))
    tokens = curves["tokens"]
    assert tokens == [step * 32 * 24 for step in curves["step"]]
    # By hand: the joined validation texts in blocks of 24, one text's bytes at a time.
    flat, offsets = store.ragged("tokens")
    ids = np.concatenate([flat[offsets[i] : offsets[i + 1]] for i in store.split("validation")])
    num = (len(ids) - 24) // 24
    blocks = np.stack([ids[k * 24 : k * 24 + 25] for k in range(num)]).astype(np.int64)
    run.objective.eval()
    with torch.no_grad():
        nats = run.objective.surprisal(View(torch.from_numpy(blocks))).sum().item()
    num_bytes = sum(len(store.tokenizer().decode(row[1:].tolist()).encode()) for row in blocks)
    assert measured["bits_per_byte"] == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-5)
    assert num_bytes == token_bytes(store.tokenizer())[blocks[:, 1:]].sum()


def test_texts_are_kept_to_be_read(store, gpt_run, tracked):
    _, folder = gpt_run
    rows = json.loads((folder / "pictures" / "rows-step000008.json").read_text())
    assert list(rows) == ["text", "prompt", "continuation 1", "continuation 2"]
    assert len(set(map(len, rows.values()))) == 1
    for prompt, text in zip(rows["prompt"], rows["text"], strict=True):
        assert text.startswith(prompt)
    near = json.loads((folder / "pictures" / "neighbours-step000008.json").read_text())
    assert set(near["0"]) <= set(store.texts(store.split("validation")))
    assert (folder / "pictures" / "embedding-step000008.png").is_file()
    written = list(tracked.rglob("artifacts/**/texts/rows-step000008.txt"))
    assert len(written) >= 1
    assert "continuation 1" in written[0].read_text()


def test_the_encoder_takes_its_tokenizer_along(store, gpt_run):
    _, folder = gpt_run
    encoder = load_encoder(folder)
    chosen = store.split("test")[:20]
    of_store = embed(encoder, store, chosen)
    of_texts = embed(encoder, store.texts(chosen))
    assert np.allclose(of_store, of_texts, atol=1e-5)
    encoder.tokenizer = None
    with pytest.raises(ValueError, match="tokenizer of tiny is not known"):
        embed(encoder, ["a cat"])


def test_features_do_not_depend_on_the_batch(store, make_objective):
    encoder = make_objective(BERT, **BERT_SETTINGS).encoder
    chosen = store.split("train")[:50]
    together = embed(encoder, store, chosen)
    alone = embed(encoder, store, chosen, batch_size=1)
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(embed(encoder, store, chosen[::-1].copy()), together[::-1], atol=1e-5)


def test_measures_leave_the_objective_as_it_was(store, make_objective):
    objective = make_objective(GPT, **GPT_SETTINGS)
    objective.train()
    language = LanguageMeasures(store=store, writer=None)
    first = language.measure(objective, torch.device("cpu"))
    assert objective.training
    assert first == language.measure(objective, torch.device("cpu"))
    assert first["perplexity"] == pytest.approx(300, rel=0.2)  # it knows nothing yet
