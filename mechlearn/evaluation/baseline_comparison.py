"""Masks of several methods against the true mask, with paired differences to a baseline.

    rows = [{"patient": ..., **agreement(masks, truth, spacing_mm)}, ...]    # one row a slice
    beside(rows, baseline="dilation")                                        # one row in all
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.summary import mean, median
from mechlearn.metrics.distance import dice, hd95_mm
from mechlearn.metrics.rank import clustered_interval

__all__ = ["agreement", "beside", "interval", "methods_of", "table"]


def agreement(
    masks: Mapping[str, np.ndarray], truth: np.ndarray, spacing_mm: tuple[float, float]
) -> Row:
    """`dice_<method>` and `hd95_<method>_mm` of every mask (H, W); None where undefined."""
    row: Row = {}
    for name, mask in masks.items():
        row[f"dice_{name}"] = dice(mask, truth)
        row[f"hd95_{name}_mm"] = hd95_mm(mask, truth, spacing_mm)
    return row


def methods_of(rows: Iterable[Row]) -> list[str]:
    """Methods that `agreement` scored in any of the rows, in order of appearance."""
    found = (key for row in rows for key in row if key.startswith("dice_"))
    return [key.removeprefix("dice_") for key in dict.fromkeys(found)]


def beside(
    rows: Sequence[Row], *, baseline: str = "dilation", seed: int = 0, n_resamples: int = 2000
) -> Row:
    """Means of every method, and its paired differences to a baseline.

    Args:
        rows: one a slice: `patient` and the keys of `agreement`.
        baseline: the method that the others are compared with.
        seed: of the bootstrap, which resamples patients.
        n_resamples: number of bootstrap samples.

    Returns:
        For every method `dice_<m>_mean`, `hd95_<m>_mm_mean`, `hd95_<m>_mm_median` and
        `hd95_<m>_mm_n_undefined`. Over the slices that have both, `dice_<m>_gain` (method minus
        baseline) and `hd95_<m>_mm_gain` (baseline minus method), both positive where the method is
        better, with `_low` and `_high` (95%), `_share_better` and `_share_worse`. A gain in HD95 is
        None if any distance is undefined, because a mean without it would be too small.

    Raises:
        ValueError: no row has the baseline.
    """
    if not any(f"dice_{baseline}" in row for row in rows):
        raise ValueError(
            f"baseline={baseline!r}: no row has dice_{baseline}; they have {methods_of(rows)}."
        )
    out: Row = {"n_slices": len(rows), "n_patients": len({row["patient"] for row in rows})}
    for method in methods_of(rows):
        for pattern in ("dice_{}", "hd95_{}_mm"):
            key, other = pattern.format(method), pattern.format(baseline)
            values = [row.get(key) for row in rows if key in row]
            out[f"{key}_mean"] = mean(values)
            if key.startswith("hd95"):
                out[f"{key}_median"] = median(values)
                out[f"{key}_n_undefined"] = sum(v is None for v in values)
            if method != baseline:
                out |= _gain(rows, key, other, seed=seed, n_resamples=n_resamples)
    return out


def _gain(rows: Sequence[Row], key: str, other: str, *, seed: int, n_resamples: int) -> Row:
    shared = [row for row in rows if key in row and other in row]
    sign = 1.0 if key.startswith("dice") else -1.0
    gains = [
        None if row[key] is None or row[other] is None else sign * (row[key] - row[other])
        for row in shared
    ]
    known = [gain for gain in gains if gain is not None]
    names = ("", "_low", "_high", "_share_better", "_share_worse")
    if not known or len(known) < len(gains):
        return {f"{key}_gain{name}": None for name in names}
    found = clustered_interval(
        known, [row["patient"] for row in shared], rng=np.random.default_rng(seed),
        statistic="mean", n_resamples=n_resamples,
    )  # fmt: skip
    better, worse = float(np.mean(np.array(known) > 0)), float(np.mean(np.array(known) < 0))
    values = (found.estimate, found.low, found.high, better, worse)
    return {f"{key}_gain{name}": value for name, value in zip(names, values, strict=True)}


def table(summary: Row, methods: Sequence[str]) -> str:
    """The numbers of `beside` as a Markdown table, one line a method."""
    lines = [
        "| method | Dice | gain on the baseline (95%) | slices better | HD95, mm "
        "| nearer than the baseline, mm (95%) | slices better / worse |",
        "|" + "---|" * 7,
    ]
    for m in methods:
        d, h = f"dice_{m}", f"hd95_{m}_mm"
        lines.append(
            f"| {m} | {_number(summary[d + '_mean'], 3)} | {interval(summary, d, 4)} "
            f"| {_number(summary.get(d + '_gain_share_better'), 2)} "
            f"| {_number(summary[h + '_mean'], 2)} | {interval(summary, h, 2)} "
            f"| {_number(summary.get(h + '_gain_share_better'), 2)} / "
            f"{_number(summary.get(h + '_gain_share_worse'), 2)} |"
        )
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def interval(summary: Row, key: str, digits: int) -> str:
    """A gain of `beside` and its 95% interval as text; "-" where it is undefined."""
    gain = summary.get(f"{key}_gain")
    if gain is None:
        return "-"
    low, high = summary[f"{key}_gain_low"], summary[f"{key}_gain_high"]
    return f"{gain:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
