"""A store of several modalities in memory: what retrieval reads of one."""

from types import SimpleNamespace

import numpy as np

from trivium.data.store import Store


class PairStore(Store):
    """Items by their rows; `splits` by name, train where none is given."""

    def __init__(self, rows, splits, *, texts=(), durations=(), groups=None, strata=None, names=()):
        self._rows = {one: np.asarray(named) for one, named in rows.items()}
        self._splits = {name: np.asarray(items, np.int64) for name, items in splits.items()}
        self._groups = None if groups is None else np.asarray(groups)
        self._strata = None if strata is None else np.asarray(strata)
        self._texts, self._durations = list(texts), np.asarray(durations)
        self.meta = SimpleNamespace(name="pairs", modality="+".join(rows), strata=tuple(names))

    def split(self, name):
        return self._splits[name]

    def rows(self, modality):
        return self._rows[modality]

    def groups(self):
        return self._groups

    def strata(self):
        return self._strata

    def part(self, modality):
        return {
            "text": SimpleNamespace(texts=lambda rows: [self._texts[row] for row in rows]),
            "audio": SimpleNamespace(lengths=lambda column: self._durations),
        }[modality]
