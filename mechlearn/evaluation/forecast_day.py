"""The day a forecast is asked for: days since the first visit, or days after the last one."""

from __future__ import annotations

from mechlearn.checks import in_range

__all__ = ["LATEST_DAY", "day_of"]

LATEST_DAY = 36_525.0  # a hundred years: a date written as a number is refused


def day_of(day: float | str, last: float | None, patient: str) -> float:
    """`120` or `"120"` is that day; `"+60"` is 60 days after the last visit.

    Args:
        day: as given by the user.
        last: day of the last visit, None where it is not known.
        patient: named in errors.

    Raises:
        ValueError: not a number of days, beyond a hundred years, or `+` without a dated visit.

    Example:
        >>> day_of("+60", 30.0, "P01")
        90.0
    """
    text = str(day).strip()
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    in_range("day", value, -LATEST_DAY, LATEST_DAY,
             remedy=f"day={text} must be days since the first visit, such as 120, or +60 for 60 "
             "days after the last visit.")  # fmt: skip
    if not text.startswith("+"):
        return value
    if last is None:
        raise ValueError(
            f"day={text}: the last visit of {patient} has no day. Fill in the column `day`."
        )
    return last + value
