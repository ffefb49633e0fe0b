"""Large numbers for the eye."""


def prefixed(value: float | None, unit: str = "") -> str:
    """A figure of three digits with an SI prefix; a dash if it is unknown."""
    if value is None:
        return "-"
    for power, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()
