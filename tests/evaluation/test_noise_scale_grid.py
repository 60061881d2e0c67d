from __future__ import annotations

import numpy as np
import pytest

from mechlearn.evaluation.noise_scale_grid import (
    EVALUATION,
    load_examples,
    multiples_of,
    next_visits,
    with_pictures,
)
from mechlearn.evaluation.rows import plain, read_table
from mechlearn.evaluation.runner import run


@pytest.fixture
def run_grid(job):
    def made(cases, n_examples=4, **given):
        return run(EVALUATION, job(**given), with_pictures(cases, n_examples))
    return made


@pytest.fixture
def pairs(synthetic):
    return next_visits([
        (synthetic.make_slice(0, r, patient=f"P{i}"), synthetic.make_slice(60, r + 1.5,
                                                                           patient=f"P{i}"))
        for i, r in enumerate((4, 5, 6))
    ])


def test_sizes_are_measured_not_believed(run_grid, synthetic, pairs):
    row = run_grid(pairs, drawer=synthetic.FakeSampler(obedience=0.0))
    assert row["size_error_guide_fraction"] == pytest.approx(0.0, abs=1e-6)
    assert row["size_error_fraction"] == pytest.approx(row["size_error_no_change_fraction"])
    assert row["ratio_achieved"] == pytest.approx(1.0)


def test_target_is_the_true_size_of_the_next_visit(run_grid, pairs):
    row = run_grid(pairs)
    wanted = np.median([c.follow_up.tumour_fraction / c.reference.tumour_fraction for c in pairs])
    assert row["ratio_requested"] == pytest.approx(wanted)
    assert row["ratio_achieved"] == pytest.approx(wanted, rel=0.05)


def test_dilation_and_no_change_stand_beside_the_generation(run_grid, pairs):
    row = run_grid(pairs)
    assert row["dice_generation"] > row["dice_no_change"]
    assert row["dice_dilation"] > row["dice_no_change"]
    assert row["hd95_generation_mm"] < row["hd95_no_change_mm"]
    assert row["hd95_dilation_mm"] < row["hd95_no_change_mm"]


def test_distance_to_no_mask_is_the_worst_and_counted(run_grid, synthetic, pairs):
    empty = synthetic.make_slice(60, 0)
    gone = next_visits([(pairs[0].reference, empty)])
    row = run_grid(gone, drawer=synthetic.FakeSampler(obedience=0.0))
    assert (row["hd95_generation_mm"], row["n_undefined_hd95_generation_mm"]) == (None, 1)


def test_similarity_is_reported_by_region_and_contrast(run_grid, pairs):
    row = run_grid(pairs)
    assert row["ssim_inside"] < row["ssim_outside"]
    assert {"ssim_inside_t2f", "ssim_outside_t1c"} <= set(row)


def test_pictures_and_pairs_are_kept(run_grid, pairs, tmp_path):
    run_grid(pairs, n_examples=2)
    examples = load_examples(tmp_path)
    assert [e.slice_id for e in examples] == [c.reference.slice_id for c in pairs[:2]]
    np.testing.assert_allclose(examples[0].reference, pairs[0].reference.image, atol=1e-3)
    assert len(read_table(tmp_path / "pairs.csv")) == 3


def test_no_pictures_are_no_error(tmp_path):
    assert load_examples(tmp_path) == []


def test_row_names_the_cell(run_grid, pairs):
    row = run_grid(pairs)
    assert (row["noise_level"], row["scale"], row["effective_scale"]) == (100, 50000.0, 1234.0)
    for key, value in row.items():
        plain(key, value)


def test_nothing_to_do_is_an_error(run_grid, synthetic):
    empty = synthetic.make_slice(0, 0)
    with pytest.raises(ValueError, match="none of 1 cases"):
        run_grid(next_visits([(empty, empty)]))


def test_sizes_without_a_follow_up_are_multiples_of_the_initial_one(run_grid, synthetic, tmp_path):
    item = synthetic.make_slice(0, 6)
    row = run_grid(multiples_of([item], (0.75, 1.5, 1e3)))
    asked = [r["ratio_requested"] for r in read_table(tmp_path / "pairs.csv")]
    assert asked == pytest.approx([0.75, 1.5])
    assert not any(key.startswith(("dice", "hd95")) for key in row)
    assert [e.has_follow_up for e in load_examples(tmp_path)] == [False, False]


def test_share_of_a_request_that_is_hardly_one_is_not_told(run_grid, synthetic):
    item = synthetic.make_slice(0, 6)
    row = run_grid(multiples_of([item], (1.05,)))
    assert row["requested_share"] is None
    assert run_grid(multiples_of([item], (1.5,)))["requested_share"] == pytest.approx(
        1.0, abs=0.15)


def test_change_is_separate_inside_and_outside(run_grid, pairs, synthetic):
    class Drifting(synthetic.FakeSampler):
        """Brightens one pixel far from the tumour by 2 in every contrast, does nothing else."""

        def sample(self, x0, targets, **given):
            (made,) = super().sample(x0, targets, **given)
            made.image[:] = x0
            made.image[:, 38, 20] += 2.0
            return [made]

    case = pairs[0]
    row = run_grid([case], drawer=Drifting())
    outside = synthetic.BRAIN.sum() - 2 * case.reference.tumour.sum()
    assert row["drift_outside"] == pytest.approx(2.0 / outside, rel=0.05)
    assert row["change_inside_share"] == 0.0
    assert row["hyperintense_fraction"] == pytest.approx(1 / synthetic.BRAIN.sum())
    assert row["changed_outside_brain_fraction"] == 0.0
