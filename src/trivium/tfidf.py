"""The raw control of text: which words a text holds."""

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from trivium.data.store import Store

NAME = "tfidf"


def features(store: Store) -> sparse.csr_array:
    """tf-idf of the words of every text [item, word], each row of unit length.

    Words are runs of two or more letters or digits, in lower case; a word's weight is its count
    times `ln((1 + texts) / (1 + texts with it)) + 1`, scikit-learn's default. Words and weights
    are those of the train split; a text without any known word is a row of zeros.
    """
    words = TfidfVectorizer().fit(store.texts(store.split("train")))
    return sparse.csr_array(words.transform(store.texts(np.arange(store.num_items))))
