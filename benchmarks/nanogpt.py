"""GPT here and nanoGPT's recipe, on the same ids with the same number of steps.

Claim: at the setting of nanoGPT's README for a CPU (4 layers, 4 heads, 128 wide, block 64, batch
  12, 2000 iterations) the losses on held-out text agree.
Source: github.com/karpathy/nanoGPT: README, config/train_shakespeare_char.py, train.py.
Command: python benchmarks/nanogpt.py [--seeds 0 1 2] [--steps 2000] [--nanogpt CHECKOUT]
Runtime: about five minutes a seed on one core.

Trivium runs its own experiment file. The other side is a plain loop with transformers' GPT-2 (the
model that nanoGPT rewrites), or with nanoGPT's own model.py where a checkout is given: batches
drawn with replacement, AdamW, warm-up of 100 steps, a cosine to a tenth, gradients clipped to 1.
Both losses are nats per character of the same validation blocks.
"""

import argparse
import json
import math
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from hydra import initialize_config_dir
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.compose import composed
from trivium.data.packing import Packed, pack
from trivium.data.prepare import prepare
from trivium.stages.pretrain import main as pretrain
from trivium.training.callbacks.language import NUM_TOKENS
from trivium.training.samples import spread

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = "moby_dick_gpt_nanogpt"
DEPTH, NUM_HEADS, WIDTH, BLOCK, BATCH = 4, 4, 128, 64, 12
RATE, LEAST, WARMUP, BETAS, DECAY = 1e-3, 1e-4, 100, (0.9, 0.99), 0.1


class Reference(nn.Module):
    """Transformers' GPT-2 without dropout, or nanoGPT's own class: ids to logits."""

    def __init__(self, vocabulary: int, checkout: Path | None) -> None:
        super().__init__()
        self.own = checkout is not None
        sizes = {"n_layer": DEPTH, "n_head": NUM_HEADS, "n_embd": WIDTH, "vocab_size": vocabulary}
        if checkout is not None:
            sys.path.insert(0, str(checkout))
            from model import GPT, GPTConfig  # type: ignore[import-not-found]

            config = GPTConfig(**sizes, block_size=BLOCK, dropout=0.0, bias=False)
            self.inner = GPT(config)
        else:
            from transformers import GPT2Config, GPT2LMHeadModel

            off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
            config = GPT2Config(
                **sizes,
                **off,
                n_positions=BLOCK,
                activation_function="gelu",
                bos_token_id=None,
                eos_token_id=None,
            )
            self.inner = GPT2LMHeadModel(config)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of each next id."""
        ids = ids.contiguous()
        # Without targets nanoGPT scores the last place alone.
        logits: Tensor = self.inner(ids, ids)[0] if self.own else self.inner(ids).logits
        return logits


def theirs(train: Packed, validation: Packed, vocabulary: int, args: argparse.Namespace) -> float:
    """The loss on validation of nanoGPT's recipe with the seed `args.seed`."""
    torch.manual_seed(args.seed)
    model = Reference(vocabulary, args.nanogpt)
    parts = [
        [p for p in model.parameters() if p.dim() >= 2],
        [p for p in model.parameters() if p.dim() < 2],
    ]
    groups = [
        {"params": part, "weight_decay": decay}
        for part, decay in zip(parts, (DECAY, 0.0), strict=True)
    ]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    stream = torch.from_numpy(train.stream.astype(np.int64))
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, args.steps)
        places = torch.randint(len(stream) - BLOCK, (BATCH, 1)) + torch.arange(BLOCK + 1)
        loss = loss_of(model, stream[places])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.eval()
    numbers = spread(validation.num_blocks, max(1, NUM_TOKENS // validation.length))
    blocks = torch.from_numpy(validation.blocks(numbers))
    with torch.no_grad():
        return float(np.average([float(loss_of(model, part)) for part in torch.split(blocks, 1)]))


def loss_of(model: Reference, blocks: Tensor) -> Tensor:
    """Cross-entropy of the ids of blocks but the first of each."""
    return F.cross_entropy(model(blocks[:, :-1]).flatten(0, 1), blocks[:, 1:].flatten())


def rate(step: int, num_steps: int) -> float:
    """The learning rate at a step, as nanoGPT has it."""
    if step < WARMUP:
        return RATE * (step + 1) / (WARMUP + 1)
    share = (step - WARMUP) / (num_steps - WARMUP)
    return LEAST + 0.5 * (1 + math.cos(math.pi * share)) * (RATE - LEAST)


def ours(args: argparse.Namespace) -> float:
    """The loss on validation of the experiment with the seed `args.seed`."""
    folder = f"outputs/benchmarks/{EXPERIMENT}-{args.steps}-{args.seed}"
    choices = [f"budget.steps={args.steps}", f"seed={args.seed}", f"run_dir={folder}"]
    pretrain(composed("pretrain", [f"experiment={EXPERIMENT}", *choices, *args.set]))
    metrics = json.loads((Path(folder) / "metrics.json").read_text())
    return float(metrics["language"]["nats_per_token"])


def main() -> None:
    """Train both with every seed and print the losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--set", nargs="*", default=[], help="overrides, such as data.path=...")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        values = composed("pretrain", [f"experiment={EXPERIMENT}", *args.set])
        store = prepare(values["data"], Path(values["stores"]) / values["data"]["name"])
        train, validation = pack(store, "train"), pack(store, "validation")
        for seed in args.seeds:
            args.seed = seed
            rows.append((ours(args), theirs(train, validation, store.meta.vocabulary, args)))
            print(f"seed {seed}: here {rows[-1][0]:.4f}, there {rows[-1][1]:.4f}", flush=True)
    here, there = np.array(rows).T
    print(f"mean: here {here.mean():.4f}, there {there.mean():.4f} nats per character")


if __name__ == "__main__":
    main()
