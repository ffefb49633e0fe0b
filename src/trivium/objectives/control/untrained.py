"""The untrained encoder: what the architecture knows before it learns anything."""

from typing import ClassVar, NoReturn, final

from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Views


@final
class Untrained(Objective):
    """A control: the encoder stays exactly as it was initialised.

    It is never trained, whatever the budget; its checkpoint is probed like every other. Random
    features are a strong baseline (Saxe et al. 2011, "On Random Weights and Unsupervised
    Feature Learning"): a pretraining that does not beat them has learnt nothing of use.
    """

    paradigm: ClassVar[Paradigm] = "control"
    joint: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(modalities=("image", "text", "audio", "several"))

    def __init__(self, encoder: Encoder, data: DataSpec) -> None:  # noqa: ARG002
        super().__init__()
        self.encoder = encoder

    def forward(self, views: Views) -> NoReturn:  # noqa: ARG002
        """Never to be called.

        Raises:
            RuntimeError: Always, because a control is not trained.
        """
        raise RuntimeError(
            "The control `untrained` has no loss: it is exported as it was initialised."
        )
