"""What checks the types of the library while the tests run."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""An int is a float to it, as it is to mypy (PEP 484)."""
