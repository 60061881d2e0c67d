"""Several laws of one cohort: calibration, weights, files, and forecasts by all of them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy.special import ndtri

from mechlearn.growth import posterior_draws
from mechlearn.growth.ensemble import Calibration, Ensemble, Spread, shares, thinned
from mechlearn.growth.ensemble_fit import fit_ensemble, folds
from mechlearn.growth.ensemble_forecast import members_for
from mechlearn.growth.ensemble_weights import ensemble_weights
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.population_file import load_ensemble
from mechlearn.growth.quantiles import weighted_quantiles
from mechlearn.growth.size_forecast import forecast, forecasts
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

SPEC = GrowthSpec(law="pooled", population="given", n_bootstrap=40, curve_points=7)
LAWS = ("exponential", "gompertz", "carry_forward")


def cohort(patients, slices=2, *, seed=0) -> list[SizeSeries]:
    """Exponential series of four or five visits, patients at rates of their own."""
    rng = np.random.default_rng(seed)
    out = []
    for p in range(patients):
        rate = 0.008 * np.exp(0.3 * rng.normal())
        for z in range(slices):
            days = np.cumsum([0.0, *rng.uniform(20, 60, size=3 + p % 2)])
            areas = 300 * np.exp(rate * days + 0.05 * rng.normal(size=days.size))
            visits = tuple(map(SizeReading, days.tolist(), areas.tolist()))
            out.append(SizeSeries(f"p{p}/z{z}", f"p{p}", visits))
    return out


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return fit_ensemble(cohort(12), LAWS, n_folds=3, n=40, about={"cohort": "simulated"})


def series(areas=(400.0, 500.0, 640.0, 800.0), name="p9/z1") -> SizeSeries:
    visits = tuple(SizeReading(30.0 * i, a) for i, a in enumerate(areas))
    return SizeSeries(name, "p9", visits, (Radiotherapy(35.0),))


# --- calibration -----------------------------------------------------------------------------


def test_calibration_of_normal_errors_changes_little():
    errors = np.random.default_rng(0).normal(size=2000)
    found = Calibration.of(errors, np.arange(2000))
    scores = np.linspace(-2, 2, 9)
    assert found.correct(scores) == pytest.approx(scores, abs=0.12)


def test_calibration_moves_a_biased_law():
    errors = 1.0 + 2.0 * np.random.default_rng(0).normal(size=4000)
    found = Calibration.of(errors, np.arange(4000))
    assert found.correct(np.array([-1.0, 0.0, 1.0])) == pytest.approx([-1.0, 1.0, 3.0], abs=0.2)


def test_calibration_keeps_the_order_of_scores():
    errors = np.random.default_rng(1).standard_t(2, size=60)
    found = Calibration.of(errors, np.arange(60))
    assert (np.diff(found.correct(np.linspace(-6, 6, 200))) >= 0).all()


def test_few_patients_hardly_calibrate():
    errors = 5.0 + np.random.default_rng(0).normal(size=3)
    moved = Calibration.of(errors, np.arange(3)).correct(np.zeros(1))[0]
    assert 0 < moved < 1.5


def test_each_patient_counts_once():
    rng = np.random.default_rng(0)
    errors, patients = rng.normal(size=80), np.arange(80)
    once = Calibration.of(errors, patients)
    often = Calibration.of(np.append(errors, [8.0] * 80), np.append(patients, [80] * 80))
    alone = Calibration.of(np.append(errors, 8.0), np.append(patients, 80))
    assert often.n_patients == 81
    scores = np.array([-1.0, 0.0, 1.0])
    assert often.correct(scores) == pytest.approx(alone.correct(scores), abs=0.05)
    assert often.correct(scores) == pytest.approx(once.correct(scores), abs=0.15)


def test_calibrated_interval_covers_heavy_tailed_errors():
    rng = np.random.default_rng(0)
    errors = 1.5 * rng.standard_t(3, size=400)
    low, high = Calibration.of(errors, np.arange(400)).correct(ndtri(np.array([0.025, 0.975])))
    later = 1.5 * rng.standard_t(3, size=50000)
    assert np.mean((later > low) & (later < high)) == pytest.approx(0.95, abs=0.02)
    raw = np.mean(np.abs(later) < ndtri(0.975))
    assert raw < 0.85  # what the law itself claimed to be 95%


def test_equal_weights_give_the_quantiles_of_a_normal_sample():
    values = ndtri((np.arange(999) + 0.5) / 999)
    levels = np.array([0.05, 0.5, 0.95])
    found = weighted_quantiles(values, np.ones(999), levels)
    assert found == pytest.approx(ndtri(levels), abs=0.01)


def test_scores_and_sizes_are_inverse():
    samples = np.random.default_rng(0).lognormal(5, 1, size=(3, 50))
    spread = Spread.of(samples, 1.0)
    assert spread.sizes(spread.scores(samples)) == pytest.approx(samples)


# --- weights ---------------------------------------------------------------------------------


def rivals(n_patients, *, seed=0):
    """Forecasts by a law that is right and by two that are not, and what came true."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=n_patients)
    truth = middle + 0.3 * rng.normal(size=n_patients)
    draws = 0.3 * rng.normal(size=(3, n_patients, 60)) + middle[None, :, None]
    draws[1] += 1.5
    draws[2] = 4.0 * (draws[2] - middle[:, None]) + middle[:, None] - 1.0
    return draws, truth, np.ones(n_patients), [f"p{i}" for i in range(n_patients)]


def test_many_patients_weight_the_law_behind_the_data():
    assert ensemble_weights(*rivals(600))[0] > 0.9


def test_few_patients_leave_the_weights_nearly_equal():
    weights = ensemble_weights(*rivals(1))
    assert weights == pytest.approx(np.full(3, 1 / 3), abs=0.1)


def test_weights_are_a_distribution():
    weights = ensemble_weights(*rivals(20))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()


def test_weights_count_a_patient_once():
    draws, truth, scale, patients = rivals(40)
    # The one patient for whom the second law is right, two hundred times.
    draws = np.concatenate([draws, np.repeat(draws[:, :1], 200, axis=1)], axis=1)
    truth = np.append(truth, np.full(200, np.median(draws[1, 0])))
    weights = ensemble_weights(draws, truth, np.ones(240), [*patients, *["p0"] * 200])
    assert weights[0] > weights[1] + 0.3


def test_weights_minimise_the_score_of_the_mixture():
    draws, truth, scale, patients = rivals(200)
    weights = ensemble_weights(draws, truth, scale, patients)

    def crps(w):
        near = np.abs(draws - truth[:, None]).mean(axis=2)
        apart = np.abs(draws[:, None, :, :, None] - draws[None, :, :, None, :]).mean(axis=(3, 4))
        return float(np.mean(w @ near) - 0.5 * np.mean(np.einsum("i,ijs,j->s", w, apart, w)))

    equal = np.full(3, 1 / 3)
    assert crps(weights) < crps(equal)
    assert crps(weights) <= min(crps(np.eye(3)[i]) for i in range(3)) + 0.01


def test_folds_keep_the_slices_of_a_patient_together():
    patients = [f"p{i // 3}" for i in range(30)]
    fold = folds(patients, 4, seed=0)
    assert {len(set(fold[i : i + 3])) for i in range(0, 30, 3)} == {1}
    assert set(fold) == {0, 1, 2, 3}


# --- the ensemble of a cohort ---------------------------------------------------------------------


def test_law_behind_the_cohort_outweighs_carrying_forward(ensemble):
    weights = {m.name: m.weight for m in ensemble.members}
    assert weights["exponential"] + weights["gompertz"] > 2 * weights.get("carry_forward", 0.0)
    assert sum(weights.values()) == pytest.approx(1.0)


def test_pool_knows_where_it_comes_from(ensemble):
    assert ensemble.about == {"cohort": "simulated", "n_patients": 12, "n_slices": 24, "seed": 0,
                          "n_folds": 3}  # fmt: skip


def test_radiotherapy_laws_are_left_out_of_an_untreated_cohort():
    found = fit_ensemble(cohort(4, 1), ("ode", "exponential"), n_folds=2, n=10, floor=20.0)
    assert [m.name for m in found.members] == ["exponential"]


def test_pool_does_not_depend_on_the_order_of_its_cohort(ensemble):
    again = fit_ensemble(cohort(12)[::-1], LAWS, n_folds=3, n=40)
    ours, theirs = ({m.name: m.weight for m in p.members} for p in (ensemble, again))
    assert theirs == pytest.approx(ours, abs=0.02)


def test_progress_counts_every_population():
    seen = []
    fit_ensemble(cohort(4, 1), ("exponential", "linear"), n_folds=2, n=10,
             progress=lambda *step: seen.append(step))  # fmt: skip
    assert seen == [(i, 6) for i in range(1, 7)]


def test_two_patients_are_no_cohort():
    with pytest.raises(ValueError, match=r"population: 2 patient.*growth.population=null"):
        fit_ensemble(cohort(2), LAWS)


# --- forecasts --------------------------------------------------------------------------------


def test_members_share_the_samples_of_a_pooled_forecast(ensemble):
    made = forecast(series(), 120, spec=SPEC, ensemble=ensemble)
    assert made.samples.size == SPEC.n_bootstrap
    assert made.curves.shape == (SPEC.n_bootstrap, SPEC.curve_points)
    assert sum(made.weights.values()) == pytest.approx(1.0)
    assert made.population == "simulated"


def test_parameters_of_a_pooled_forecast_name_their_law(ensemble):
    made = forecast(series(), 120, spec=SPEC, ensemble=ensemble)
    counts = {name.split(".")[0]: v.size for name, v in made.parameters.items()}
    assert counts == {name: round(40 * w) for name, w in made.weights.items()}


def test_one_law_of_the_pool_forecasts_alone(ensemble):
    spec = dataclasses.replace(SPEC, law="exponential")
    made = forecast(series(), 120, spec=spec, ensemble=ensemble)
    assert made.weights == {"exponential": 1.0}
    assert set(made.parameters) == {"initial_area", "growth_rate"}
    assert made.parameters["initial_area"].mean() == pytest.approx(400, rel=0.2)


def test_law_that_the_pool_does_not_hold_is_refused(ensemble):
    spec = dataclasses.replace(SPEC, law="logistic")
    with pytest.raises(ValueError, match="growth.law='logistic'.*simulated.*exponential"):
        forecast(series(), 120, spec=spec, ensemble=ensemble)


@pytest.mark.parametrize("law", ["pooled", "exponential"])
def test_train_setup_never_sees_the_forecast_day(ensemble, law):
    spec = dataclasses.replace(SPEC, law=law)
    seen = forecast(series((400.0, 500.0, 640.0)), 90, spec=spec, ensemble=ensemble)
    with_truth = forecast(series((400.0, 500.0, 640.0, 99999.0)), 90, spec=spec, ensemble=ensemble)
    assert np.array_equal(seen.samples, with_truth.samples)
    assert np.array_equal(seen.curves, with_truth.curves)


def test_all_setup_sees_every_visit(ensemble):
    spec = dataclasses.replace(SPEC, setup="all")
    low, high = series((400.0, 500.0, 640.0)), series((400.0, 500.0, 6400.0))
    made = [forecast(s, 120, spec=spec, ensemble=ensemble).median for s in (low, high)]
    assert made[1] > 3 * made[0]


@pytest.mark.parametrize("areas", [(400.0,), (0.0, 400.0), (0.0, 0.0, 0.0), (400.0, 0.0)])
def test_poor_series_are_forecast_from_a_population(ensemble, areas):
    spec = dataclasses.replace(SPEC, setup="all")
    made = forecast(series(areas), 150, spec=spec, ensemble=ensemble)
    assert np.isfinite(made.samples).all()
    assert (made.samples >= 0).all()


@pytest.mark.parametrize("law", ["pooled", "gompertz"])
def test_neither_name_nor_seed_moves_a_forecast(ensemble, law):
    spec = dataclasses.replace(SPEC, law=law)
    made = forecast(series(), 120, spec=spec, ensemble=ensemble)
    other = dataclasses.replace(spec, seed=7)
    again = forecast(series(name="renamed/z3"), 120, spec=other, ensemble=ensemble)
    assert np.array_equal(made.samples, again.samples)
    assert np.array_equal(made.curves, again.curves)


def test_another_sequence_of_points_hardly_moves_the_interval(ensemble, monkeypatch):
    made = forecast(series(), 120, spec=SPEC, ensemble=ensemble)
    usual = posterior_draws._normals
    monkeypatch.setattr(posterior_draws, "_normals", lambda n, k: usual(n, k + 1)[:, :0:-1])
    again = forecast(series(), 120, spec=SPEC, ensemble=ensemble)
    assert again.interval() == pytest.approx(made.interval(), rel=0.06)
    assert again.median == pytest.approx(made.median, rel=0.02)


def test_forecast_does_not_depend_on_the_other_slices(ensemble):
    several = [series(), series((50.0, 80.0), "p9/z2"), series((900.0,) * 6, "p9/z3")]
    together = forecasts(several, [120.0, 90.0, 300.0], spec=SPEC, ensemble=ensemble)
    alone = forecast(several[1], 90.0, spec=SPEC, ensemble=ensemble)
    assert together[1].samples == pytest.approx(alone.samples, rel=1e-6)


def test_slice_that_cannot_be_forecast_leaves_its_error_in_place(ensemble):
    made = forecasts([series(), series(name="p9/z2")], [120.0, -5.0], spec=SPEC, ensemble=ensemble)
    assert made[0].name == "p9/z1"
    assert "p9/z2: forecast day -5" in str(made[1])


def test_forecast_stays_below_what_the_cohort_has_seen(ensemble):
    made = forecast(series((400.0, 4000.0)), 3000, spec=SPEC, ensemble=ensemble)
    assert made.samples.max() <= ensemble.limit(np.array([4000.0]))[0]


def test_max_growth_limits_a_pooled_forecast(ensemble):
    spec = dataclasses.replace(SPEC, max_growth=1.2)
    made = forecast(series(), 400, spec=spec, ensemble=ensemble)
    assert made.samples.max() <= 1.2 * 800 + 1e-6
    assert made.curves.max() <= 1.2 * 800 + 1e-6


def test_calibration_can_be_left_out(ensemble):
    plain = dataclasses.replace(SPEC, calibrate=False)
    raw = forecast(series(), 150, spec=plain, ensemble=ensemble)
    corrected = forecast(series(), 150, spec=SPEC, ensemble=ensemble)
    assert not np.array_equal(raw.samples, corrected.samples)


def test_shares_add_up_and_follow_the_weights():
    assert shares([0.5, 0.3, 0.2], 100) == [50, 30, 20]
    assert sum(shares([0.34, 0.33, 0.33], 10)) == 10


def test_thinning_keeps_the_spread():
    samples = np.random.default_rng(0).permutation(np.arange(100.0))[None]
    assert thinned(samples, 10)[0] == pytest.approx(np.arange(5.0, 100, 10))


# --- files -----------------------------------------------------------------------------------


def test_pool_survives_its_file(ensemble, tmp_path):
    again = load_ensemble(ensemble.save(tmp_path / "made" / "ensemble.json"))
    assert (again.unit, again.about) == (ensemble.unit, ensemble.about)
    assert again.ceiling == ensemble.ceiling
    assert [m.name for m in again.members] == [m.name for m in ensemble.members]
    ours, theirs = (forecast(series(), 120, spec=SPEC, ensemble=p) for p in (ensemble, again))
    assert theirs.samples == pytest.approx(ours.samples, rel=0.01)


def test_saved_pool_is_found_by_the_spec(ensemble, tmp_path):
    spec = dataclasses.replace(SPEC, population=str(ensemble.save(tmp_path / "ensemble.json")))
    assert forecast(series(), 120, spec=spec).population == "simulated"


def test_no_partial_file_is_left_behind(ensemble, tmp_path):
    ensemble.save(tmp_path / "ensemble.json")
    assert [p.name for p in tmp_path.iterdir()] == ["ensemble.json"]


def damaged(content, how):
    if how == "version":
        content["version"] = 99
    elif how == "law":
        content["laws"][0]["law"] = "oed"
    elif how == "covariance":
        content["laws"][0]["covariance"][0][0] = -1.0
    elif how == "parameters":
        content["laws"][0]["parameters"] = ["speed"]
    elif how == "missing":
        del content["laws"]
    elif how == "mean":
        content["laws"][0]["mean"] = [0.0]
    return json.dumps(content)


@pytest.mark.parametrize(
    "how", ["version", "law", "covariance", "parameters", "missing", "mean", "cut"]
)
def test_damaged_pool_is_refused_with_a_remedy(ensemble, tmp_path, how):
    path = ensemble.save(tmp_path / "ensemble.json")
    text = damaged(json.loads(path.read_text()), how)
    path.write_text(text[: len(text) // 2] if how == "cut" else text)
    words = r"growth.population=.*ensemble.json.*experiment=population"
    with pytest.raises(ValueError, match=words):
        load_ensemble(path)


def test_a_file_imports_no_code(ensemble, tmp_path, monkeypatch):
    """A stranger's population names a module; loading the file must not import it."""
    made = tmp_path / "made"
    (tmp_path / "payload_law.py").write_text(f"open({str(made)!r}, 'w').close()\nlaw = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = ensemble.save(tmp_path / "ensemble.json")
    content = json.loads(path.read_text())
    content["laws"][0]["law"] = "payload_law.law"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"'payload_law.law' is not built in.*own_laws"):
        load_ensemble(path)
    assert not made.exists()


def test_a_model_that_the_user_names_may_stand_in_a_file(ensemble, tmp_path, monkeypatch):
    code = "from mechlearn.growth.models import GROWTH_MODELS\nlaw = GROWTH_MODELS['exponential']\n"
    (tmp_path / "named_law.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = ensemble.save(tmp_path / "ensemble.json")
    content = json.loads(path.read_text())
    held = next(m for m in content["laws"] if m["law"] == "exponential")
    held["law"] = "named_law.law"
    path.write_text(json.dumps(content))
    GrowthSpec(own_laws=["named_law.law"])
    assert "exponential" in [m.name for m in load_ensemble(path).members]


def test_missing_pool_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="growth.population=.*no such file.*population"):
        load_ensemble(tmp_path / "none.json")


def test_population_without_doses_refuses_to_count_them():
    ensemble = load_ensemble("phantom")
    spec = GrowthSpec(law="pooled", population="phantom", survival="linear_quadratic")
    with pytest.raises(ValueError, match="fitted with alpha/beta None.*survival=fraction"):
        members_for(spec, ensemble)


@pytest.mark.parametrize("law", [m.name for m in load_ensemble("phantom").members])
def test_every_law_of_the_packaged_population_forecasts_alone(law):
    readings = ((0.0, 500.0), (60.0, 650.0), (120.0, 700.0))
    series = SizeSeries("p/z1", "p", tuple(SizeReading(*r) for r in readings))
    made = forecast(series, 120.0, spec=GrowthSpec(law=law, population="phantom"))
    assert made.samples.size == 100
