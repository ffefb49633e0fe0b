"""What can go wrong between a package registry and a store, in one sentence each."""


class DataError(ValueError):
    """Something about a dataset is wrong; the message says what was given and what to do."""


class ConfigError(DataError):
    """A data config lacks a key, has an unknown one, or contradicts the data."""


class ArchiveError(DataError):
    """An archive is corrupt, or tries to leave its folder or its bounds."""


class StoreError(DataError):
    """A store is missing, incomplete or altered."""


class SourceUnavailable(Exception):  # noqa: N818
    """A source cannot answer here (no tool, no network, no such file): the next one is tried."""


class ChecksumWarning(UserWarning):
    """A fetched archive has no recorded sum, or another one than the recorded."""
