from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mechlearn.evaluation.map_boards import map_boards
from mechlearn.evaluation.map_cases import MapCase, joined_cases
from mechlearn.evaluation.map_comparison import MapChoice, choose, leave_one_out, score_maps
from mechlearn.evaluation.map_summary import gains, method_lines
from mechlearn.evaluation.recalibration import LevelCounts, fit_recalibration
from mechlearn.evaluation.rows import read_table
from mechlearn.files import write_arrays

BRAIN = np.ones((20, 20), bool)


def square(half, centre=(10, 10)):
    i, j = np.mgrid[:20, :20]
    return np.maximum(abs(i - centre[0]), abs(j - centre[1])) <= half


def make_case(patient="P1", *, near=0.3, name=None):
    """The tumour grows from 5 x 5 to 9 x 9; `good` knows the rim at p = near, `empty` nothing."""
    initial, truth = square(2), square(4)
    wrong = square(2, (15, 15))
    maps = {
        "no_change": initial.astype(float),
        "arrival_order": np.where(initial, 1.0, np.where(truth, near, 0.0)),
        "dilation": np.where(initial | wrong, 0.6, 0.0),
        "empty": np.zeros((20, 20)),
    }
    plane = np.zeros((20, 20))
    return MapCase(name or patient, patient, initial, truth, BRAIN, (1.0, 1.0), maps, plane, plane,
                   {})  # fmt: skip


def test_the_threshold_of_validation_patients_finds_what_one_half_misses():
    cases = [make_case("V1"), make_case("V2")]
    chosen = choose(cases)["arrival_order"]
    assert chosen.threshold <= 0.3
    test = [make_case("T1")]
    with_choice = score_maps(test, {"arrival_order": chosen}).of("arrival_order")[0]
    without = score_maps(test, {}).of("arrival_order")[0]
    assert (with_choice["dice"], with_choice["hd95_mm"]) == (1.0, 0.0)
    assert without["dice"] < 1.0


def test_a_threshold_that_is_better_within_the_error_alone_does_not_leave_one_half():
    """The rim at p = .3 is true for one patient and false for the other."""
    right, wrong = make_case("V1"), make_case("V2")
    assert choose([right])["arrival_order"].threshold == 0.3
    wrong = replace(wrong, truth=wrong.initial)
    assert choose([right, wrong])["arrival_order"].threshold == 0.5


def test_no_validation_patients_leave_the_defaults():
    assert choose([]) == {}


def test_an_empty_mask_is_counted_and_costs_the_longest_distance():
    scores = score_maps([make_case("T1"), make_case("T2")], {})
    line = next(r for r in method_lines(scores) if r["method"] == "empty")
    assert line["hd95_alone_mm_empty"] == 2
    assert line["hd95_alone_mm"] == pytest.approx(np.hypot(19, 19))


def test_recalibration_makes_the_probability_the_frequency_of_other_patients():
    cases = [make_case("V1"), make_case("V2")]
    fitted = choose(cases)["arrival_order"].recalibrate
    assert fitted(np.array([0.0, 0.3])) == pytest.approx([0.0, 1.0])
    scores = score_maps([make_case("T1")], choose(cases))
    assert scores.of("arrival_order")[0]["brier"] == pytest.approx(0.0)
    assert scores.of("arrival_order")[0]["brier_raw"] > 0.05


def test_recalibration_keeps_the_order_and_needs_pixels():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=400)
    fitted = fit_recalibration([LevelCounts.of(p, rng.uniform(size=400) < p**2)])
    values = fitted(np.linspace(0, 1, 50))
    assert (np.diff(values) >= 0).all()
    with pytest.raises(ValueError, match="no pixels"):
        fit_recalibration([])


def test_choices_come_from_the_other_patients_alone():
    """P1's rim lies at p = .1, that of the others at .6: .1 is seen by the others' folds only."""
    cases = [make_case("P1", near=0.1), make_case("P2", near=0.6), make_case("P3", near=0.6)]
    scores = leave_one_out(cases)
    alone = score_maps(cases[:1], choose(cases[1:])).of("arrival_order")
    assert scores.of("arrival_order")[:1] == alone
    assert alone[0]["dice"] < 1.0
    assert [r["slice_id"] for r in scores.of("dilation")] == ["P1", "P2", "P3"]
    assert set(scores.bins["dilation"]) == {"P1", "P2", "P3"}


def test_a_volume_is_scored_as_a_slice_of_it():
    flat = make_case("P1")
    stack = {name: np.repeat(getattr(flat, name)[None], 3, axis=0)
             for name in ("initial", "truth", "brain")}  # fmt: skip
    maps = {name: np.repeat(p[None], 3, axis=0) for name, p in flat.maps.items()}
    solid = replace(flat, **stack, maps=maps, spacing_mm=(1.0, 1.0, 1.0))
    plane, volume = (score_maps([c], {}).of("dilation")[0] for c in (flat, solid))
    assert volume["dice"] == pytest.approx(plane["dice"])
    assert volume["brier"] == pytest.approx(plane["brier"])
    assert volume["worst_mm"] == pytest.approx(np.linalg.norm([2, 19, 19]))


def test_calibration_error_and_skill_are_over_all_pixels():
    cases = [make_case(p) for p in ("T1", "T2", "T3")]
    perfect = {"arrival_order": MapChoice(recalibrate=lambda p: (p > 0).astype(float))}
    lines = {r["method"]: r for r in method_lines(score_maps(cases, perfect))}
    assert lines["arrival_order"]["ece"] == pytest.approx(0.0)
    assert lines["arrival_order"]["brier_skill"] == pytest.approx(1.0)
    rim, outside = 81 - 25, 400 - 25
    assert lines["empty"]["ece"] == pytest.approx(rim / outside)


def test_gains_are_positive_where_ours_is_better():
    scores = score_maps([make_case(p, near=0.8) for p in ("T1", "T2", "T3")], {})
    against = {r["method"]: r for r in gains(scores)}
    assert against["dilation"]["hd95_mm_gain"] > 0
    assert against["dilation"]["dice_gain"] > 0
    assert "arrival_order" not in against


def kept(folder, **maps):
    case = make_case("P1")
    write_arrays(folder / "cases" / "P1.npz", {
        **{f"probability_{k}": p for k, p in maps.items()}, "initial": case.initial,
        "truth": case.truth, "brain": case.brain, "spacing_mm": np.array([1.0, 1.0]),
        "patient": np.array("P1"), "name": np.array("P1"), "scan": case.scan,
        "follow_up": case.scan, "progression": np.zeros((2, 20, 20)),
        "progression_mm2": np.array([30.0, 60.0]),
    })  # fmt: skip


def boards_of(tmp_path, *rows):
    grown = make_case(near=0.8).maps["arrival_order"]
    for row in rows:
        kept(tmp_path / row["cell"], dynamic=grown, arrival_order=grown)
    map_boards(rows, tmp_path, tmp_path)
    return {r["method"] for r in read_table(tmp_path / "maps_methods.csv")}


def test_maps_of_two_samplers_stand_beside_each_other(tmp_path):
    names = boards_of(tmp_path, {"cell": "a", "guidance": "paper", "split": "test"},
                      {"cell": "b", "guidance": "labels", "split": "test"})  # fmt: skip
    assert names == {"no_change", "arrival_order", "dynamic", "dynamic_labels"}


def test_swept_settings_name_the_maps_of_one_sampler(tmp_path):
    rows = [{"cell": e, "guidance": "paper", "split": "test", "sampler.encode": e}
            for e in ("noise", "invert")]  # fmt: skip
    assert boards_of(tmp_path, *rows) == {
        "no_change", "arrival_order", "dynamic (encode=noise)", "dynamic (encode=invert)"}


def test_baselines_of_other_size_forecasts_are_distinguished(tmp_path):
    rows = [{"cell": g, "guidance": "labels", "split": "test", "growth": g, "law": g}
            for g in ("ode", "gompertz")]  # fmt: skip
    assert "arrival_order (growth=ode)" in boards_of(tmp_path, *rows)


def test_slices_that_one_job_lacks_are_left_out_and_counted():
    a, b = make_case("A"), make_case("B")
    cases, lacking = joined_cases([[a, b], [a]])
    assert [c.name for c in cases] == ["A"]
    assert lacking == 1
