"""Trends over the grid of noise level and scale as numbers with intervals (section 3.1, Fig. 2).

The claims of the paper: a higher NL alters the brain more, a higher s_R changes the tumour more,
and both together have a larger effect than either alone. Effects are computed within each slice
over the cells and averaged over slices; intervals resample patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mechlearn.evaluation.rows import Row
from mechlearn.metrics.rank import clustered_interval
from mechlearn.metrics.trends import rank_trend, slope, two_factors

__all__ = [
    "CLAIMS", "OUTCOMES", "Cube", "Trend", "cube", "grid_trends", "trend_keys", "trend_words",
]  # fmt: skip

OUTCOMES = {
    "alteration_inside": "1 - SSIM in the tumour region",
    "alteration_outside": "1 - SSIM outside",
    "drift_outside": "mean change outside",
    "tumour_change": "|achieved / initial - 1|",
    "requested_share": "share of the requested change",
    "hyperintense_fraction": "share of brighter pixels",
}
CLAIMS = {  # claims of the paper
    ("alteration_outside", "noise_level"): "higher NL, more alteration outside",
    ("tumour_change", "scale"): "higher s_R, stronger tumour change",
    ("alteration_inside", "scale"): "higher s_R, more alteration of the tumour region",
    ("hyperintense_fraction", "scale"): "higher s_R, unrealistic hyperintensity",
    ("alteration_outside", "together"): "both together alter the brain more than either alone",
    ("tumour_change", "together"): "both together change the tumour more than either alone",
}
UNITS = {
    "noise_level": "per_100_levels", "scale": "per_tenfold_scale",
    "interaction": "per_100_levels_and_tenfold_scale", "together": "over_either_alone",
}  # fmt: skip


@dataclass(frozen=True)
class Cube:
    """One score of all pairs and cells: values (P, A, B), NaN where undefined.

    Attributes:
        noise_levels: (A,) rising. scales: (B,) rising. patients: (P,) of each pair.
    """

    noise_levels: np.ndarray
    scales: np.ndarray
    patients: tuple[str, ...]
    values: np.ndarray

    def complete(self) -> Cube:
        """Only the pairs that are defined in every cell."""
        return self.only(np.isfinite(self.values).all(axis=(1, 2)))

    def only(self, kept: np.ndarray) -> Cube:
        """The pairs where `kept` (P,) is true."""
        names = tuple(p for p, k in zip(self.patients, kept, strict=True) if k)
        return Cube(self.noise_levels, self.scales, names, self.values[kept])


@dataclass(frozen=True)
class Trend:
    """Effect of one setting on one score over pairs; per 100 levels, or per factor 10 of the scale.

    Attributes:
        factor: noise_level, scale, interaction or together (`metrics.trends.TwoFactors`).
        at: `all` cells, or one level of the other setting.
        slope, rank: (mean over pairs, low, high); rank is None for interaction and together. Ends
            are None with a single patient.
        n_undefined: pairs left out because a cell has no number for them.
    """

    outcome: str
    factor: str
    at: str
    slope: tuple[float, float | None, float | None]
    rank: tuple[float, float | None, float | None] | None
    n_pairs: int
    n_patients: int
    n_undefined: int

    @property
    def verdict(self) -> str:
        """holds: the intervals of slope and rank correlation are above 0; reversed: below 0."""
        ends = [self.slope[1:], *([self.rank[1:]] if self.rank is not None else [])]
        lows, highs = [e[0] for e in ends], [e[1] for e in ends]
        if any(low is None for low in lows):
            return "no interval"
        if all(low is not None and low > 0 for low in lows):
            return "holds"
        return "reversed" if all(h is not None and h < 0 for h in highs) else "not shown"

    @property
    def row(self) -> Row:
        rank = self.rank or (None, None, None)
        return {
            "outcome": self.outcome, "factor": self.factor, "at": self.at,
            "verdict": self.verdict,
            **dict(zip(("slope", "slope_low", "slope_high"), self.slope, strict=True)),
            **dict(zip(("rank", "rank_low", "rank_high"), rank, strict=True)),
            "unit": UNITS[self.factor], "n_pairs": self.n_pairs, "n_patients": self.n_patients,
            "n_undefined": self.n_undefined,
        }  # fmt: skip


def cube(pairs: Sequence[Mapping[str, Any]], key: str) -> Cube:
    """One score from rows of `pairs.csv`, each with the `noise_level` and `scale` of its cell."""
    levels = sorted({int(r["noise_level"]) for r in pairs})
    scales = sorted({float(r["scale"]) for r in pairs})
    units: dict[tuple[str, float], int] = {}
    patients: list[str] = []
    for r in pairs:
        if _unit(r) not in units:
            units[_unit(r)] = len(units)
            patients.append(str(r["patient"]))
    values = np.full((len(units), len(levels), len(scales)), np.nan)
    for r in pairs:
        if r.get(key) is not None:
            at = levels.index(int(r["noise_level"])), scales.index(float(r["scale"]))
            values[(units[_unit(r)], *at)] = r[key]
    return Cube(np.array(levels), np.array(scales), tuple(patients), values)


def _unit(row: Mapping[str, Any]) -> tuple[str, float]:
    return str(row["slice_id"]), round(float(row["target_fraction"]), 9)


def grid_trends(
    pairs: Sequence[Mapping[str, Any]], *, seed: int = 0, n_resamples: int = 2000
) -> list[Trend]:
    """Trends of all scores with both settings, over all cells and at each level of the other one.

    Args:
        pairs: rows of `pairs.csv` of every cell, with its `noise_level` and `scale`; cells of scale
            0, which has no logarithm, are left out.

    Returns:
        Empty for fewer than two noise levels or two scales.
    """
    used = [r for r in pairs if float(r["scale"]) > 0]
    out: list[Trend] = []
    for outcome in OUTCOMES:
        whole = cube(used, outcome) if used else None
        if whole is None or min(whole.values.shape[1:]) < 2:
            return []
        held = whole.complete()
        if held.patients:
            lost = len(whole.patients) - len(held.patients)
            out += _of_outcome(outcome, held, lost, seed, n_resamples)
    return out


def _of_outcome(outcome: str, held: Cube, lost: int, seed: int, n_resamples: int) -> list[Trend]:
    a, b = held.noise_levels / 100.0, np.log10(held.scales)

    def trend(factor: str, at: str, slopes: Sequence[float], ranks: Sequence[float] | None
              ) -> Trend:
        known = [_interval(v, held.patients, seed, n_resamples)
                 for v in (slopes, *([ranks] if ranks is not None else []))]
        return Trend(outcome, factor, at, known[0], known[1] if ranks is not None else None,
                     len(held.patients), len(set(held.patients)), lost)

    found = [two_factors(values, a, b) for values in held.values]
    out = [
        trend("noise_level", "all", [f.slope_a for f in found], [f.rank_a for f in found]),
        trend("scale", "all", [f.slope_b for f in found], [f.rank_b for f in found]),
        trend("interaction", "all", [f.interaction for f in found], None),
        trend("together", "all", [f.together for f in found], None),
    ]
    for j, scale in enumerate(held.scales):
        at = held.values[:, :, j]
        out.append(trend("noise_level", f"scale={scale:g}", [slope(v, a) for v in at],
                         [rank_trend(v, a) for v in at]))
    for i, level in enumerate(held.noise_levels):
        at = held.values[:, i, :]
        out.append(trend("scale", f"noise_level={level}", [slope(v, b) for v in at],
                         [rank_trend(v, b) for v in at]))
    return out


def _interval(values: Sequence[float], patients: tuple[str, ...], seed: int, n_resamples: int
              ) -> tuple[float, float | None, float | None]:
    if len(set(patients)) < 2:
        return float(np.mean(values)), None, None
    found = clustered_interval(values, patients, rng=np.random.default_rng(seed),
                               statistic="mean", n_resamples=n_resamples)  # fmt: skip
    return float(np.mean(values)), found.low, found.high


def trend_keys(trends: Sequence[Trend]) -> Row:
    """Flat keys of the trends over all cells, and numbers of single levels at which they hold."""
    out: Row = {}
    for t in trends:
        name = f"{t.outcome}_{UNITS[t.factor]}"
        if t.at != "all":
            continue
        out[name], out[f"{name}_low"], out[f"{name}_high"] = t.slope
        if t.rank is not None:
            out[f"{name}_rank"] = t.rank[0]
            single = _at_single_levels(trends, t)
            out[f"{name}_levels_where_it_holds"] = sum(s.verdict == "holds" for s in single)
            out[f"{name}_levels"] = len(single)
    return out


def _at_single_levels(trends: Sequence[Trend], whole: Trend) -> list[Trend]:
    key = (whole.outcome, whole.factor)
    return [t for t in trends if (t.outcome, t.factor) == key and t.at != "all"]


def trend_words(trends: Sequence[Trend]) -> list[str]:
    """The claims of the paper with their results, and levels at which they do not hold, as text."""
    out = []
    for (outcome, factor), claim in CLAIMS.items():
        for t in trends:
            if (t.outcome, t.factor, t.at) != (outcome, factor, "all"):
                continue
            value, low, high = t.slope
            ends = "" if low is None else f" [{low:.3g}, {high:.3g}]"
            rank = "" if t.rank is None else f", rank correlation {t.rank[0]:.2f}"
            unit = UNITS[factor].replace("_", " ")
            line = f"{claim}: {t.verdict}; {OUTCOMES[outcome]} {value:+.3g}{ends} {unit}{rank}"
            fails = [s for s in _at_single_levels(trends, t) if s.verdict != "holds"]
            if t.rank is not None and fails:
                line += "; not at " + ", ".join(f"{s.at} ({s.verdict})" for s in fails)
            out.append(line)
    return out
