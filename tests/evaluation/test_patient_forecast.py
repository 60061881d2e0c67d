from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mechlearn.evaluation.patient_forecast import choose_slices, run_forecast
from mechlearn.evaluation.rows import plain
from mechlearn.evaluation.treatment_change import WHAT_IF, CourseChange, RefusedChangeError
from mechlearn.growth.growth_spec import GrowthSpec

GROWTH = GrowthSpec(law="exponential", n_bootstrap=12, n_starts=1)
RT_LAW = GrowthSpec(law="gompertz_rt", n_bootstrap=12, n_starts=1)
DAYS = (0, 40, 80, 120, 160)


class FakeStore:
    """A patient whose tumour is widest in slice 64, five visits."""

    def __init__(self, synthetic, *, dated=True):
        self.radii = {60: 3.0, 62: 4.0, 64: 5.0, 66: 2.5, 68: 0.0}
        self.series = {z: synthetic.make_series(z=z, radius=r) for z, r in self.radii.items()}
        self.dated = dated

    def _stored(self, index):
        scans = {z: s.slices[index] for z, s in self.series.items()}
        first = scans[60]
        return SimpleNamespace(
            patient="P01", session=first.session, day=first.day if self.dated else None,
            zs=tuple(self.radii), tumour_area_mm2=lambda z: scans[z].tumour_area_mm2)

    def visits(self, patient):
        return [self._stored(i) for i in range(len(DAYS))]

    def visit(self, patient, session):
        return next(v for v in self.visits(patient) if v.session == session)

    def common_zs(self, patient):
        return list(self.radii)

    def longitudinal(self, patient, *, zs, rt_duration_days=42.0):
        return [self.series[z] for z in zs]


@pytest.fixture
def store(synthetic):
    return FakeStore(synthetic)


@pytest.fixture
def run(store, sampler):
    def forecast(day=160.0, **given):
        return run_forecast(given.pop("store", store), "P01", day=day, sampler=sampler,
                            growth=given.pop("growth", GROWTH), **given)
    return forecast


def test_largest_slice_is_always_among_the_chosen(store):
    for count in (1, 2, 3):
        assert 64 in choose_slices(store, "P01", session="d120", count=count)


def test_slices_without_a_tumour_are_not_chosen(store):
    assert choose_slices(store, "P01", session="d120", count=5) == [60, 62, 64, 66]


def test_the_visit_on_the_day_is_truth_and_never_input(run):
    result = run()
    assert result.session == "d120"
    for item in result.slices:
        assert item.follow_up.session == "d160"
        assert item.timeline.days.max() < 160
    assert result.row["hd95_dynamic_mm_mean"] < result.row["hd95_no_change_mm_mean"]


def test_future_without_a_visit_has_no_scores(run):
    result = run(day=400.0, truth_within_days=30.0)
    assert result.row["day_follow_up"] is None
    assert not any(key.startswith("hd95") for key in result.row)
    assert result.session == "d160"


def test_a_visit_long_after_the_day_is_not_the_truth(run):
    assert run(day=125.0).row["day_follow_up"] is None
    assert run(day=135.0).row["day_follow_up"] == 160.0


def test_planes_for_the_nifti_grid_are_keyed_by_z(run):
    result = run(zs=[62, 64])
    assert sorted(result.probabilities()) == [62, 64]
    assert result.scans()[64].shape == (4, 48, 48)
    for z, mask in result.masks().items():
        assert mask.dtype == bool
        initial = next(s.reference.tumour for s in result.slices if s.reference.z == z)
        assert mask[initial].all()


def test_generated_scan_is_the_one_nearest_to_the_median(run):
    item = run(zs=[64]).slices[0]
    wanted = item.forecast.median / item.reference.brain_area_mm2
    gaps = [abs(g.target.tumour_fraction - wanted) for g in item.generations]
    assert abs(item.median_generation.target.tumour_fraction - wanted) == min(gaps)


def test_comparison_lists_every_baseline_with_its_area(run):
    rows = {r["method"]: r for r in run(zs=[64]).slices[0].comparison}
    assert set(rows) == {"no_change", "dilation_forecast", "dilation_true", "heat_kernel",
                         "growth_order_forecast", "growth_order_true", "dynamic"}
    forecast = run(zs=[64]).slices[0].forecast.median
    assert rows["dilation_forecast"]["area_mm2"] == pytest.approx(forecast, rel=0.05)


def test_a_slice_without_tumour_is_skipped_with_its_reason(run):
    result = run(zs=[64, 68])
    assert [name for name, _ in result.skipped] == ["P01/z068"]
    assert "no tumour" in result.skipped[0][1]


def test_nothing_to_forecast_is_an_error(run):
    with pytest.raises(ValueError, match="no slice can be forecast"):
        run(zs=[68])


def test_a_day_before_all_visits_is_refused(run):
    with pytest.raises(ValueError, match="no visit before day 0"):
        run(day=0.0)


def test_undated_visits_are_refused(run, synthetic):
    with pytest.raises(ValueError, match="have no day"):
        run(store=FakeStore(synthetic, dated=False))


def test_row_is_plain_and_table_has_a_line_a_slice(run):
    result = run()
    for key, value in result.row.items():
        plain(key, value)
    assert len(result.table()) == len(result.slices)
    assert np.isfinite(result.table()[0]["forecast_median_mm2"])


def test_what_if_changes_sizes_and_no_picture(run):
    asked = {"growth": RT_LAW, "zs": [64]}
    plain_run, other = run(**asked), run(what_if=CourseChange(rt=False), **asked)
    row = other.slices[0].row
    assert row["what_if"] == "no radiotherapy"
    assert row["what_if_low_mm2"] <= row["what_if_median_mm2"] <= row["what_if_high_mm2"]
    assert row["what_if_median_mm2"] != row["forecast_median_mm2"]
    assert row["forecast_median_mm2"] == plain_run.slices[0].row["forecast_median_mm2"]
    assert np.array_equal(other.scans()[64], plain_run.scans()[64])


def test_what_if_stands_in_row_and_table(run):
    result = run(growth=RT_LAW, zs=[62, 64], what_if=CourseChange(rt=False))
    assert set(WHAT_IF) <= set(result.table()[0])
    medians = [s.row["what_if_median_mm2"] for s in result.slices]
    assert result.row["what_if_median_mm2"] == pytest.approx(np.mean(medians))
    assert result.row["what_if"] == "no radiotherapy"
    assert not set(WHAT_IF) & set(run(zs=[64]).row)


def test_what_if_that_the_patient_does_not_allow_ends_the_forecast_at_once(run):
    with pytest.raises(RefusedChangeError, match=r"^what_if, patient P01: what_if\.course=3"):
        run(growth=RT_LAW, what_if=CourseChange(rt_start_day=30.0, course=3))
