"""Forecast of one patient on one day: sizes, growth maps and scans of several slices."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.data.selection import equally_spaced
from mechlearn.data.store import SliceStore, StoredVisit
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.evaluation.model_pair import Sampler, sampler_row
from mechlearn.evaluation.presets import MAPS
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.slice_forecast import SliceForecast, forecast_slice
from mechlearn.evaluation.summary import mean
from mechlearn.evaluation.treatment_change import WHAT_IF, CourseChange, RefusedChangeError
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.progress import tracked
from mechlearn.records import LongitudinalSlice

__all__ = ["ForecastResult", "choose_slices", "run_forecast"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForecastResult:
    """The forecast of one patient.

    session is the last visit before `day`: (session, z) identifies a plane of its NIfTI grid.
    skipped holds (slice, reason) of slices that could not be forecast.
    """

    patient: str
    day: float
    session: str
    slices: tuple[SliceForecast, ...]
    skipped: tuple[tuple[str, str], ...]
    row: Row

    def probabilities(self) -> dict[int, np.ndarray]:
        """z -> growth probability (H, W) in [0, 1]."""
        return {s.reference.z: s.growth_map.probability for s in self.slices}

    def masks(self) -> dict[int, np.ndarray]:
        """z -> forecast tumour (H, W) bool: the initial mask and the thresholded growth map."""
        return {s.reference.z: s.placements["dynamic"].mask for s in self.slices}

    def scans(self) -> dict[int, np.ndarray]:
        """z -> generated scan (C, H, W) in [-1, 1] at the target nearest to the median."""
        return {s.reference.z: s.median_generation.image.numpy() for s in self.slices}

    def table(self) -> list[Row]:
        """One short row a slice, for the terminal and the page."""
        keys = ("slice_id", "area_last_mm2", "forecast_median_mm2", "forecast_low_mm2",
                "forecast_high_mm2", *WHAT_IF, "generated_mm2", "ssim_outside", "area_true_mm2",
                "hd95_dynamic_mm", "hd95_no_change_mm", "hd95_dilation_forecast_mm",
                "hd95_growth_order_forecast_mm")
        known = [k for k in keys if any(k in s.row for s in self.slices)]
        return [{k: s.row.get(k) for k in known} for s in self.slices]


def run_forecast(
    store: SliceStore,
    patient: str,
    *,
    day: float,
    sampler: Sampler,
    growth: GrowthSpec,
    maps: MapSpec | None = None,
    count: int = 3,
    zs: Sequence[int] | None = None,
    truth_within_days: float = 30.0,
    seed: int = 0,
    what_if: CourseChange | None = None,
) -> ForecastResult:
    """Forecast a patient's tumour on `day` from the visits before it.

    Args:
        store: prepared slices; the patient's visits must be dated and co-registered.
        patient: name in the store.
        day: days since the first visit.
        sampler: guided sampler.
        growth: settings of the size forecast.
        maps: settings of the growth maps; by default `presets.MAPS["forecast"]`.
        count: number of slices, from `choose_slices`.
        zs: slices to use in place of `choose_slices`.
        truth_within_days: the first visit on or after `day` is the truth if it lies at most this
            number of days after it. It is never used for the forecast.
        seed: of the sampler.
        what_if: other courses of radiotherapy, for a counterfactual forecast of the sizes.

    Raises:
        KeyError: no such patient or slice in the store.
        ValueError: no dated visit before `day`, no slice that can be forecast, or a `what_if`
            that the patient's courses or the growth model do not allow.
    """
    maps = maps if maps is not None else MAPS["forecast"]
    seen, truth = _split_visits(store.visits(patient), day, truth_within_days)
    start = time.monotonic()
    if zs is None:
        zs = choose_slices(store, patient, session=seen[-1].session, count=count)
    done: list[SliceForecast] = []
    skipped: list[tuple[str, str]] = []
    chosen = store.longitudinal(patient, zs=zs, rt_duration_days=growth.rt_duration_days)
    for whole in tracked(chosen, f"forecast {patient}", log=log):
        by_session = {s.session: s for s in whole.slices}
        series = LongitudinalSlice(tuple(by_session[v.session] for v in seen), whole.courses)
        follow_up = by_session[truth.session] if truth is not None else None
        try:
            done.append(forecast_slice(sampler, series, day, growth=growth, maps=maps, seed=seed,
                                       follow_up=follow_up, what_if=what_if))
        except RefusedChangeError:
            raise  # the courses are the same for all slices of the patient
        except (ValueError, RuntimeError) as error:
            log.warning("slice %s is left out: %s", series.slice_id, error)
            skipped.append((series.slice_id, str(error)))
    if not done:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped)
        raise ValueError(f"patient {patient}: no slice can be forecast. {reasons}")
    row = _row(patient, day, seen, truth, done, skipped, sampler, growth, seed)
    row["seconds"] = time.monotonic() - start
    return ForecastResult(patient, day, seen[-1].session, tuple(done), tuple(skipped), row)


def _split_visits(visits: Sequence[StoredVisit], day: float, within: float
                  ) -> tuple[list[StoredVisit], StoredVisit | None]:
    """(visits before `day`, the visit that shows the truth or None)."""
    undated = [v.session for v in visits if v.day is None]
    if undated:
        raise ValueError(
            f"patient {visits[0].patient}: sessions {undated} have no day, and a forecast needs "
            "dates. Fill in the manifest's day column and prepare again."
        )
    dated = [(float(v.day), v) for v in visits if v.day is not None]
    seen = [v for d, v in dated if d < day]
    if not seen:
        raise ValueError(
            f"patient {visits[0].patient}: no visit before day {day:g}; the first is on day "
            f"{dated[0][0]:g}. Give a later day."
        )
    later = [v for d, v in dated if day <= d <= day + within]
    return seen, later[0] if later else None


def choose_slices(store: SliceStore, patient: str, *, session: str, count: int = 3) -> list[int]:
    """Equally spaced tumour slices of one visit, including the one with the largest area.

    Only slices that all visits of the patient have are considered.

    Raises:
        ValueError: the visit has no tumour in these slices.
    """
    visit, common = store.visit(patient, session), set(store.common_zs(patient))
    areas = {z: visit.tumour_area_mm2(z) for z in visit.zs if z in common}
    with_tumour = [z for z in sorted(areas) if areas[z] > 0]
    if not with_tumour:
        raise ValueError(
            f"patient {patient}: session {session} has no tumour in any slice that all visits "
            "have. Check its segmentation."
        )
    chosen = equally_spaced(with_tumour, count)
    largest = max(with_tumour, key=lambda z: areas[z])
    nearest = min(range(len(chosen)), key=lambda i: abs(chosen[i] - largest))
    chosen[nearest] = largest
    return sorted(set(chosen))


def _row(
    patient: str,
    day: float,
    seen: Sequence[StoredVisit],
    truth: StoredVisit | None,
    done: Sequence[SliceForecast],
    skipped: Sequence[tuple[str, str]],
    sampler: Sampler,
    growth: GrowthSpec,
    seed: int,
) -> Row:
    out: Row = {
        "job": "forecast",
        "patient": patient,
        "day": day,
        "n_visits": len(seen),
        "day_last": seen[-1].day,
        "day_follow_up": None if truth is None else truth.day,
        "n_slices": len(done),
        "n_skipped": len(skipped),
        "law": growth.law,
        "population": growth.population,
        "seed": seed,
        **sampler_row(sampler),
    }
    sums = ("area_last_mm2", "forecast_median_mm2", "area_true_mm2")
    for key in sums:
        values = [s.row.get(key) for s in done]
        if all(v is not None for v in values):
            out[f"{key}_mean"] = mean(values)
    if done[0].what_if is not None:
        out["what_if"] = done[0].what_if.change
        out |= {key: mean(s.row[key] for s in done) for key in WHAT_IF}  # over the slices
    for name in done[0].row:
        if name.startswith(("hd95_", "dice_", "brier_", "ssim_")):
            out[f"{name}_mean"] = mean(s.row.get(name) for s in done)
            undefined = sum(s.row.get(name) is None for s in done)
            if undefined:
                out[f"{name}_n_undefined"] = undefined
    return out
