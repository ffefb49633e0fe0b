"""Views of samples of several modalities: one of each."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from trivium.types import MODALITIES, Column, Modality, ModalityInput, View


class MultimodalViews(nn.Module):
    """The views of each modality, side by side.

    Args:
        by_modality: Views of one modality each; all make as many of a sample.

    Raises:
        ValueError: There are fewer than two modalities, or they differ in their number of views.
    """

    def __init__(self, by_modality: Mapping[Modality, nn.Module]) -> None:
        super().__init__()
        if len(by_modality) < 2:
            raise ValueError(f"several modalities are two or more, got {', '.join(by_modality)}")
        self.by_modality = nn.ModuleDict(
            {one: by_modality[one] for one in MODALITIES if one in by_modality}
        )
        numbers = {
            one: int(cast(int, views_of.num_views)) for one, views_of in self.by_modality.items()
        }
        if len(set(numbers.values())) > 1:
            raise ValueError(
                f"the recipes make different numbers of views ({numbers}): choose recipes of "
                "objective_views that agree"
            )
        self.num_views = next(iter(numbers.values()))

    @property
    def column(self) -> Column | None:
        """Which column of a store the views of audio are made from."""
        return self._of_audio("column")

    @property
    def gives(self) -> Column | None:
        """Which of the two the views of audio are."""
        return self._of_audio("gives")

    def forward(
        self,
        values: Mapping[str, Tensor],
        generator: torch.Generator | None = None,
        valid: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> tuple[View, ...]:
        """Make every view of raw values by modality; each keeps its original input.

        `valid` is of modalities of varying length; of those that `present` does not name, all
        samples are present.
        """
        made: dict[str, tuple[View, ...]] = {}
        for one, views_of in self.by_modality.items():
            more = [valid[one]] if valid and one in valid else []
            made[one] = views_of(values[one], generator, *more)
        present = present or {}
        return tuple(
            View(
                {
                    one: ModalityInput(*views[number], present.get(one), values[one])
                    for one, views in made.items()
                }
            )
            for number in range(self.num_views)
        )

    def _of_audio(self, name: str) -> Column | None:
        if "audio" not in self.by_modality:
            return None
        return cast("Column | None", getattr(self.by_modality["audio"], name))
