"""A population fitted to simulated series, as the file that a forecast takes."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from mechlearn.evaluation import population_fit
from mechlearn.evaluation.population_fit import (
    CrossFit,
    check_unseen,
    cross_fitted,
    fingerprint_of,
    in_order,
    run_population,
)
from mechlearn.evaluation.rows import plain
from mechlearn.growth.population_file import load_ensemble
from mechlearn.records import SizeReading, SizeSeries

LAWS = ("exponential", "carry_forward")
FLOOR = 15.0  # given: looking for it is half the work, and tests/growth/test_population_prior.py's


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(0)
    out = []
    for patient in range(12):
        rate, days = rng.normal(0.01, 0.003), np.array([0.0, 40, 80, 120])
        sizes = 300 * np.exp(rate * days) * (1 + 0.03 * rng.normal(size=4))
        visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, sizes, strict=True))
        out.append(SizeSeries(f"P{patient}/z50", f"P{patient}", visits))
    return out


@pytest.fixture(scope="module")
def run(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("population")
    return run_population(cohort, out_dir=folder, laws=LAWS, n_folds=3, floor=FLOOR,
                          about={"cohort": "simulated"}), folder


def test_file_is_what_growth_population_takes(run):
    row, folder = run
    ensemble = load_ensemble(folder / "population.json")
    assert row["population"] == str(folder / "population.json")
    assert ensemble.about["cohort"] == "simulated"
    assert {m.name for m in ensemble.members} <= set(LAWS)


def test_row_holds_weights_and_scatter_of_every_law(run):
    row, folder = run
    names = [m.name for m in load_ensemble(folder / "population.json").members]
    assert sum(row[f"weight_{n}"] for n in names) == pytest.approx(1)
    for name in names:
        assert row[f"sigma_{name}"] > 0
        assert row[f"tau_{name}_per_sqrt_day"] >= 0
        assert row[f"error_width_{name}"] > 0
    assert (row["n_slices"], row["n_patients"]) == (12, 12)
    for key, value in row.items():
        plain(key, value)


def test_the_cohorts_rate_is_found(run):
    typical = load_ensemble(run[1] / "population.json").member("exponential").population.typical()
    assert typical["growth_rate"][0] == pytest.approx(0.01, rel=0.2)


def test_typical_parameters_are_logged(cohort, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="mechlearn.evaluation.population_fit"):
        run_population(cohort, out_dir=tmp_path, laws=("exponential",), n_folds=2,
                       floor=FLOOR)
    assert "growth.population=" in caplog.text
    assert "growth_rate" in caplog.text
    assert "1/day" in caplog.text


def test_no_series_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no series"):
        run_population([], out_dir=tmp_path)


def test_a_population_is_not_scored_on_its_own_patients(run):
    ensemble = load_ensemble(run[1] / "population.json")
    with pytest.raises(ValueError, match=r"1 of these patients \(P3\)"):
        check_unseen(ensemble, ["Q1", "P3"])
    check_unseen(ensemble, ["Q1", "Q2"])


def test_no_patient_is_named_in_the_file(run):
    assert '"P3"' not in (run[1] / "population.json").read_text()


def test_a_population_fitted_again_has_another_digest(run, cohort, tmp_path):
    run_population(cohort[:-1], out_dir=tmp_path, laws=LAWS, n_folds=3, floor=FLOOR)
    old, new = (load_ensemble(f / "population.json") for f in (run[1], tmp_path))
    assert fingerprint_of(old) == fingerprint_of(load_ensemble(run[1] / "population.json"))
    assert fingerprint_of(old) != fingerprint_of(new)


def test_laws_of_radiotherapy_alone_need_some(cohort, tmp_path):
    with pytest.raises(ValueError, match="no course of radiotherapy in 12 series"):
        run_population(cohort, out_dir=tmp_path, laws=("ode", "gompertz_rt"))


def test_folds_in_several_processes_are_those_of_one(cohort, tmp_path, monkeypatch):
    settings = CrossFit(n_folds=2, laws=LAWS, floor=FLOOR)
    series = in_order(cohort)
    one = cross_fitted(series, settings, unit="mm2", folder=tmp_path / "one")
    monkeypatch.setattr(population_fit, "_FEW_SERIES", 0)
    several = cross_fitted(series, settings, unit="mm2", folder=tmp_path / "several")
    assert [e.card for e, _ in several] == [e.card for e, _ in one]
    assert [chosen for _, chosen in several] == [chosen for _, chosen in one]
