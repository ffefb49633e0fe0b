"""The few types that every part of Trivium shares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

Paradigm = Literal["supervised", "unsupervised", "self_supervised", "control"]
Modality = Literal["image", "text", "audio"]
MODALITIES: tuple[Modality, ...] = ("image", "text", "audio")
"""In the order in which they are named together."""
Modalities = Literal[
    "image", "text", "audio", "image+text", "image+audio", "text+audio", "image+text+audio"
]
"""What a dataset, an encoder or a result is of: one modality, or several together."""
Kind = Literal["image", "text", "audio", "several"]
"""What an objective applies to: one modality, or samples of several."""


def parts_of(modality: Modalities) -> tuple[Modality, ...]:
    """The single modalities of which something is."""
    return cast(tuple[Modality, ...], tuple(modality.split("+")))


def kind_of(modality: Modalities) -> Kind:
    """The modality itself, or `several`."""
    return "several" if "+" in modality else cast(Kind, modality)


def together(modalities: Mapping[Any, Any] | tuple[Modality, ...]) -> Modalities:
    """The name of some modalities together."""
    return cast(Modalities, "+".join(one for one in MODALITIES if one in modalities))


Split = Literal["train", "validation", "test"]
Column = Literal["mel", "wave"]
"""The two forms in which a store holds audio: log-mel spectrograms, and the waves themselves."""

PAD, BOS, EOS, MASK = range(4)
"""Ids of the special tokens, the same in every vocabulary: padding, the begin and the end of a
text, and what replaces a masked token."""
SPECIAL_TOKENS = ("[PAD]", "[BOS]", "[EOS]", "[MASK]")
"""Their names, by id."""

Terms = dict[str, Tensor]
"""Named scalars of one objective step; `loss` is the one that is minimised."""


class Batch(NamedTuple):
    """What a store returns for a set of indices.

    `inputs` maps a modality to its raw values as stored (image: uint8 [batch, channel, height,
    width]; text: int64 ids [batch, token], `PAD` after the end; audio: float16 log-mel
    [batch, 1, frame, band] or int16 waves [batch, sample], silence after the end); `valid` maps a
    modality of varying length to a bool [batch, length], True where there is data; `labels` is
    None on unlabelled data. `present`, of multimodal data alone, maps a modality to a bool [batch],
    False where a sample lacks it (its input is blank there).
    """

    inputs: dict[str, Tensor]
    valid: dict[str, Tensor]
    labels: Int64[Tensor, " batch"] | None
    indices: Int64[Tensor, " batch"]
    present: dict[str, Tensor] | None = None


class View(NamedTuple):
    """One version of a batch, ready for an encoder.

    Image: float in [0, 1]; text: ids; audio: log-mel spectrograms, or waves in [-1, 1]; samples
    of several modalities: `MultimodalInput`.
    """

    values: Any
    valid: Bool[Tensor, "batch length"] | None = None


class ModalityInput(NamedTuple):
    """The view of one of several modalities, and which samples have it (None: all of them).

    Values of a sample that lacks it are blank and must not be used. `original` holds the raw
    values, before a view left any out or changed them; None where `values` are those.
    """

    values: Tensor
    valid: Bool[Tensor, "batch length"] | None = None
    present: Bool[Tensor, " batch"] | None = None
    original: Tensor | None = None

    @property
    def present_mask(self) -> Bool[Tensor, " batch"]:
        """`present`, True throughout where it is None."""
        if self.present is None:
            return torch.ones(len(self.values), dtype=torch.bool, device=self.values.device)
        return self.present


MultimodalInput = dict[Modality, ModalityInput]
"""A batch of samples of several modalities, in the order of `MODALITIES`."""


class Views(NamedTuple):
    """What an objective sees: one or more views, and labels only if it declared them."""

    views: tuple[View, ...]
    labels: Int64[Tensor, " batch"] | None = None


class Tokens(NamedTuple):
    """Embedded inputs before any context, positions added.

    `indices` are the tokens' positions in their sample, for encoders whose attention uses them
    (rotary); None where the tokens are all there and in order.
    """

    values: Float[Tensor, "batch token channel"]
    valid: Bool[Tensor, "batch token"]
    indices: Int64[Tensor, "batch token"] | None = None


class Features(NamedTuple):
    """What every encoder returns."""

    tokens: Float[Tensor, "batch token channel"]
    pooled: Float[Tensor, "batch channel"]
    valid: Bool[Tensor, "batch token"]


class DataSpec(NamedTuple):
    """What encoders and objectives may know about a dataset before any of it is loaded.

    `shape` is one sample's shape (image: channel, height, width; text: the most tokens; audio: 1,
    the most frames, mel bands); `num_classes` is 0 on unlabelled data; `mean` and `std` are
    per-channel statistics of the train split in the encoder's range (text: empty); `vocabulary`
    counts the ids of text, special tokens included (else 0); `sound` holds the settings of
    log-mel spectrograms (`trivium.data.spectrogram.SoundSettings`, else empty). Data of several
    modalities have `parts`, a spec of each in the order of `MODALITIES`, instead of a shape.
    """

    name: str
    modality: Modalities
    shape: tuple[int, ...]
    num_classes: int
    num_samples: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    vocabulary: int = 0
    sound: tuple[float, ...] = ()
    parts: "tuple[DataSpec, ...]" = ()

    def part(self, modality: Modality) -> "DataSpec":
        """The spec of one of several modalities.

        Raises:
            KeyError: The data have no such part.
        """
        return {one.modality: one for one in self.parts}[modality]

    def plain(self) -> dict[str, Any]:
        """Plain values, from which `of` makes the same again."""
        parts = {"parts": [one.plain() for one in self.parts]} if self.parts else {}
        return {key: value for key, value in self._asdict().items() if key != "parts"} | parts

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "DataSpec":
        """The spec that `plain` described, lists being tuples."""
        values: dict[str, Any] = dict(plain)
        values |= {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
        return cls(**values | {"parts": tuple(cls.of(one) for one in plain.get("parts", ()))})


class Needs(NamedTuple):
    """What an objective asks of data and encoder, checked before any data is loaded.

    `tokens`: an encoder that embeds tokens and contextualises a subset of them. `target`: a stem
    that says what predicting its input means. `num_views`: views of each sample; with `more_views`
    at least so many (multi-crop). `modalities`: those that it applies to. `causal`: True for an
    encoder whose tokens see only what came before them, False for one whose tokens see everything,
    None where it does not matter. `packed`: texts joined into one stream and cut into blocks of
    equal length, instead of one text per sample.
    """

    labels: bool = False
    tokens: bool = False
    target: bool = False
    num_views: int = 1
    more_views: bool = False
    modalities: tuple[Kind, ...] = ("image", "text", "audio")
    causal: bool | None = None
    packed: bool = False


class Stem(nn.Module, ABC):
    """Turns raw values into tokens, and owns what predicting the input means.

    `likelihood` is the observation model of `target`: gaussian (squared error on real values) or
    categorical (cross-entropy on ids).
    """

    num_tokens: int
    """Tokens per sample (the maximum for variable lengths)."""
    grid: tuple[int, int]
    """Rows and columns of the tokens; one row where they form a sequence."""
    target_width: int
    """Values that a prediction holds per token (patch pixels, or vocabulary size)."""
    positions: Tensor
    """What is added to each token's content, [token, channel]; of stems that embed tokens only."""
    likelihood: ClassVar[Literal["gaussian", "categorical"]]

    @property
    def blank(self) -> float:
        """What replaces masked values of a gaussian target in reconstructions."""
        return 0.0

    def length(self, values: Tensor) -> int:
        """Tokens that a batch of raw values becomes; fewer than `num_tokens` if it is shorter."""
        return self.num_tokens

    def plane(self, length: int) -> tuple[int, int]:
        """Rows and columns of so many tokens: the first rows (of one row, columns) of the grid."""
        rows, columns = self.grid
        return (1, length) if rows == 1 else (length // columns, columns)

    @abstractmethod
    def target(self, values: Tensor, *, normalise: bool = False) -> Tensor:
        """What is predicted, per token; `normalise` standardises each token's values."""

    @abstractmethod
    def distance(self, prediction: Tensor, target: Tensor) -> Float[Tensor, "batch token"]:
        """Per-token loss: mean squared error over the token's values, or cross-entropy."""

    @abstractmethod
    def render(self, prediction: Tensor) -> Tensor:
        """A prediction (or a target) back in the space of the inputs.

        Image: [batch, channel, height, width] in [0, 1]; text: ids [batch, token]; audio: log-mel
        [batch, 1, frame, band], or waves [batch, sample].
        """


class Encoder(nn.Module, ABC):
    """Stem, trunk and pooling: what a probe sees.

    Receives raw values in the range of a `View` and standardises images itself, with the
    statistics that it was built with.
    """

    name: str
    """The encoder's yaml name, e.g. `vit_nano`."""
    width: int
    """Channels of `Features.pooled`."""
    token_width: int
    """Channels of `Features.tokens`; below `width` where the pooling concatenates."""
    stem: Stem
    arguments: dict[str, object]
    """Plain constructor arguments: what `encoder.yaml` stores to build the encoder again."""
    contextual: ClassVar[bool]
    """Whether `embed` and `contextualise` work on subsets of tokens (Needs.tokens)."""
    modality: ClassVar[Kind] = "image"
    """What it encodes."""
    column: ClassVar[Column | None] = None
    """The column of a store that it reads; of audio alone."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Prefixes of parameters that an objective may leave without a gradient."""
    causal: bool = False
    """Whether each token sees only itself and what came before it."""
    tokenizer: str | None = None
    """The tokenizer (json) that its ids come from, where it was loaded with one."""

    def keep_arguments(self, given: Mapping[str, Any], **others: Any) -> None:
        """Keep the name and the arguments of a constructor, of which `given` are the locals."""
        kept = {k: plain(v) for k, v in given.items() if k not in ("self", "data", "__class__")}
        self.name = given["name"]
        self.arguments = {"data": given["data"].plain(), **kept, **others}

    @abstractmethod
    def forward(self, values: Any, valid: Tensor | None = None) -> Features:
        """Encode a batch: a tensor, or a `MultimodalInput` where it encodes several modalities."""

    def embed(self, values: Tensor, valid: Tensor | None = None) -> Tokens:
        """Embed the input as tokens with positions; only where `contextual`."""
        raise NotImplementedError(f"{type(self).__name__} has no token embedding")

    def contextualise(self, tokens: Tokens) -> Features:
        """Run trunk and pooling over any subset of embedded tokens; only where `contextual`."""
        raise NotImplementedError(f"{type(self).__name__} cannot encode a subset of tokens")

    def layers(self, tokens: Tokens) -> tuple[Float[Tensor, "batch token channel"], ...]:
        """The tokens as each block of the trunk returns them; only where `contextual`."""
        raise NotImplementedError(f"{type(self).__name__} has no blocks of tokens")


def plain(value: Any) -> Any:
    """Maps and lists of a configuration as plain ones, which can be saved."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value


class Objective(nn.Module, ABC):
    """What is minimised: owns its heads and targets, returns named scalars, never logs.

    `encoder` is the one that is exported and probed. Subclasses are final; their constructor
    takes `(encoder, data, *, ...)` with keyword-only settings equal to the yaml's keys.
    """

    title: ClassVar[str]
    """Its name in tables and docs, e.g. `I-JEPA`."""
    paradigm: ClassVar[Paradigm]
    needs: ClassVar[Needs]
    joint: ClassVar[bool] = False
    """Of several modalities: whether it learns the encoder's joint space (`Towers.joint`)."""
    encoder: Encoder

    @abstractmethod
    def forward(self, views: Views) -> Terms:
        """Named scalars of one step; `loss` is minimised, the others are watched."""

    def fit(self, values: Any, valid: Bool[Tensor, "item length"] | None = None) -> int:
        """Fit on raw train values before the first step; returns the FLOPs that it cost.

        For controls in closed form, and for targets that begin as clusters of the input.
        The values are a tensor [item, ...] or a `MultimodalInput`; `valid` is True where samples of
        different lengths hold data.
        """
        return 0

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step (moving averages); progress is in [0, 1]."""

    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """Named rows in the space of the inputs (`Stem.render`), aligned over the batch, or {}."""
        return {}

    def surprisal(self, view: View) -> Float[Tensor, "batch token"] | None:
        """Of a language model: -ln p of each token given those before it, 0 for the first."""
        return None

    def assign(self, view: View) -> Int64[Tensor, " batch"] | None:
        """Which of its own groups (clusters, prototypes) each sample falls into, if it has any."""
        return None

    def plateau(self, batch_size: int) -> float | None:
        """The loss of an objective that learnt nothing (ln N and the like); None if unknown."""
        return None
