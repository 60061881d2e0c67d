"""Summary row of many slices: scores by method, tests over slices and over patients."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mechlearn.evaluation.placement import METHODS
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.summary import mean, median
from mechlearn.metrics.distance import summarise_hd95
from mechlearn.metrics.rank import compare_paired

__all__ = ["COMPARISONS", "summarise"]

log = logging.getLogger(__name__)
COMPARISONS = (
    ("dynamic", "no_change"),
    ("dynamic", "dilation_forecast"),
    ("dynamic", "dilation_true"),
    ("dynamic", "heat_kernel"),
    ("dynamic", "growth_order_forecast"),
    ("dynamic", "static"),
    ("static", "no_change"),
    ("static", "dilation_true"),
    ("static", "growth_order_true"),
    ("growth_order_true", "dilation_true"),
    ("growth_order_forecast", "dilation_forecast"),
)
MEDIANS = ("r_squared", "nrmse", "nrmse_carry_forward", "horizon_days")
MEANS = ("crps_mm2", "ssim_inside", "ssim_outside", "seconds", "n_failed_refits")
PROBABILITIES = ("brier", "ece", "average_precision")


def summarise(rows: Sequence[Row]) -> Row:
    """Scores over slices; undefined values are left out of means, and undefined HD95 are counted.

    Args:
        rows: of `slice_forecast.forecast_slice` with a known truth.
    """
    out: Row = {}
    for key in MEDIANS:
        out[f"{key}_median"] = median(r.get(key) for r in rows)
    for key in MEANS:
        out[f"{key}_mean"] = mean(r.get(key) for r in rows)
    out["coverage_95"] = mean(float(r["covered"]) for r in rows if "covered" in r)
    out["interval_width_mm2_median"] = median(
        r["forecast_high_mm2"] - r["forecast_low_mm2"] for r in rows)
    for method in METHODS:
        out |= _method(rows, method)
    for a, b in COMPARISONS:
        out |= _compare(rows, a, b)
    return out


def _method(rows: Sequence[Row], method: str) -> Row:
    out: Row = {}
    for infix in ("", "_alone"):
        key = f"hd95_{method}{infix}_mm"
        if any(key in r for r in rows):
            summary = summarise_hd95([r.get(key) for r in rows])
            out[f"{key}_mean"], out[f"{key}_median"] = summary.mean, summary.median
            out[f"{key}_n_undefined"] = summary.n_undefined
            out[f"dice_{method}{infix}_mean"] = mean(r.get(f"dice_{method}{infix}") for r in rows)
    for score in PROBABILITIES:
        if any(f"{score}_{method}" in r for r in rows):
            out[f"{score}_{method}_mean"] = mean(r.get(f"{score}_{method}") for r in rows)
    return out


def _compare(rows: Sequence[Row], a: str, b: str) -> Row:
    """Wilcoxon signed-rank test of HD95, a against b, over slices and over patients' medians."""
    first, second = f"hd95_{a}_mm", f"hd95_{b}_mm"
    paired = [r for r in rows if first in r and second in r]
    if not paired:
        return {}
    x, y = [r[first] for r in paired], [r[second] for r in paired]
    patients = [r["patient"] for r in paired]
    test = compare_paired(x, y, patients)
    name = f"hd95_{a}_vs_{b}"
    return {
        f"{name}_p_slices": test.slices.p_value,
        f"{name}_p_patients": test.patients.p_value,
        f"{name}_median_difference_mm": test.slices.median_difference,
    }
