"""Scores of growth forecasts: one row a slice, and one summary row.

A key is `<score>`, then `_<baseline>` for a baseline, then the unit where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.summary import mean, median
from mechlearn.metrics.rank import clustered_interval, compare_paired
from mechlearn.metrics.size_scores import crps, interval_covers, interval_width, nrmse, r_squared
from mechlearn.records import SizeForecast, SizeSeries

__all__ = ["BASELINES", "VISITS", "key_of", "slice_row", "summarise_fits"]

BASELINES = ("carry_forward", "linear", "exponential")
VISITS = (4, 5, 6, 7)  # number of visits of a slice, including the held-out one
Made = SizeForecast | Exception


def key_of(score: str, baseline: str = "", unit: str = "") -> str:
    """("crps", "linear", "mm2") -> crps_linear_mm2."""
    return "_".join(part for part in (score, baseline, unit) if part)


def slice_row(
    timeline: SizeSeries, made: Mapping[str, tuple[Made, Made]], *, law: str, unit: str
) -> Row:
    """Scores of one slice.

    Args:
        timeline: with all its visits.
        made: baseline, or "" for the growth model -> (forecast without the last visit, fit of
            all visits); an exception in place of one that failed.
        law: name of the growth model.
        unit: of the sizes.

    Returns:
        The row; `skipped` holds the reason where the model has no forecast, otherwise None.
    """
    train, every = made[""]
    last = timeline.visits[-1]
    row: Row = {
        "slice_id": timeline.name, "patient": timeline.patient, "law": law,
        "n_visits": len(timeline.visits), "skipped": None,
    }  # fmt: skip
    if isinstance(train, Exception):
        return row | {"skipped": str(train)}
    seen = timeline.before(last.day)
    row |= {
        "law_used": train.law,
        "horizon_days": last.day - seen.visits[-1].day,
        key_of("size_last", unit=unit): seen.visits[-1].size,
        key_of("size_true", unit=unit): last.size,
        "n_failed": train.n_failed,
        "n_failed_all": every.n_failed if isinstance(every, SizeForecast) else None,
        **{f"weight_{name}": weight for name, weight in train.weights.items()},
    }
    if isinstance(every, Exception):
        row["r_squared_all_reason"] = str(every)
    for baseline, (part, whole) in made.items():
        row |= _scores(timeline, seen, part, whole, baseline, unit)
    return row


def _scores(
    timeline: SizeSeries, seen: SizeSeries, train: Made, every: Made, baseline: str, unit: str
) -> Row:
    if isinstance(train, Exception):
        return {key_of("nrmse_reason", baseline): str(train)}
    truth, last = timeline.visits[-1].size, seen.visits[-1].size
    scale = float(seen.sizes.max())
    low, high = train.interval()
    score = crps(train.samples, truth)
    named: dict[str, float | bool | None] = {
        "nrmse": nrmse(train.median, truth),
        "crps_relative": score / scale if scale > 0 else None,
        "covered": interval_covers((low, high), truth),
        "interval_width_relative":
            interval_width((low, high), relative_to=scale) if scale > 0 else None,
        "sign_right": _same_sign(train.median - last, truth - last),
        "r_squared_train": _r_squared(train, seen),
        "r_squared_all": None if isinstance(every, Exception) else _r_squared(every, timeline),
    }
    sizes = {"median": train.median, "low": low, "high": high, "crps": score}
    return {key_of(k, baseline): v for k, v in named.items()} | {
        key_of(k, baseline, unit): v for k, v in sizes.items()
    }


def _r_squared(made: SizeForecast, timeline: SizeSeries) -> float | None:
    """R^2 of the median curve at the fitted visits."""
    middle = np.median(made.curves, axis=0)
    return r_squared(np.interp(timeline.days, made.curve_days, middle), timeline.sizes)


def _same_sign(predicted: float, true: float) -> bool | None:
    """Whether both changes have the same sign; None if one of them is 0."""
    return None if predicted == 0 or true == 0 else (predicted > 0) == (true > 0)


def summarise_fits(rows: Sequence[Row], *, unit: str, seed: int = 0) -> Row:
    """One summary row of many slices.

    `<score>_median` and `_mean` are over slices, `_low` and `_high` their 95% interval over
    resampled patients, `_patients` the median (or mean) of the patients' medians (or means). A
    slice whose true size is 0 has no nRMSE for any method; it is counted in `n_undefined_nrmse`.
    R^2 is comparable only between models that were fitted in the same way: a curve under a
    population prior passes near its measurements.

    Args:
        rows: results of `slice_row`.
        unit: of the sizes.
        seed: of the resampling.
    """
    done = [r for r in rows if r["skipped"] is None]
    out: Row = {
        "n_slices": len(done),
        "n_skipped": len(rows) - len(done),
        "n_patients": len({r["patient"] for r in done}),
        "n_undefined_nrmse": sum(r["nrmse"] is None for r in done),
        "n_fallback": sum(r["law_used"] != r["law"] for r in done),
        "n_failed_refits": sum(r["n_failed"] + (r["n_failed_all"] or 0) for r in done),
        "horizon_days_median": median(r["horizon_days"] for r in done),
    }
    for count in VISITS:
        out[f"n_slices_v{count}"] = sum(r["n_visits"] == count for r in done)
    for baseline in ("", *BASELINES):
        out |= _method(done, baseline, unit, seed)
    for baseline in BASELINES:
        out |= _compare(done, baseline)
    for key in sorted({k for r in done for k in r if k.startswith("weight_")}):
        out[key] = mean(r.get(key, 0.0) for r in done)
    return out


def _method(rows: Sequence[Row], baseline: str, unit: str, seed: int) -> Row:
    def values(score: str, unit: str = "") -> list[float | None]:
        return [r.get(key_of(score, baseline, unit)) for r in rows]

    out: Row = {
        **_clustered(rows, "nrmse", "median", baseline, "nrmse_median", seed),
        **_clustered(rows, "crps_relative", "mean", baseline, "crps_relative_mean", seed),
        **_clustered(rows, "covered", "mean", baseline, "coverage_95", seed),
        key_of("crps_mean", baseline, unit): mean(values("crps", unit)),
        key_of("nrmse_mean", baseline): mean(values("nrmse")),
        key_of("interval_width_relative_median", baseline): median(
            values("interval_width_relative")
        ),
        key_of("sign_right_share", baseline): mean(values("sign_right")),
        key_of("r_squared_train_median", baseline): median(values("r_squared_train")),
        key_of("r_squared_all_median", baseline): median(values("r_squared_all")),
    }
    for count in VISITS:
        some = [r.get(key_of("nrmse", baseline)) for r in rows if r["n_visits"] == count]
        out[key_of(f"nrmse_median_v{count}", baseline)] = median(some)
    return out


def _clustered(
    rows: Sequence[Row], score: str, statistic: str, baseline: str, name: str, seed: int
) -> Row:
    """A statistic over slices, its interval, and the statistic of the patients' statistics."""
    known = [(r["patient"], r.get(key_of(score, baseline))) for r in rows]
    known = [(p, float(v)) for p, v in known if v is not None]
    keys = [key_of(f"{name}{end}", baseline) for end in ("", "_low", "_high", "_patients")]
    if not known:
        return dict.fromkeys(keys)
    patients, values = [p for p, _ in known], [v for _, v in known]
    found = clustered_interval(
        values, patients, rng=np.random.default_rng(seed),
        statistic="median" if statistic == "median" else "mean",
    )  # fmt: skip
    of: Callable[[list[float | None]], float | None] = median if statistic == "median" else mean
    groups: dict[str, list[float | None]] = {}
    for patient, value in zip(patients, values, strict=True):
        groups.setdefault(patient, []).append(value)
    own = of([of(group) for group in groups.values()])
    return dict(zip(keys, (found.estimate, found.low, found.high, own), strict=True))


def _compare(rows: Sequence[Row], baseline: str) -> Row:
    """Wilcoxon signed-rank test of model minus baseline; negative: the model is better."""
    out: Row = {}
    for score in ("nrmse", "crps_relative"):
        ours, theirs = score, key_of(score, baseline)
        both = [r for r in rows if r.get(ours) is not None and r.get(theirs) is not None]
        if not both:
            continue
        test = compare_paired(
            [r[ours] for r in both], [r[theirs] for r in both], [r["patient"] for r in both]
        )
        name = f"{score}_vs_{baseline}"
        out |= {
            f"{name}_p_slices": test.slices.p_value,
            f"{name}_p_patients": test.patients.p_value,
            f"{name}_median_difference": test.slices.median_difference,
        }
    return out
