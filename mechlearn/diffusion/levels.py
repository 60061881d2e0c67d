"""Which noise levels are visited between the image and level nl."""

from __future__ import annotations

import numpy as np

from mechlearn.diffusion.schedule import NoiseSchedule

__all__ = ["visited_levels"]


def visited_levels(
    schedule: NoiseSchedule,
    nl: int,
    *,
    steps: int | None = None,
    spacing: str = "uniform",
    above: int = 0,
) -> list[int]:
    """Levels in ascending order from 0 to nl, `steps` of them above 0 (None: all).

    `uniform` in the level; `logsnr`: uniform in log(alpha / sigma) between level 1 and nl (Lu et
    al. 2022). With `above`
    they are spread from the level after it to nl, but for two below: where nothing is asked for,
    three even steps down to the image do what all do. Where rounding makes two levels one, the
    later one moves up.
    """
    if steps is None or steps == 1:
        return list(range(nl + 1)) if steps is None else [0, nl]
    below = [round(i * (above + 1) / 3) for i in (1, 2)] if steps > 4 and above > 2 else []
    levels = [0, *below, *_spread(schedule, nl, steps - len(below), spacing, above)]
    for i in range(1, len(levels)):
        levels[i] = max(levels[i], levels[i - 1] + 1)
    for i in range(len(levels) - 1, 0, -1):  # moved beyond the top: press the last ones together
        levels[i] = min(levels[i], nl - (len(levels) - 1 - i))
    return levels


def _spread(schedule: NoiseSchedule, nl: int, count: int, spacing: str, above: int) -> list[int]:
    """`count` levels up to nl; from above + 1 where nl allows it."""
    lowest = min(above, nl - count) + 1
    if spacing == "logsnr":
        half_log_snr = _half_log_snr(schedule, nl)
        wanted = np.linspace(half_log_snr[lowest - 1], half_log_snr[-1], count)
        stops = np.interp(-wanted, -half_log_snr, np.arange(1, nl + 1))
    else:
        # Without `above` the image is one of the evenly spaced levels itself.
        first = 0.0 if lowest == 1 else lowest / nl
        stops = nl * np.linspace(first, 1, count + (lowest == 1))[-count:]
    return [int(v) for v in np.rint(stops)]


def _half_log_snr(schedule: NoiseSchedule, nl: int) -> np.ndarray:
    """log(alpha / sigma) at levels 1..nl, falling."""
    alpha_bar = np.array([float(schedule.alpha_bar(l)) for l in range(1, nl + 1)])
    return np.asarray(0.5 * np.log(alpha_bar / (1 - alpha_bar)))
