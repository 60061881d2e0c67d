from __future__ import annotations

import numpy as np
import pytest

from mechlearn.data.draws import DrawBatches, Draws

TUMOUR = [i % 4 == 0 for i in range(40)]


def make(**options):
    return Draws(TUMOUR, seed=3, contrasts=4, **options)


def batches(ranks=1, rank=0, size=4, count=6, first=0):
    found = DrawBatches(make(flip=True), batch_size=size, batches=count, rank=rank, ranks=ranks)
    found.first_draw = first
    return list(found)


def test_a_pass_shows_every_slice_once():
    draws = make()
    for number in (0, 1):
        indices = [draws[d].index for d in range(40 * number, 40 * (number + 1))]
        assert sorted(indices) == list(range(40))


def test_passes_have_orders_of_their_own():
    draws = make()
    assert [draws[d].index for d in range(40)] != [draws[d].index for d in range(40, 80)]


def test_a_draw_is_a_function_of_seed_and_number():
    options = {"flip": True, "drop_contrasts": 0.3, "tumour_share": 0.5}
    forwards = [make(**options)[d] for d in range(100)]
    draws = make(**options)
    assert [draws[d] for d in reversed(range(100))] == forwards[::-1]


def test_another_seed_draws_otherwise():
    other = Draws(TUMOUR, seed=4, contrasts=4)
    assert [make()[d].index for d in range(40)] != [other[d].index for d in range(40)]


def test_two_ranks_share_the_batches_of_one_process():
    whole = batches(size=8)
    halves = zip(batches(2, 0), batches(2, 1), strict=True)
    assert [first + second for first, second in halves] == whole


def test_a_moved_start_gives_the_rest():
    assert batches(first=8) == batches()[2:]


def test_a_second_epoch_goes_on_with_the_next_draws():
    second = batches(first=24)
    assert [draw.number for batch in second for draw in batch] == list(range(24, 48))


def test_half_of_the_slices_are_mirrored():
    draws = make(flip=True)
    assert np.mean([draws[d].flip for d in range(4000)]) == pytest.approx(0.5, abs=0.03)


def test_contrasts_are_left_out_as_often_as_asked_and_one_stays():
    draws = make(drop_contrasts=0.4)
    kept = np.array([draws[d].kept for d in range(4000)])
    assert kept.any(1).all()
    # a slice that would have lost all (0.4^4) gets one back
    assert (~kept).mean() == pytest.approx(0.4 - 0.4**4 / 4, abs=0.02)


def test_balanced_draws_have_the_share_asked():
    draws = make(tumour_share=0.6)
    share = np.mean([TUMOUR[draws[d].index] for d in range(4000)])
    assert share == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match=r"data\.loader\.tumour_share"):
        make(tumour_share=share)


def test_balance_needs_both_kinds():
    with pytest.raises(ValueError, match="needs both kinds"):
        Draws([True] * 5, seed=0, contrasts=1, tumour_share=0.5)


def test_impossible_share_of_contrasts_is_refused():
    with pytest.raises(ValueError, match=r"data\.loader\.drop_contrasts"):
        make(drop_contrasts=1.0)
