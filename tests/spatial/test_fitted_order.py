"""The order fitted in space: its columns, its blocks, its file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mechlearn.records import PlaceSpread
from mechlearn.spatial.fitted_order import FittedOrder, columns, fields, near_box, phantom_order
from mechlearn.spatial.volume_arrival import volume_arrival

SIDE = (2.0, 2.0, 2.0)
INDEX = np.indices((44, 44, 44))


def ball(centre, radius):
    away = INDEX - np.array(centre).reshape(3, 1, 1, 1)
    return (away**2).sum(0) <= radius**2


BRAIN, TUMOUR = ball((22, 22, 22), 20), ball((22, 22, 18), 5)


def images(*, scale=1.0):
    rng = np.random.default_rng(0)
    noise = {n: np.where(BRAIN, rng.normal(0, 0.1, BRAIN.shape), -1) for n in ("t1n", "t2w", "t2f")}
    noise["t1n"] = noise["t1n"] + 0.6 * (INDEX[2] > 22)  # white matter on one side
    return {n: scale * v for n, v in noise.items()}


def order(outside=None, inside=None):
    return FittedOrder(outside or {"front>0": 1.0}, inside or {"depth>0": -1.0},
                       PlaceSpread(0.0, 0.3, 0.3), {})  # fmt: skip


def test_the_packaged_order_has_a_weight_for_every_column():
    found = fields(images(), BRAIN, TUMOUR, SIDE)
    for inside, weights in ((False, phantom_order().outside), (True, phantom_order().inside)):
        assert {name for name, _ in columns(found, inside=inside)} == set(weights)


def test_the_tumour_comes_first_by_depth_then_the_front():
    arrival = volume_arrival(TUMOUR * 2, BRAIN, images(), spacing_mm=SIDE, order="phantom")
    assert np.array_equal(arrival.mask(arrival.present_size), TUMOUR)
    score = order().score(images(), BRAIN, TUMOUR, SIDE)
    assert score[22, 22, 26] < score[22, 22, 34]
    assert score[22, 22, 18] < score[22, 22, 14]


def test_units_of_the_contrasts_do_not_matter():
    one, other = (phantom_order().score(images(scale=s), BRAIN, TUMOUR, SIDE) for s in (1, 700))
    assert one == pytest.approx(other, abs=1e-2)


def test_what_lies_far_away_joins_last():
    small = ball((22, 22, 5), 2)
    box = near_box(small, SIDE)
    outside = np.ones(BRAIN.shape, bool)
    outside[box] = False
    score = order().score(images(), BRAIN, small, SIDE)
    assert score[outside].min() > score[box].max()


def test_a_missing_contrast_is_named():
    some = {n: v for n, v in images().items() if n != "t2f"}
    with pytest.raises(ValueError, match="t2f missing"):
        volume_arrival(TUMOUR * 2, BRAIN, some, spacing_mm=SIDE, order="phantom")


def test_an_order_is_written_with_its_spread(tmp_path):
    order().save(tmp_path / "order.json")
    card = json.loads((tmp_path / "order.json").read_text())
    assert card["spread"] == {"shift": 0.0, "inner": 0.3, "outer": 0.3}
    assert card["outside"] == {"front>0": 1.0}
