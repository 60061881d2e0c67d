"""Summary of the scores of growth maps by method: means, intervals over patients, rank tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mechlearn.evaluation.map_comparison import MapScores
from mechlearn.evaluation.rows import Row
from mechlearn.metrics.rank import clustered_interval, compare_paired

__all__ = ["OURS", "REFERENCE", "calibration_error", "gains", "method_lines"]

OURS = "arrival_order"
REFERENCE = "dilation"  # of the Brier skill
N_RESAMPLES, SEED = 2000, 0
SCORES = ("dice", "hd95_mm", "dice_alone", "hd95_alone_mm", "average_precision", "brier",
          "brier_raw")  # fmt: skip


def method_lines(scores: MapScores) -> list[Row]:
    """One flat row a method.

    Keys: method, n_slices, n_patients, threshold, threshold_alone (means over slices); each of
    SCORES with `_low` and `_high` (95%, resampling patients) and `_empty`, the number of slices
    without a value (they count as the longest distance in the brain for distances, and are left out
    for other scores); `ece` of the recalibrated probabilities over the pixels of all slices;
    `brier_skill` over dilation; p values of HD95 against no change, over slices and over patients'
    medians.
    """
    return [_line(scores, method) for method in scores.methods]


def _line(scores: MapScores, method: str) -> Row:
    rows = scores.of(method)
    out: Row = {
        "method": method, "n_slices": len(rows), "n_patients": len({r["patient"] for r in rows}),
        **{k: float(np.mean([r[k] for r in rows])) for k in ("threshold", "threshold_alone")},
    }  # fmt: skip
    for key in SCORES:
        out |= _mean(rows, key)
    out |= calibration_error(scores.bins[method])
    if REFERENCE in scores.methods and method != REFERENCE:
        out |= _skill(rows, scores.of(REFERENCE))
    if "no_change" in scores.methods and method != "no_change":
        still = scores.of("no_change")
        for key in ("hd95_mm", "hd95_alone_mm"):
            test = compare_paired([r[key] for r in rows], [r["hd95_mm"] for r in still],
                                  [r["patient"] for r in rows])  # fmt: skip
            out[f"{key}_vs_no_change_p_slices"] = test.slices.p_value
            out[f"{key}_vs_no_change_p_patients"] = test.patients.p_value
            out[f"{key}_vs_no_change_median"] = test.slices.median_difference
    return out


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def _value(row: Row, key: str) -> float | None:
    value = row[key]
    if value is None and key.startswith("hd95"):
        return float(row["worst_mm"])
    return None if value is None else float(value)


def _mean(rows: Sequence[Row], key: str) -> Row:
    known = [(v, r["patient"]) for r in rows if (v := _value(r, key)) is not None]
    out: Row = {f"{key}_empty": sum(r[key] is None for r in rows)}
    if not known:
        return {key: None, f"{key}_low": None, f"{key}_high": None, **out}
    found = clustered_interval([v for v, _ in known], [p for _, p in known], statistic="mean",
                               rng=_rng(), n_resamples=N_RESAMPLES)  # fmt: skip
    return {key: found.estimate, f"{key}_low": found.low, f"{key}_high": found.high, **out}


def calibration_error(bins: Mapping[str, np.ndarray]) -> Row:
    """`ece` over the pixels of all slices, with an interval that resamples patients.

    ece = sum over bins of |tumour - sum of probabilities| / pixels

    Args:
        bins: patient -> (bins, 3), see `MapScores.bins`.
    """
    stacked = np.stack(list(bins.values()))

    def error(sums: np.ndarray) -> np.ndarray:
        off = np.abs(sums[..., 1] - sums[..., 0]).sum(-1)
        return np.asarray(off / sums[..., 2].sum(-1))

    rng = _rng()
    drawn = rng.integers(len(stacked), size=(N_RESAMPLES, len(stacked)))
    low, high = np.percentile(error(stacked[drawn].sum(axis=1)), [2.5, 97.5])
    return {"ece": float(error(stacked.sum(axis=0))), "ece_low": float(low),
            "ece_high": float(high)}  # fmt: skip


def _skill(rows: Sequence[Row], reference: Sequence[Row]) -> Row:
    """1 - Brier / Brier of dilation, both summed over pixels, with an interval over patients."""
    patients = list(dict.fromkeys(r["patient"] for r in rows))
    sums = np.zeros((len(patients), 2))
    for column, group in enumerate((rows, reference)):
        for r in group:
            sums[patients.index(r["patient"]), column] += r["brier"] * r["pixels"]
    rng = _rng()
    drawn = sums[rng.integers(len(sums), size=(N_RESAMPLES, len(sums)))].sum(axis=1)
    low, high = np.percentile(1 - drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    total = sums.sum(axis=0)
    return {"brier_skill": float(1 - total[0] / total[1]), "brier_skill_low": float(low),
            "brier_skill_high": float(high)}  # fmt: skip


def gains(scores: MapScores, *, ours: str = OURS) -> list[Row]:
    """Paired differences between `ours` and every other method; positive where `ours` is better.

    Returns:
        Rows with `method`, and `<score>_gain`, `_low`, `_high`, `_p_slices`, `_p_patients` of
        dice, hd95_mm and average_precision.
    """
    mine = scores.of(ours)
    return [
        {"method": other, **_gain(mine, scores.of(other))}
        for other in scores.methods if mine and other != ours
    ]  # fmt: skip


def _gain(mine: Sequence[Row], theirs: Sequence[Row]) -> Row:
    out: Row = {}
    for key in ("dice", "hd95_mm", "average_precision"):
        lower = key.startswith("hd95")
        sign = -1.0 if lower else 1.0
        pairs = [
            (a, b, r["patient"]) for r, s in zip(mine, theirs, strict=True)
            if (a := _value(r, key)) is not None and (b := _value(s, key)) is not None
        ]  # fmt: skip
        patients = [p for _, _, p in pairs]
        found = clustered_interval([sign * (a - b) for a, b, _ in pairs], patients,
                                   statistic="mean", rng=_rng(),
                                   n_resamples=N_RESAMPLES)  # fmt: skip
        test = compare_paired([a for a, _, _ in pairs], [b for _, b, _ in pairs], patients,
                              higher_is_better=not lower)  # fmt: skip
        out |= {f"{key}_gain": found.estimate, f"{key}_gain_low": found.low,
                f"{key}_gain_high": found.high, f"{key}_gain_p_slices": test.slices.p_value,
                f"{key}_gain_p_patients": test.patients.p_value}  # fmt: skip
    return out
