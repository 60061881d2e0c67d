from __future__ import annotations

import numpy as np
import pytest

from mechlearn.evaluation.grid_choice import choose_cell
from mechlearn.evaluation.grid_trends import cube, grid_trends, trend_keys, trend_words

LEVELS, SCALES = (100, 200, 300, 500), (1e4, 1e5)


def table(per_level=0.01, per_decade=0.2, *, noise=0.002, n_patients=6):
    """Two slices a patient; alteration rises with NL, tumour change with the scale."""
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(n_patients):
        for z in (50, 55):
            base = rng.uniform(0, 0.5)
            for level in LEVELS:
                for scale in SCALES:
                    change = base + per_decade * np.log10(scale / 1e4) + rng.normal(0, noise)
                    altered = 0.02 + base / 50 + per_level * level / 100 + rng.normal(0, noise)
                    rows.append({
                        "slice_id": f"P{patient}/z{z}", "patient": f"P{patient}",
                        "target_fraction": 0.1, "noise_level": level, "scale": scale,
                        "alteration_outside": altered, "ssim_outside": 1 - altered,
                        "drift_outside": altered, "tumour_change": change,
                        "requested_share": None, "hyperintense_fraction": 0.0,
                        "relative_error_abs": 0.5 - change / 4, "relative_error_no_change_abs": 0.5,
                    })  # fmt: skip
    return rows


def find(trends, outcome, factor, at="all"):
    (found,) = [t for t in trends if (t.outcome, t.factor, t.at) == (outcome, factor, at)]
    return found


@pytest.fixture(scope="module")
def trends():
    return grid_trends(table(), n_resamples=200)


def test_known_slopes_lie_in_their_intervals_and_hold(trends):
    for outcome, factor, truth in (("alteration_outside", "noise_level", 0.01),
                                   ("tumour_change", "scale", 0.2)):
        found = find(trends, outcome, factor)
        assert found.slope[0] == pytest.approx(truth, rel=0.05)
        assert found.slope[1] < found.slope[0] < found.slope[2]
        assert found.verdict == "holds"
        assert (found.n_pairs, found.n_patients) == (12, 6)


def test_what_does_not_move_is_not_shown(trends):
    assert find(trends, "tumour_change", "noise_level").verdict == "not shown"
    assert find(trends, "hyperintense_fraction", "scale").slope == (0.0, 0.0, 0.0)


def test_a_fall_is_reversed():
    trends = grid_trends(table(per_level=-0.01), n_resamples=200)
    assert find(trends, "alteration_outside", "noise_level").verdict == "reversed"
    assert find(trends, "alteration_outside", "noise_level", "scale=10000").verdict == "reversed"
    words = "\n".join(trend_words(trends))
    assert "more alteration outside: reversed" in words
    assert "not at scale=10000 (reversed)" in words


def test_effects_that_add_up_do_not_interact_but_do_more_together():
    rows = [{**r, "tumour_change": r["alteration_outside"] + r["tumour_change"]}
            for r in table(noise=0.0)]  # fmt: skip
    trends = grid_trends(rows, n_resamples=200)
    assert find(trends, "tumour_change", "interaction").slope[0] == pytest.approx(0, abs=1e-9)
    assert find(trends, "tumour_change", "together").verdict == "holds"


def test_an_outcome_that_no_pair_has_is_left_out(trends):
    assert not any(t.outcome == "requested_share" for t in trends)


def test_a_pair_that_lacks_a_cell_is_counted():
    rows = table()
    rows[3]["tumour_change"] = None
    found = find(grid_trends(rows, n_resamples=50), "tumour_change", "scale")
    assert (found.n_pairs, found.n_undefined) == (11, 1)


def test_one_patient_gives_no_interval():
    found = find(grid_trends(table(n_patients=1), n_resamples=50), "tumour_change", "scale")
    assert found.slope[1:] == (None, None)
    assert found.verdict == "no interval"


def test_one_scale_shows_no_trends():
    assert grid_trends([r for r in table() if r["scale"] == 1e4]) == []
    assert grid_trends([{**r, "scale": 0.0} for r in table()]) == []


def test_keys_say_at_how_many_levels_a_trend_holds(trends):
    keys = trend_keys(trends)
    assert keys["alteration_outside_per_100_levels"] == pytest.approx(0.01, rel=0.05)
    assert keys["alteration_outside_per_100_levels_levels_where_it_holds"] == len(SCALES)
    assert keys["tumour_change_per_tenfold_scale_rank"] == pytest.approx(1.0)


def test_pairs_of_several_targets_are_kept_apart():
    rows = [{**r, "target_fraction": f} for f in (0.1, 0.2) for r in table(n_patients=1)]
    assert cube(rows, "tumour_change").values.shape == (4, 4, 2)


def test_choice_is_the_smallest_error_that_keeps_the_anatomy():
    found = choose_cell(table(per_level=0.005, noise=0.0), n_resamples=50)
    assert found.chosen == (100, 1e5)  # altered by .025 + base / 50
    assert found.front == ((100, 1e5),)
    assert found.kept_anatomy == (found.ssim_outside[100, 1e5] >= 0.97)
    assert found.keys["no_change_size_error_median"] == 0.5


def test_choice_without_a_cell_that_keeps_the_anatomy_says_so():
    rows = [{**r, "ssim_outside": r["ssim_outside"] - 0.2} for r in table()]
    found = choose_cell(rows, n_resamples=50)
    assert not found.kept_anatomy
    assert "no cell of the front keeps SSIM outside at 0.97" in found.words
    assert 0 < found.share <= 1


def test_pairs_without_a_measured_size_leave_no_choice():
    assert choose_cell([{**r, "relative_error_abs": None} for r in table()]) is None
