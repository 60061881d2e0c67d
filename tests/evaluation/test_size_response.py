from __future__ import annotations

import pytest

from mechlearn.evaluation.rows import plain, read_table
from mechlearn.evaluation.runner import run
from mechlearn.evaluation.size_response import EVALUATION

MULTIPLES = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]


@pytest.fixture
def run_sizes(job):
    def made(slices, multiples=MULTIPLES, **given):
        return run(EVALUATION, job(multiples=list(multiples), **given), slices)
    return made


@pytest.fixture
def slices(synthetic):
    return [synthetic.make_slice(0, r, patient=f"P{i}") for i, r in enumerate((4, 5, 6))]


def test_an_obedient_sampler_reaches_the_sizes_asked_for(run_sizes, slices):
    row = run_sizes(slices)
    assert row["spearman"] > 0.97
    assert row["achieved_ratio_at_1.5x"] == pytest.approx(1.5, abs=0.1)


def test_a_lying_guide_does_not_help(run_sizes, synthetic, slices):
    """The guide reports the target, the picture never changes: no size response."""
    row = run_sizes(slices, drawer=synthetic.FakeSampler(obedience=0.0))
    assert row["guide_ratio_at_1.5x"] == pytest.approx(1.5)
    assert row["achieved_ratio_at_1.5x"] == pytest.approx(1.0)
    assert row["spearman"] is None
    assert "equal" in row["spearman_reason"]


def test_unguided_control_is_one_for_a_lossless_encoding(run_sizes, slices):
    assert run_sizes(slices)["unguided_ratio_median"] == pytest.approx(1.0)


def test_a_local_change_is_seen_inside_and_spares_the_outside(run_sizes, slices):
    row = run_sizes(slices, multiples=(1.5,))
    assert row["ssim_inside"] < 0.8 < row["ssim_outside"]


def test_one_line_a_generation_is_kept(run_sizes, slices, tmp_path):
    row = run_sizes(slices)
    table = read_table(tmp_path / "sizes.csv")
    assert len(table) == row["n_generations"] == len(slices) * len(MULTIPLES)


def test_slices_without_a_tumour_are_counted(run_sizes, slices, synthetic):
    row = run_sizes([*slices, synthetic.make_slice(0, 0)])
    assert (row["n_slices"], row["n_skipped"]) == (3, 1)


def test_nothing_to_do_is_an_error(run_sizes, synthetic):
    with pytest.raises(ValueError, match="none of 1 cases could be scored"):
        run_sizes([synthetic.make_slice(0, 0)])


def test_every_value_of_the_row_is_plain(run_sizes, slices):
    for key, value in run_sizes(slices).items():
        plain(key, value)
