"""Noise levels that are visited between the image and level nl."""

from __future__ import annotations

import numpy as np

__all__ = ["visited_levels"]


def visited_levels(nl: int, steps: int | None = None) -> list[int]:
    """Levels in ascending order from 0 to nl, `steps` of them above 0 (None: all), evenly spaced.

    Example:
        >>> visited_levels(200, 4)
        [0, 50, 100, 150, 200]
    """
    return [int(v) for v in np.rint(np.linspace(0, nl, (steps or nl) + 1))]
