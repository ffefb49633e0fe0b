"""The untrained encoder: what the architecture knows before it learns anything."""

from typing import ClassVar, final

from trivium.objectives.control.base import Control
from trivium.types import DataSpec, Encoder, Needs


@final
class Untrained(Control):
    """A control: the encoder stays exactly as it was initialised.

    Random features are a strong baseline (Saxe et al. 2011, "On Random Weights and Unsupervised
    Feature Learning").
    """

    title: ClassVar[str] = "untrained encoder"
    joint: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(modalities=("image", "text", "audio", "several"))

    def __init__(self, encoder: Encoder, data: DataSpec) -> None:  # noqa: ARG002
        super().__init__()
        self.encoder = encoder
