"""Two contrastive views of a batch: ours against torchvision, the same work, interleaved.

Command: python benchmarks/views.py [--seconds 4] [--batch 256]

Both make two views of every uint8 image: random resized crop with antialiasing, flip, colour
jitter (p 0.8), greyscale (p 0.2). torchvision treats one image at a time, as in a dataset's
`__getitem__`: that gives each sample parameters of its own. The two take turns, so whatever
else the machine does strikes both; the median of the ratios within a turn is what counts.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torchvision.transforms import v2

RECIPES = Path(__file__).parents[1] / "conf/views/image.yaml"
PEER_BATCH_SIZE = 64
SHAPES = ((3, 32, 32), (1, 28, 28))


def torchvision_recipe(num_channels: int) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """The `contrastive` recipe in torchvision's words."""
    pipeline = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.RandomResizedCrop(0, scale=(0.5, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            *([v2.RandomGrayscale(0.2)] if num_channels == 3 else []),
        ]
    )

    def two_views(images: torch.Tensor) -> list[torch.Tensor]:
        pipeline.transforms[1].size = list(images.shape[2:])
        return [torch.stack([pipeline(image) for image in images]) for _ in range(2)]

    return two_views


def images_per_second(make_views: Callable[[torch.Tensor], object], images: torch.Tensor) -> float:
    """Images that one call turns into two views, per second."""
    start = time.perf_counter()
    make_views(images)
    return len(images) / (time.perf_counter() - start)


def race(
    make_views: Callable[[torch.Tensor], object],
    peer: Callable[[torch.Tensor], object],
    images: torch.Tensor,
    seconds: float,
) -> tuple[list[float], list[float]]:
    """Speeds of both, turn by turn, for so many seconds."""
    images_per_second(make_views, images)
    images_per_second(peer, images[:8])
    ours: list[float] = []
    theirs: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(ours) < 3:
        ours.append(statistics.median(images_per_second(make_views, images) for _ in range(5)))
        theirs.append(images_per_second(peer, images[:PEER_BATCH_SIZE]))
    return ours, theirs


def main() -> None:
    """Print images per second (two views each) and the ratio, on one thread and on two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each line")
    parser.add_argument("--batch", type=int, default=256)
    args = parser.parse_args()
    recipe = instantiate(OmegaConf.load(RECIPES).contrastive)
    # A training step has freed large tensors before the next batch comes: without this, the
    # C library would hand memory back to the system after every call and fault it in again.
    torch.empty(2**22)
    columns = "threads   trivium/s   torchvision/s   ratio (median, range)"
    print(f"two views, batch {args.batch:<9}{columns}")
    for num_threads in (1, 2):
        torch.set_num_threads(num_threads)
        for shape in SHAPES:
            images = torch.randint(0, 256, (args.batch, *shape), dtype=torch.uint8)
            ours, theirs = race(recipe, torchvision_recipe(shape[0]), images, args.seconds)
            ratios = sorted(mine / peer for mine, peer in zip(ours, theirs, strict=True))
            print(
                f"{' x '.join(map(str, shape)):>22} {num_threads:>10} {max(ours):>11,.0f} "
                f"{max(theirs):>15,.0f}   {statistics.median(ratios):.1f} "
                f"({ratios[0]:.1f}-{ratios[-1]:.1f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
