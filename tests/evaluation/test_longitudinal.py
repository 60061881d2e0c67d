from __future__ import annotations

import numpy as np
import pytest

from mechlearn.evaluation import placement
from mechlearn.evaluation.longitudinal import EVALUATION
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.evaluation.rows import plain, read_table
from mechlearn.evaluation.runner import run as run_evaluation
from mechlearn.evaluation.slice_forecast import forecast_slice
from mechlearn.growth.ensemble_fit import fit_ensemble
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.records import AxialSlice, LongitudinalSlice

GROWTH = GrowthSpec(law="exponential", n_bootstrap=12, n_starts=1)
MAPS = MapSpec(nodes=4)


@pytest.fixture
def series(synthetic):
    return [synthetic.make_series(patient=p, z=z) for p, z in
            (("P1", 60), ("P1", 62), ("P2", 60), ("P3", 60))]


@pytest.fixture
def run(job, sampler, series):
    def again(*, series=series, sampler=sampler, growth=GROWTH, maps=MAPS):
        return run_evaluation(EVALUATION, job(drawer=sampler, growth=growth, maps=maps), series)
    return again


def test_growth_that_follows_the_law_is_forecast_and_placed(run):
    row = run()
    assert row["n_slices"] == 4
    assert row["n_patients"] == 3
    assert row["nrmse_median"] < 0.15 < row["nrmse_carry_forward_median"] + 0.1
    assert row["hd95_dynamic_mm_mean"] < row["hd95_no_change_mm_mean"]
    assert row["dice_dynamic_mean"] > row["dice_no_change_mean"]


def test_every_baseline_and_test_is_in_the_row(run):
    row = run()
    for method in ("no_change", "dilation_true", "dilation_forecast", "heat_kernel",
                   "growth_order_forecast", "growth_order_true"):
        assert row[f"hd95_{method}_mm_mean"] is not None
    assert {"hd95_dynamic_vs_no_change_p_slices", "hd95_dynamic_vs_no_change_p_patients",
            "hd95_dynamic_alone_mm_mean", "brier_dynamic_mean", "coverage_95"} <= set(row)
    for key, value in row.items():
        plain(key, value)


def test_held_out_visit_does_not_change_the_forecast(sampler, synthetic):
    item = synthetic.make_series()
    seen = LongitudinalSlice(item.slices[:-1], item.courses)
    other = synthetic.make_slice(160, 14)
    rows = [forecast_slice(sampler, seen, 160.0, growth=GROWTH, maps=MAPS, follow_up=f).row
            for f in (item.slices[-1], other, None)]
    assert len({r["forecast_median_mm2"] for r in rows}) == 1
    assert len({r["map_dynamic_mm2"] for r in rows}) == 1


def test_setup_all_does_not_leak_the_held_out_visit(run, sampler, synthetic, tmp_path):
    leaky = GrowthSpec(law="exponential", n_bootstrap=12, n_starts=1, setup="all")
    run()
    train = read_table(tmp_path / "slices.csv")
    run(growth=leaky)
    everything = read_table(tmp_path / "slices.csv")
    assert [r["forecast_median_mm2"] for r in train] == [
        r["forecast_median_mm2"] for r in everything]


def test_finished_slices_are_not_computed_again(run, sampler):
    first, calls = run(), sampler.calls
    second = run()
    assert sampler.calls == calls
    assert {k: v for k, v in first.items() if "seconds" not in k} == {
        k: v for k, v in second.items() if "seconds" not in k}


def test_another_setting_makes_slices_new(run, sampler):
    run()
    calls = sampler.calls
    run(maps=MapSpec(nodes=3))
    assert sampler.calls > calls


def test_only_the_interrupted_slice_is_computed(run, sampler, tmp_path):
    run()
    (tmp_path / "cases" / "P2_z060.json").unlink()
    calls = sampler.calls
    run()
    assert sampler.calls == calls + 2  # dynamic and static


def test_a_slice_that_cannot_be_fitted_is_counted_with_its_reason(run, series, tmp_path):
    short = LongitudinalSlice(series[2].slices[:2])
    row = run(series=[series[0], short])
    assert (row["n_slices"], row["n_skipped"]) == (1, 1)
    reasons = [r["skipped"] for r in read_table(tmp_path / "slices.csv") if r.get("skipped")]
    assert len(reasons) == 1
    assert "min_visits" in reasons[0]


def test_an_unmoved_picture_has_an_empty_map_and_no_distance(run, synthetic):
    row = run(sampler=synthetic.FakeSampler(obedience=0.0))
    assert row["hd95_dynamic_alone_mm_n_undefined"] == 4
    assert row["hd95_dynamic_mm_mean"] == pytest.approx(row["hd95_no_change_mm_mean"])


def test_noise_encoding_draws_the_static_map_many_times(sampler, synthetic):
    item = synthetic.make_series()
    seen, truth = LongitudinalSlice(item.slices[:-1], item.courses), item.slices[-1]
    counts = []
    for encode in ("invert", "noise"):
        made = forecast_slice(synthetic.FakeSampler(encode=encode), seen, truth.day, growth=GROWTH,
                              maps=MapSpec(nodes=2, n_static=5), follow_up=truth)
        counts.append(made.maps["static"].n_generations)
    assert counts == [1, 5]


def test_a_thin_rim_of_growth_is_kept_by_default(sampler, synthetic):
    """Two tenths more area is a rim of one pixel: a 3 x 3 median would erase it."""
    slices = (synthetic.make_slice(0, 7.0), synthetic.make_slice(40, 7.3),
              synthetic.make_slice(80, 7.6), synthetic.make_slice(120, 8.2))
    seen = LongitudinalSlice(slices[:-1])
    made = forecast_slice(sampler, seen, 120.0, growth=GROWTH, maps=MapSpec(nodes=3),
                          follow_up=slices[-1])
    missing = made.row["area_true_mm2"] - made.row["area_last_mm2"]
    assert made.row["map_static_mm2"] == pytest.approx(missing, rel=0.1)
    assert made.row["dice_static"] > made.row["dice_no_change"]


def test_reliability_counts_every_pixel_outside_the_initial_masks(run, series, tmp_path):
    run()
    pixels = sum(r["pixels"] for r in read_table(tmp_path / "reliability.csv"))
    outside = [int((s.slices[-2].brain & ~s.slices[-2].tumour).sum()) for s in series]
    assert pixels == np.sum(outside)


def test_no_slices_is_an_error(run):
    with pytest.raises(ValueError, match="no case to score"):
        run(series=[])


@pytest.fixture
def pooled(synthetic, tmp_path):
    """A spec of a population of other patients; `pooled(growths)` makes its file (again)."""
    def made(growths):
        cohort = [synthetic.make_series(patient=f"Q{i}", growth=g).timeline
                  for i, g in enumerate(growths)]
        laws = ("exponential", "carry_forward")
        ensemble = fit_ensemble(cohort, laws, n=20, n_folds=2, floor=20.0)
        path = ensemble.save(tmp_path / "population.json")
        return GrowthSpec(law="pooled", population=str(path), n_bootstrap=12)
    return made


def test_a_population_of_other_patients_forecasts_one_seen_visit(run, pooled, synthetic):
    short = synthetic.make_series(days=(0, 60))
    row = run(growth=pooled((1.005, 1.009, 1.012, 1.007)), series=[short])
    assert (row["n_slices"], row["law"]) == (1, "pooled")


def test_a_population_made_again_makes_slices_new(run, pooled, sampler):
    run(growth=pooled((1.005, 1.009, 1.012, 1.007)))
    calls = sampler.calls
    run(growth=pooled((1.005, 1.009, 1.012, 1.007)))
    assert sampler.calls == calls
    run(growth=pooled((1.002, 1.004, 1.012, 1.007)))
    assert sampler.calls > calls


def test_the_baseline_order_is_the_samplers(monkeypatch):
    """A run with `sampler.order=travel` is compared with travel time, not with the fitted prior."""
    asked = []

    def order(source, reference):
        asked.append(source)
        return np.where(reference.brain, 0.5, np.inf)

    monkeypatch.setattr(placement, "order_from", order)
    labels = np.zeros((8, 8), np.uint8)
    labels[3:5, 3:5] = 2
    scan = AxialSlice("p", "s", 0.0, 1, np.zeros((4, 8, 8), np.float32), labels,
                      np.ones((8, 8), bool), (1.0, 1.0))
    placement.place(scan, {}, forecast_area_mm2=9.0, true_area_mm2=12.0, order="travel")
    assert asked == ["travel"]
