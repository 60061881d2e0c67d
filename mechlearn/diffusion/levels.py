"""Which noise levels are visited between the image and level nl."""

from __future__ import annotations

import numpy as np

from mechlearn.diffusion.schedule import NoiseSchedule

__all__ = ["SPACINGS", "visited_levels"]

SPACINGS = ("uniform", "quadratic", "logsnr")


def visited_levels(
    schedule: NoiseSchedule, nl: int, *, steps: int | None = None, spacing: str = "uniform"
) -> list[int]:
    """Levels in ascending order from 0 to nl, `steps` of them above 0 (None: all).

    `uniform` in the level; `quadratic`: l goes like the square of its number (Song et al. 2020);
    `logsnr`: uniform in log(alpha / sigma) between level 1 and nl (Lu et al. 2022). Where rounding
    makes two levels one, the later one moves up.
    """
    count = nl if steps is None else steps
    share = np.linspace(0, 1, count + 1)
    if spacing == "logsnr" and count > 1:
        half_log_snr = _half_log_snr(schedule, nl)
        wanted = np.linspace(half_log_snr[0], half_log_snr[-1], count)
        above = np.interp(-wanted, -half_log_snr, np.arange(1, nl + 1))
        stops = np.concatenate([[0.0], above])
    else:
        stops = nl * (share**2 if spacing == "quadratic" else share)
    levels = [int(v) for v in np.rint(stops)]
    for i in range(1, len(levels)):
        levels[i] = max(levels[i], levels[i - 1] + 1)
    for i in range(len(levels) - 1, 0, -1):  # moved beyond the top: press the last ones together
        levels[i] = min(levels[i], nl - (len(levels) - 1 - i))
    return levels


def _half_log_snr(schedule: NoiseSchedule, nl: int) -> np.ndarray:
    """log(alpha / sigma) at levels 1..nl, falling."""
    alpha_bar = np.array([float(schedule.alpha_bar(l)) for l in range(1, nl + 1)])
    return np.asarray(0.5 * np.log(alpha_bar / (1 - alpha_bar)))
