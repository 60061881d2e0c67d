"""Paired comparisons over slices and over patients; an undefined value is the worst case.

Slices of one patient are not independent. The paper tests over slices; here the same test is also
done over patients' medians, and intervals resample patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from mechlearn.checks import in_range, one_of

__all__ = [
    "ClusteredInterval",
    "PairedComparison",
    "RankTest",
    "clustered_interval",
    "compare_paired",
    "patient_medians",
    "wilcoxon_worst_case",
]

Alternative = Literal["two-sided", "less", "greater"]
Values = Sequence["float | None"]


@dataclass(frozen=True)
class RankTest:
    """Wilcoxon signed-rank test of a against b.

    Attributes:
        p_value: None where no pair differs or there is no pair.
        statistic: of the test; None with `p_value`.
        median_difference: of a - b over pairs where both are defined; None without such a pair.
        n: number of pairs. n_undefined_a, n_undefined_b: number of undefined values.
    """

    p_value: float | None
    statistic: float | None
    median_difference: float | None
    n: int
    n_undefined_a: int
    n_undefined_b: int


@dataclass(frozen=True)
class PairedComparison:
    """The same test over slices (as in the paper) and over patients' medians."""

    slices: RankTest
    patients: RankTest


@dataclass(frozen=True)
class ClusteredInterval:
    """A statistic with a bootstrap interval that resamples patients; None where it is undefined."""

    estimate: float | None
    low: float | None
    high: float | None
    level: float
    n_patients: int
    n_undefined: int


def _paired(a: Values, b: Values) -> None:
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} values and b {len(b)}: a paired test needs pairs.")


def _worst_as_number(a: Values, b: Values, *, higher_is_better: bool) -> tuple[np.ndarray, ...]:
    """Replace None by a number whose difference to any defined value is the largest."""
    defined = [v for v in (*a, *b) if v is not None and np.isfinite(v)]
    if not defined:
        worst = 0.0
    else:
        reach = 2 * (max(defined) - min(defined)) + 1.0
        worst = min(defined) - reach if higher_is_better else max(defined) + reach
    return tuple(
        np.array([v if v is not None and np.isfinite(v) else worst for v in values], float)
        for values in (a, b)
    )


def wilcoxon_worst_case(
    a: Values,
    b: Values,
    *,
    higher_is_better: bool = False,
    alternative: Alternative = "two-sided",
) -> RankTest:
    """Wilcoxon signed-rank test of paired values; None (an empty mask) is worse than any number.

    Pairs without a difference (also two undefined values) are left out, as in Wilcoxon's original
    test.

    Args:
        a, b: one value a case, in the same order.
        higher_is_better: False for scores such as HD95.
        alternative: `less`: a tends to be smaller than b.
    """
    _paired(a, b)
    one_of("alternative", alternative, ("two-sided", "less", "greater"))
    x, y = _worst_as_number(a, b, higher_is_better=higher_is_better)
    both = [u - v for u, v in zip(a, b, strict=True) if u is not None and v is not None]
    counts = (len(a), sum(v is None for v in a), sum(v is None for v in b))
    median = float(np.median(both)) if both else None
    difference = np.round(x - y, 12)
    difference = difference[difference != 0]  # scipy gives up its exact test if there are zeros
    if difference.size == 0:
        return RankTest(None, None, median, *counts)
    found: Any = stats.wilcoxon(difference, alternative=alternative)
    return RankTest(float(found.pvalue), float(found.statistic), median, *counts)


def patient_medians(values: Values, patients: Sequence[str]) -> dict[str, float | None]:
    """Median of each patient's values; an undefined value counts as infinite (the worst).

    None where the median is then infinite.
    """
    if len(values) != len(patients):
        raise ValueError(f"{len(values)} values but {len(patients)} patients: give one of each.")
    grouped: dict[str, list[float]] = {}
    for value, patient in zip(values, patients, strict=True):
        grouped.setdefault(patient, []).append(np.inf if value is None else float(value))
    medians = {patient: float(np.median(group)) for patient, group in grouped.items()}
    return {patient: m if np.isfinite(m) else None for patient, m in medians.items()}


def compare_paired(
    a: Values,
    b: Values,
    patients: Sequence[str],
    *,
    higher_is_better: bool = False,
    alternative: Alternative = "two-sided",
) -> PairedComparison:
    """`wilcoxon_worst_case` over slices and over patients' medians.

    Args:
        a, b: one value a slice.
        patients: the patient of each slice.
        higher_is_better, alternative: as for `wilcoxon_worst_case`.
    """
    _paired(a, b)
    sign = -1.0 if higher_is_better else 1.0  # with this sign the worst is +infinity
    a_up, b_up = ([None if v is None else sign * v for v in values] for values in (a, b))
    medians_a, medians_b = patient_medians(a_up, patients), patient_medians(b_up, patients)

    def back(medians: dict[str, float | None]) -> list[float | None]:
        return [None if v is None else sign * v for v in medians.values()]

    def test(x: Values, y: Values) -> RankTest:
        return wilcoxon_worst_case(
            x, y, higher_is_better=higher_is_better, alternative=alternative
        )

    return PairedComparison(test(a, b), test(back(medians_a), back(medians_b)))


def clustered_interval(
    values: Values,
    patients: Sequence[str],
    *,
    rng: np.random.Generator,
    statistic: Literal["median", "mean"] = "median",
    n_resamples: int = 2000,
    level: float = 0.95,
) -> ClusteredInterval:
    """Percentile bootstrap of a median or mean over slices that resamples patients.

    Args:
        values: one a slice; larger is worse. For the median an undefined value counts as infinite;
            for the mean undefined values are an error.
        patients: the patient of each slice.
        rng: random generator of the resampling.
        statistic: `median` or `mean`.
        n_resamples: number of bootstrap samples.
        level: of the interval.

    Returns:
        The interval; an infinite end is None.

    Raises:
        ValueError: no values, or a mean with undefined ones.
    """
    one_of("statistic", statistic, ("median", "mean"))
    in_range("level", level, 0.0, 1.0)
    if len(values) != len(patients) or not values:
        raise ValueError(
            f"{len(values)} values, {len(patients)} patients: give one of each, at least one."
        )
    n_undefined = sum(v is None for v in values)
    if n_undefined and statistic == "mean":
        raise ValueError(
            f"{n_undefined} of {len(values)} values are undefined, so there is no mean. Use "
            "statistic='median', which treats them as the worst case."
        )
    numbers = np.array([np.inf if v is None else v for v in values], float)
    names = np.asarray(patients)
    groups = [numbers[names == name] for name in dict.fromkeys(patients)]
    of: Callable[[np.ndarray], Any] = np.median if statistic == "median" else np.mean
    drawn = rng.integers(len(groups), size=(n_resamples, len(groups)))
    if statistic == "mean":  # from sums: much faster
        sums, counts = (np.array([f(g) for g in groups], float) for f in (np.sum, np.size))
        resampled = (sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)).tolist()
    else:
        resampled = [float(of(np.concatenate([groups[i] for i in row]))) for row in drawn]
    tail = (1 - level) / 2
    # "lower" and "higher" select a value, so there is no arithmetic with infinities.
    low = float(np.quantile(resampled, tail, method="lower"))
    high = float(np.quantile(resampled, 1 - tail, method="higher"))
    estimate, low_end, high_end = (
        v if np.isfinite(v) else None for v in (float(of(numbers)), low, high)
    )
    return ClusteredInterval(estimate, low_end, high_end, level, len(groups), n_undefined)
