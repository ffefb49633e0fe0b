"""Whether an objective, an encoder and a dataset fit: asked before anything is loaded."""

from trivium.types import Column, DataSpec, Encoder, Kind, Needs, kind_of

EXAMPLES: dict[Kind, str] = {
    "image": "vit_nano",
    "text": "text_nano",
    "audio": "audio_nano",
    "several": "towers_nano",
}
"""An encoder's yaml for each modality, to be named in messages."""


def check(
    needs: Needs,
    objective: str,
    encoder: type[Encoder] | Encoder,
    data: DataSpec,
    num_views: int,
    causal: bool | None = None,
    column: Column | None = None,
) -> None:
    """Refuse a combination that cannot work, in one sentence.

    Works on classes as well as on instances, so that no weight is built for a wrong choice.

    Args:
        needs: What the objective declares.
        objective: The objective's name, for the message.
        encoder: The encoder, or its class.
        data: The dataset's spec.
        num_views: How many views the chosen recipe makes of each sample.
        causal: Whether the encoder is causal; None asks the encoder.
        column: Of audio: what the chosen recipe makes, log-mel spectrograms or waves.

    Raises:
        ValueError: Modality, labels, tokens, direction or the number of views do not meet the
        needs.
    """
    kind = encoder if isinstance(encoder, type) else type(encoder)
    wanted_kind = kind_of(data.modality)
    if wanted_kind not in needs.modalities:
        raise ValueError(
            f"{objective} makes sense of {' or '.join(needs.modalities)}, but the dataset "
            f"{data.name} is {data.modality}: choose another objective or another dataset."
        )
    if kind.modality != wanted_kind:
        raise ValueError(
            f"{kind.__name__} encodes {kind.modality}, but the dataset {data.name} is "
            f"{data.modality}: choose an encoder of {data.modality}, such as "
            f"{EXAMPLES[wanted_kind]}."
        )
    if column is not None and wanted_kind == "audio" and kind.column != column:
        forms = {"mel": "log-mel spectrograms", "wave": "waves"}
        wanted = forms.get(kind.column or "", "something else")
        raise ValueError(
            f"the chosen views make {forms[column]}, but {kind.__name__} takes {wanted}: choose "
            f"a recipe of objective_views that makes {wanted}, or another encoder."
        )
    if causal is None:
        causal = encoder.causal
    if needs.causal is not None and causal != needs.causal:
        wanted = "the tokens before it alone" if needs.causal else "the whole text"
        raise ValueError(
            f"{objective} needs an encoder in which each token sees {wanted}: set "
            f"encoder.causal={str(needs.causal).lower()}."
        )
    if needs.labels and data.num_classes == 0:
        raise ValueError(
            f"{objective} needs labels, but the dataset {data.name} has none: choose a labelled "
            "dataset, or an unsupervised or self-supervised objective."
        )
    if needs.tokens and wanted_kind != "several" and not kind.contextual:
        raise ValueError(
            f"{objective} hides tokens from the encoder, but {kind.__name__} cannot encode a "
            "subset of tokens: choose an encoder with a transformer trunk, such as vit_nano."
        )
    enough = num_views >= needs.num_views if needs.more_views else num_views == needs.num_views
    if not enough:
        wanted = f"{needs.num_views}{' or more' if needs.more_views else ''}"
        raise ValueError(
            f"{objective} needs {wanted} view(s) of each sample, but the chosen views "
            f"make {num_views}: choose a recipe of objective_views with {wanted}."
        )
