from __future__ import annotations

import numpy as np
import pytest

from mechlearn.jobs.grid import load_examples, run_grid
from mechlearn.jobs.rows import plain, read_table


@pytest.fixture
def pairs(synthetic):
    return [
        (synthetic.make_slice(0, r, patient=f"P{i}"), synthetic.make_slice(60, r + 1.5,
                                                                           patient=f"P{i}"))
        for i, r in enumerate((4, 5, 6))
    ]


def test_sizes_are_measured_not_believed(synthetic, pairs):
    row = run_grid(synthetic.FakeSampler(obedience=0.0), pairs)
    assert row["size_error_guide_fraction"] == pytest.approx(0.0, abs=1e-6)
    assert row["size_error_fraction"] == pytest.approx(row["size_error_no_change_fraction"])
    assert row["ratio_achieved"] == pytest.approx(1.0)


def test_target_is_the_true_size_of_the_next_visit(sampler, pairs):
    row = run_grid(sampler, pairs)
    wanted = np.median([b.tumour_fraction / a.tumour_fraction for a, b in pairs])
    assert row["ratio_requested"] == pytest.approx(wanted)
    assert row["ratio_achieved"] == pytest.approx(wanted, rel=0.05)


def test_dilation_and_no_change_stand_beside_the_generation(sampler, pairs):
    row = run_grid(sampler, pairs)
    assert row["dice"] > row["dice_no_change"]
    assert row["dice_dilation"] > row["dice_no_change"]


def test_similarity_is_reported_by_region_and_contrast(sampler, pairs):
    row = run_grid(sampler, pairs)
    assert row["ssim_inside"] < row["ssim_outside"]
    assert {"ssim_inside_t2f", "ssim_outside_t1c"} <= set(row)


def test_pictures_and_pairs_are_kept(sampler, pairs, tmp_path):
    run_grid(sampler, pairs, out_dir=tmp_path, n_examples=2)
    examples = load_examples(tmp_path)
    assert [e.slice_id for e in examples] == [a.slice_id for a, _ in pairs[:2]]
    np.testing.assert_allclose(examples[0].reference, pairs[0][0].image, atol=1e-3)
    assert len(read_table(tmp_path / "pairs.csv")) == 3


def test_no_pictures_are_no_error(tmp_path):
    assert load_examples(tmp_path) == []


def test_row_names_the_cell(sampler, pairs):
    row = run_grid(sampler, pairs)
    assert (row["noise_level"], row["scale"], row["effective_scale"]) == (100, 50000.0, 1234.0)
    for key, value in row.items():
        plain(key, value)


def test_nothing_to_do_is_an_error(sampler, synthetic):
    empty = synthetic.make_slice(0, 0)
    with pytest.raises(ValueError, match="none of the 1 pairs"):
        run_grid(sampler, [(empty, empty)])
