"""Latent semantic analysis: what the words of a text say without any training."""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from trivium.encoders.projections import TermProjection
from trivium.objectives.control.base import (
    NUM_ITERATIONS,
    NUM_MORE,
    Control,
    check_enough,
    randomised_flops,
)
from trivium.types import SPECIAL_TOKENS, DataSpec, Encoder, Needs


@final
class LSA(Control):
    """A control: tf-idf of the ids of a text on the first `width` singular directions.

    Deerwester et al. 1990, doi
    10.1002/%28SICI%291097-4571%28199009%2941%3A6%3C391%3A%3AAID-ASI1%3E3.0.CO%3B2-9, as computed by
    scikit-learn's `TfidfTransformer` and `TruncatedSVD` (Halko et al., arXiv 0909.4061, algorithm
    4.4, a fixed seed). Rows are not centred. The configured encoder is ignored: a linear
    `TermProjection` is exported.

    Raises:
        ValueError: `width` is not smaller than the vocabulary.
    """

    title: ClassVar[str] = "LSA"
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
        """Fit on padded ids, and return the FLOPs, see `randomised_flops`.

        Raises:
            ValueError: There are not more texts than components.
        """
        from scipy import sparse
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer

        num_texts, vocabulary = len(values), len(self.encoder.weights)
        width = self.encoder.width
        check_enough(num_texts, width + 1, "texts")
        rows, columns = (values >= len(SPECIAL_TOKENS)).nonzero(as_tuple=True)
        ones = torch.ones(len(rows), dtype=torch.float64)
        entries = (ones.numpy(), (rows.numpy(), values[rows, columns].numpy()))
        counts = sparse.coo_array(entries, shape=(num_texts, vocabulary)).tocsr()
        weigh = TfidfTransformer().fit(counts)
        found = TruncatedSVD(
            width, n_iter=NUM_ITERATIONS, n_oversamples=NUM_MORE, random_state=0
        ).fit(weigh.transform(counts))
        self.encoder.weights.copy_(torch.from_numpy(weigh.idf_))
        self.encoder.components.copy_(torch.from_numpy(found.components_))
        return randomised_flops(counts.nnz, num_texts + vocabulary, width)
