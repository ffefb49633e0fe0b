"""Latent semantic analysis: what the words of a text say without any training."""

from typing import ClassVar, NoReturn, final

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from trivium.encoders.projections import TermProjection
from trivium.types import SPECIAL_TOKENS, DataSpec, Encoder, Needs, Objective, Paradigm, Views

NUM_ITERATIONS, NUM_MORE = 7, 10
"""Power iterations and additional directions of the randomised decomposition."""


@final
class LSA(Objective):
    """A control: tf-idf of the ids of a text on the first `width` singular directions.

    Deerwester et al. 1990, doi
    10.1002/%28SICI%291097-4571%28199009%2941%3A6%3C391%3A%3AAID-ASI1%3E3.0.CO%3B2-9, as
    computed by scikit-learn's `TfidfTransformer` (smooth idf, rows of unit length) and
    `TruncatedSVD` (randomised, Halko et al., arXiv 0909.4061, algorithm 4.4, with a fixed seed).
    Rows are not centred, as usual for texts. The configured encoder is ignored: what is exported
    is the linear `TermProjection`.

    Raises:
        ValueError: `width` is not smaller than the vocabulary.
    """

    paradigm: ClassVar[Paradigm] = "control"
    needs: ClassVar[Needs] = Needs(modalities=("text",))
    encoder: TermProjection

    def __init__(self, encoder: Encoder, data: DataSpec, *, width: int) -> None:  # noqa: ARG002
        super().__init__()
        self.encoder = TermProjection(data, width=width)

    def fit(
        self,
        values: Int64[Tensor, "item token"],
        valid: Bool[Tensor, "item token"] | None = None,  # noqa: ARG002
    ) -> int:
        """Fit on padded ids, and return the FLOPs.

        They are those of the products with the matrix of n entries that are not zero,
        2 n q for each of 2 i + 2 products, and of the LU and QR factorisations between them,
        about 2 (N + V) q^2 for each iteration (Halko et al., section 4.6), for N texts, V ids,
        i iterations and q = width + 10 directions.

        Raises:
            ValueError: There are fewer texts than components.
        """
        from scipy import sparse
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer

        num_texts, vocabulary = len(values), len(self.encoder.weights)
        width = self.encoder.width
        if num_texts <= width:
            raise ValueError(
                f"{width} components need more texts than that, but the train split has "
                f"{num_texts}: choose a smaller objective.width."
            )
        rows, places = (values >= len(SPECIAL_TOKENS)).nonzero(as_tuple=True)
        ones = torch.ones(len(rows), dtype=torch.float64)
        entries = (ones.numpy(), (rows.numpy(), values[rows, places].numpy()))
        counts = sparse.coo_array(entries, shape=(num_texts, vocabulary)).tocsr()
        weigh = TfidfTransformer().fit(counts)
        found = TruncatedSVD(
            width, n_iter=NUM_ITERATIONS, n_oversamples=NUM_MORE, random_state=0
        ).fit(weigh.transform(counts))
        self.encoder.weights.copy_(torch.from_numpy(weigh.idf_))
        self.encoder.components.copy_(torch.from_numpy(found.components_))
        directions = width + NUM_MORE
        products = (2 * NUM_ITERATIONS + 2) * 2 * counts.nnz * directions
        factors = (NUM_ITERATIONS + 1) * 2 * (num_texts + vocabulary) * directions**2
        return int(products + factors)

    def forward(self, views: Views) -> NoReturn:  # noqa: ARG002
        """Never to be called.

        Raises:
            RuntimeError: Always, because a control is not trained.
        """
        raise RuntimeError("The control `lsa` has no loss: it is fitted in closed form.")
