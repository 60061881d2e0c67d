"""Held-out visits of a simulated cohort whose law is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mechlearn.evaluation.fans import load_fans
from mechlearn.evaluation.growth_fits import EVALUATION
from mechlearn.evaluation.job import CohortSeries, Job
from mechlearn.evaluation.rows import plain, read_table
from mechlearn.evaluation.runner import run
from mechlearn.evaluation.task_spec import TaskSpec
from mechlearn.growth.ensemble_fit import fit_ensemble
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.records import SizeReading, SizeSeries

PLAIN = GrowthSpec(law="exponential", n_bootstrap=20, n_starts=2, curve_points=30)
LAWS = ("exponential", "carry_forward")
CROSS_FITTED = replace(PLAIN, law="pooled", population="cross_fit")
# A given floor: looking for one is half the work.
QUICK_FIT = {"folds": 2, "laws": list(LAWS), "floor": 20.0}


def run_growth_fits(timelines, *, out_dir, growth, unit="mm2", **task):
    series = CohortSeries(tuple(timelines), unit)
    return run(EVALUATION, Job(TaskSpec("growth_fits", **task), out_dir, growth, series=series))


def simulated(patient, slice_number, *, visits=4, noise=0.02, seed=0):
    """Exponential growth with a rate of the patient's own, measured with a little noise."""
    rng = np.random.default_rng([seed, patient, slice_number])
    rate = np.random.default_rng([seed, patient]).normal(0.008, 0.003)
    days = np.cumsum(rng.integers(30, 60, visits)) - 30.0
    sizes = 400 * np.exp(rate * days) * (1 + noise * rng.normal(size=visits))
    name = f"P{patient:02d}"
    return SizeSeries(f"{name}/z{slice_number:03d}", name,
                    tuple(map(SizeReading, days.tolist(), sizes.tolist())))


@pytest.fixture(scope="module")
def cohort():
    return [simulated(p, z, visits=4 + p % 3) for p in range(6) for z in (40, 41)]


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    """A spec of a population of other patients."""
    others = [simulated(p, 40, visits=5, seed=1) for p in range(12)]
    ensemble = fit_ensemble(others, LAWS, n=50, floor=20.0)
    path = ensemble.save(tmp_path_factory.mktemp("population") / "population.json")
    return replace(PLAIN, law="pooled", population=str(path))


@pytest.fixture(scope="module")
def fitted(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    return run_growth_fits(cohort, out_dir=folder, growth=PLAIN), folder


def without_times(row):
    return {k: v for k, v in row.items() if "second" not in k}


def test_a_law_that_is_true_beats_no_change(fitted):
    row, _ = fitted
    assert row["nrmse_median"] < 0.1 < row["nrmse_median_carry_forward"]
    assert row["nrmse_vs_carry_forward_median_difference"] < 0
    assert row["nrmse_vs_carry_forward_p_slices"] < 0.01
    assert row["r_squared_all_median"] > 0.95


def test_slices_patients_and_visits_are_counted(fitted):
    row, _ = fitted
    assert (row["n_slices"], row["n_patients"], row["n_skipped"]) == (12, 6, 0)
    assert [row[f"n_slices_v{n}"] for n in (4, 5, 6, 7)] == [4, 4, 4, 0]
    assert row["nrmse_median_v7"] is None
    assert row["nrmse_median_v4_linear"] > 0


def test_interval_over_patients_holds_the_estimate(fitted):
    row, _ = fitted
    for key in ("nrmse_median", "crps_relative_mean", "coverage_95"):
        assert row[f"{key}_low"] <= row[key] <= row[f"{key}_high"]


def test_row_holds_plain_values_and_units(fitted):
    row, _ = fitted
    assert {"crps_mean_mm2", "crps_mean_linear_mm2", "fits_per_second"} <= set(row)
    for key, value in row.items():
        plain(key, value)


def test_table_holds_the_baselines_of_every_slice(fitted, cohort):
    rows = read_table(fitted[1] / "slices.csv")
    assert [r["slice_id"] for r in rows] == sorted(t.name for t in cohort)
    for key in ("nrmse_linear", "crps_exponential_mm2", "covered_carry_forward",
                "crps_relative_linear", "sign_right", "size_true_mm2", "horizon_days"):
        assert all(r[key] is not None for r in rows)


def test_a_baseline_is_the_papers_plain_fit(fitted):
    """With the law among the baselines its own columns stand there once more."""
    row, _ = fitted
    assert row["nrmse_median_exponential"] == row["nrmse_median"]
    assert row["nrmse_vs_exponential_p_slices"] is None


def test_order_of_slices_does_not_matter(fitted, cohort, tmp_path):
    again = run_growth_fits(cohort[::-1], out_dir=tmp_path, growth=PLAIN)
    assert without_times(again) == without_times(fitted[0])
    assert read_table(tmp_path / "slices.csv") == read_table(fitted[1] / "slices.csv")


def test_held_out_visit_does_not_change_the_forecast(cohort, tmp_path):
    last = cohort[0].visits[-1]
    other = replace(cohort[0], visits=(*cohort[0].visits[:-1], replace(last, size=5.0)))
    tables = []
    for name, timeline in (("a", cohort[0]), ("b", other)):
        growth = replace(PLAIN, setup="all")
        run_growth_fits([timeline], out_dir=tmp_path / name, growth=growth)
        tables.append(read_table(tmp_path / name / "slices.csv")[0])
    assert tables[0]["median_mm2"] == tables[1]["median_mm2"]
    assert tables[0]["r_squared_all"] != tables[1]["r_squared_all"]


def test_a_slice_of_one_visit_is_counted_with_its_reason(cohort, tmp_path):
    alone = replace(cohort[0], visits=cohort[0].visits[:1])
    row = run_growth_fits([alone, *cohort[1:4]], out_dir=tmp_path, growth=PLAIN)
    assert (row["n_slices"], row["n_skipped"]) == (3, 1)
    (reason,) = [r["skipped"] for r in read_table(tmp_path / "slices.csv") if r["skipped"]]
    assert "0 visit(s) before day" in reason


def test_a_vanished_tumour_has_no_nrmse_but_a_crps(cohort, tmp_path):
    gone = replace(cohort[0], visits=(*cohort[0].visits[:-1],
                                      replace(cohort[0].visits[-1], size=0.0)))
    row = run_growth_fits([gone, *cohort[2:4]], out_dir=tmp_path, growth=PLAIN)
    assert row["n_undefined_nrmse"] == 1
    first = read_table(tmp_path / "slices.csv")[0]
    assert first["nrmse"] is None
    assert first["crps_relative"] > 0


def test_a_pool_forecasts_with_the_weights_it_has(cohort, pooled, tmp_path):
    row = run_growth_fits(cohort, out_dir=tmp_path, growth=pooled)
    weights = {k: v for k, v in row.items() if k.startswith("weight_")}
    assert set(weights) <= {f"weight_{law}" for law in LAWS}
    assert sum(weights.values()) == pytest.approx(1)
    assert row["nrmse_median"] < row["nrmse_median_carry_forward"]


def test_a_pool_of_another_unit_is_refused(cohort, pooled, tmp_path):
    with pytest.raises(ValueError, match=r"sizes in mm2.*series are in mm3"):
        run_growth_fits(cohort, out_dir=tmp_path, growth=pooled, unit="mm3")


def test_no_patient_is_forecast_by_a_population_that_saw_it(cohort, tmp_path):
    """Other held-out sizes of a patient change none of that patient's forecasts."""
    given = {"growth": CROSS_FITTED, "folds": 2, "laws": list(LAWS)}
    run_growth_fits(cohort, out_dir=tmp_path / "a", **given)
    first = cohort[0].patient
    moved = [
        replace(t, visits=(*t.visits[:-1], replace(t.visits[-1], size=9000.0)))
        if t.patient == first else t for t in cohort
    ]  # fmt: skip
    run_growth_fits(moved, out_dir=tmp_path / "b", **given)
    medians = [
        {r["slice_id"]: r["median_mm2"] for r in read_table(tmp_path / run / "slices.csv")
         if r["patient"] == first} for run in ("a", "b")
    ]  # fmt: skip
    assert medians[0] == medians[1]


def test_a_resumed_cross_fit_takes_the_populations_that_are_there(cohort, tmp_path):
    given = {"out_dir": tmp_path, "growth": CROSS_FITTED, **QUICK_FIT}
    first = run_growth_fits(cohort, **given)
    files = sorted((tmp_path / "populations").iterdir())
    times = [f.stat().st_mtime_ns for f in files]
    assert [f.name for f in files] == ["fold_0.json", "fold_1.json"]
    assert without_times(run_growth_fits(cohort, **given)) == without_times(first)
    assert [f.stat().st_mtime_ns for f in files] == times


def test_another_series_makes_the_populations_new(cohort, tmp_path):
    given = {"out_dir": tmp_path, "growth": CROSS_FITTED, **QUICK_FIT}
    marks = []
    for series in (cohort, cohort[:-1]):
        run_growth_fits(series, **given)
        held = [json.loads(f.read_text()) for f in sorted((tmp_path / "populations").iterdir())]
        marks.append([card["about"]["fingerprint"] for card in held])
    assert marks[0] != marks[1]


def test_kept_forecasts_are_of_different_patients(fitted, cohort):
    fans = load_fans(fitted[1] / "fans.npz")
    patients = {t.name: t.patient for t in cohort}
    assert len({patients[f.name] for f in fans}) == len(fans) == 6
    assert fans[0].curves.shape == (20, 30)


def test_one_name_for_two_slices_is_refused(cohort, tmp_path):
    with pytest.raises(ValueError, match="two slices are called"):
        run_growth_fits([cohort[0], cohort[0]], out_dir=tmp_path, growth=PLAIN)


def test_no_series_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no series to forecast"):
        run_growth_fits([], out_dir=tmp_path, growth=PLAIN)
