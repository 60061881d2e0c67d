"""Size forecasts compared: patients apart, failures counted, scores by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

import mechlearn.growth
from mechlearn.evaluation.size_comparison import beside_baselines, compare
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.size_forecast import forecasts
from mechlearn.growth.size_prior_fit import fit_size_prior
from mechlearn.records import SizeReading, SizeSeries


def cohort(n, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        days = np.cumsum(rng.uniform(30, 90, 4))
        logs = rng.normal(9, 1) + np.cumsum(rng.normal(0.1, 0.3, 4))
        visits = tuple(SizeReading(float(d), float(np.exp(v)))
                       for d, v in zip(days, logs, strict=True))  # fmt: skip
        found.append(SizeSeries(f"P{i:02d}/whole", f"P{i:02d}", visits, unit="mm3"))
    return found


@pytest.fixture(scope="module")
def found():
    return compare(cohort(30), models=("learned", "cohort_ratio", "carry_forward", "exponential"))


def test_every_patient_is_forecast_by_every_model(found):
    assert len(found.rows) == 30 * 4
    assert found.n_patients == 30
    assert all(found.failed(model) == 0 for model in found.models)


def test_the_table_names_models_scores_and_groups(found):
    text = found.table()
    for word in ("learned", "CRPS log", "Winkler", "days ahead", "visits used", "against cohort"):
        assert word in text


def test_differences_are_of_the_same_visits(found):
    row = found.summary()
    ours = np.array(list(found.values("learned", "crps_log").values()))
    theirs = np.array(list(found.values("cohort_ratio", "crps_log").values()))
    assert row["crps_log_learned_minus_cohort_ratio"] == pytest.approx((ours - theirs).mean())
    assert row["crps_log_learned_over_cohort_ratio"] == pytest.approx(ours.mean() / theirs.mean())


def test_more_holdouts_see_less(found):
    more = compare(cohort(30), models=("carry_forward",), holdouts=2)
    assert {r["n_seen"] for r in more.rows if r["holdout"] == 2} == {2}
    assert len(more.rows) == 60


def test_a_prior_from_elsewhere_is_applied_unchanged():
    prior = fit_size_prior(cohort(30, seed=1))
    found = compare(cohort(12), models=("learned", "cohort_ratio"), prior=prior)
    made = prior.forecast(cohort(12)[0], cohort(12)[0].visits[-1].day)
    row = next(r for r in found.rows if r["patient"] == "P00" and r["model"] == "learned")
    assert row["median"] == made.median


def test_a_series_that_vanished_has_no_relative_score_and_is_kept():
    gone = SizeSeries("Z/whole", "Z", tuple(SizeReading(d, 0.0) for d in (0.0, 40.0, 80.0)),
                      unit="mm3")  # fmt: skip
    found = compare([*cohort(12), gone], models=("learned", "cohort_ratio"))
    row = next(r for r in found.rows if r["patient"] == "Z" and r["model"] == "learned")
    assert row["crps_relative"] is None
    assert row["crps_log"] >= 0


def test_growth_reaches_it_by_name():
    assert mechlearn.growth.compare is compare


def test_slices_are_forecast_by_a_prior_of_volumes():
    slices = [
        SizeSeries(s.name, s.patient, tuple(SizeReading(v.day, v.size / 20) for v in s.visits))
        for s in cohort(6)
    ]
    prior = fit_size_prior(cohort(30, seed=1))
    found = compare(slices, models=("learned", "cohort_ratio"), prior=prior)
    assert found.failed("learned") == 0
    assert found.unit == "mm2"


def test_forecasts_made_elsewhere_stand_beside_the_baselines_of_the_cohort(found):
    series = cohort(30)
    spec = GrowthSpec(law="exponential", min_visits=2, fallback="carry_forward")
    made = forecasts(series, [s.visits[-1].day for s in series], spec=spec)
    beside = beside_baselines(series, {"exponential": made}, n_folds=5, seed=0)
    assert beside.models == ("exponential", "cohort_ratio", "carry_forward")
    for model in beside.models:
        assert beside.values(model, "crps_log") == pytest.approx(found.values(model, "crps_log"))


def test_a_cohort_of_few_patients_has_no_baselines_of_its_own():
    series = cohort(3)
    failed = [ValueError("not made")] * 3
    beside = beside_baselines(series, {"ode": failed}, n_folds=5, seed=0)
    assert beside.models == ("ode",)
    assert beside.failed("ode") == 3
    made = {"ode": failed, "carry_forward": failed}
    assert beside_baselines(series, made, n_folds=5, seed=0).models == ("ode", "carry_forward")
