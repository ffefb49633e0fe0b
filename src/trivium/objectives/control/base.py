"""What controls share: they are not trained."""

from abc import ABC
from typing import ClassVar, NoReturn

from trivium.types import Objective, Paradigm, Views


class Control(Objective, ABC):
    """An objective that is fitted in closed form, or not at all."""

    paradigm: ClassVar[Paradigm] = "control"

    def forward(self, views: Views) -> NoReturn:  # noqa: ARG002
        """Never to be called.

        Raises:
            RuntimeError: Always, because a control is not trained.
        """
        raise RuntimeError(f"The control {self.title} has no loss: it is not trained.")


NUM_ITERATIONS, NUM_MORE = 7, 10
"""Power iterations and additional directions of randomised decompositions (0909.4061)."""


def randomised_flops(entries: int, sides: int, width: int) -> int:
    """FLOPs of a randomised decomposition (Halko et al., arXiv 0909.4061, section 4.6).

    2 n q for each of 2 i + 2 products with the n `entries`, and 2 (rows + columns) q^2 for each
    factorisation between them, for i iterations and q = `width` + 10 directions.
    """
    directions = width + NUM_MORE
    products = (2 * NUM_ITERATIONS + 2) * 2 * entries * directions
    return products + (NUM_ITERATIONS + 1) * 2 * sides * directions**2


def check_enough(num_items: int, least: int, kind: str = "items") -> None:
    """Refuse fewer items than components need.

    Raises:
        ValueError: There are fewer than `least` of this kind.
    """
    if num_items < least:
        raise ValueError(
            f"so many components need {least} {kind}, but the train split has {num_items}: "
            "choose a smaller objective.width."
        )
