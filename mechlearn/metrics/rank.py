"""Paired comparisons over slices and over patients; an undefined value is the worst case.

Slices of one patient are not independent. The paper tests over slices; the same test over patients'
medians and an interval that resamples whole patients stand beside it.
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
    """Wilcoxon signed rank test of a against b.

    Attributes:
        p_value: None where no pair differs or there is no pair.
        median_difference: of a - b over pairs where both are defined; None without such a pair.
        n: pairs. n_undefined_a, n_undefined_b: values that counted as the worst case.
    """

    p_value: float | None
    statistic: float | None
    median_difference: float | None
    n: int
    n_undefined_a: int
    n_undefined_b: int


@dataclass(frozen=True)
class PairedComparison:
    """The same question asked over slices (the paper's) and over patients' medians."""

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
    """None replaced so that its difference to any defined value outranks every other difference."""
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
    """Wilcoxon signed rank test of paired values; None (an empty mask) is worse than any number.

    Args:
        a, b: one value a case, in one order; smaller is better (HD95) unless `higher_is_better`.
        alternative: `less`: a tends to lie below b.

    Pairs without a difference (two undefined values among them) are left out, as Wilcoxon did.
    """
    _paired(a, b)
    one_of("alternative", alternative, ("two-sided", "less", "greater"))
    x, y = _worst_as_number(a, b, higher_is_better=higher_is_better)
    both = [u - v for u, v in zip(a, b, strict=True) if u is not None and v is not None]
    counts = (len(a), sum(v is None for v in a), sum(v is None for v in b))
    median = float(np.median(both)) if both else None
    difference = np.round(x - y, 12)
    difference = difference[difference != 0]  # before scipy, which leaves its exact test for them
    if difference.size == 0:
        return RankTest(None, None, median, *counts)
    found: Any = stats.wilcoxon(difference, alternative=alternative)
    return RankTest(float(found.pvalue), float(found.statistic), median, *counts)


def patient_medians(values: Values, patients: Sequence[str]) -> dict[str, float | None]:
    """Median of each patient's values, larger being worse and an undefined one the worst.

    None where the median falls on an undefined value, or between one and a number.
    """
    if len(values) != len(patients):
        raise ValueError(f"{len(values)} values but {len(patients)} patients: one each is needed.")
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
    """
    _paired(a, b)
    sign = -1.0 if higher_is_better else 1.0  # the worst is +infinity on the flipped scale
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
    """Percentile bootstrap of a median or mean over slices, resampling whole patients.

    Args:
        values: one a slice; larger is worse. Under `median` an undefined value counts as infinite;
            a `mean` of such values does not exist.
        patients: the patient of each slice.
        rng: of the resampling.

    Returns:
        The interval; an end that falls on an infinite value is None.

    Raises:
        ValueError: no values, or a mean with undefined ones.
    """
    one_of("statistic", statistic, ("median", "mean"))
    in_range("level", level, 0.0, 1.0)
    if len(values) != len(patients) or not values:
        raise ValueError(
            f"{len(values)} values, {len(patients)} patients: need one each and at least one."
        )
    n_undefined = sum(v is None for v in values)
    if n_undefined and statistic == "mean":
        raise ValueError(
            f"{n_undefined} of {len(values)} values are undefined: a mean would drop them. "
            "Use statistic='median', which takes them as the worst case."
        )
    numbers = np.array([np.inf if v is None else v for v in values], float)
    names = np.asarray(patients)
    groups = [numbers[names == name] for name in dict.fromkeys(patients)]
    of: Callable[[np.ndarray], Any] = np.median if statistic == "median" else np.mean
    drawn = rng.integers(len(groups), size=(n_resamples, len(groups)))
    if statistic == "mean":  # of sums: many times faster
        sums, counts = (np.array([f(g) for g in groups], float) for f in (np.sum, np.size))
        resampled = (sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)).tolist()
    else:
        resampled = [float(of(np.concatenate([groups[i] for i in row]))) for row in drawn]
    tail = (1 - level) / 2
    # "lower" and "higher" pick one of the values: no arithmetic on infinities.
    low = float(np.quantile(resampled, tail, method="lower"))
    high = float(np.quantile(resampled, 1 - tail, method="higher"))
    estimate, low_end, high_end = (
        v if np.isfinite(v) else None for v in (float(of(numbers)), low, high)
    )
    return ClusteredInterval(estimate, low_end, high_end, level, len(groups), n_undefined)
