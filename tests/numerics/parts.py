"""Everything of Trivium that is measured here: a refactoring changes this file and no other."""

from trivium import config

without_numerics = getattr(config, "without_numerics", lambda values: values)
"""Takes the keys `numerics` out of a config's values."""
