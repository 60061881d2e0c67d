from __future__ import annotations

import numpy as np
import pytest

from mechlearn.records import ArrivalMap
from mechlearn.spatial.regions import dilate_to_area
from mechlearn.spatial.volume_baselines import (
    dilation_map,
    fisher_kpp_map,
    heat_map,
    uniform_margin,
)

SPACING = (2.0, 1.0, 1.0)


def case() -> tuple[np.ndarray, np.ndarray]:
    z, r, c = np.indices((21, 41, 41))
    far = np.sqrt((2 * (z - 10)) ** 2 + (r - 20) ** 2 + (c - 20) ** 2)
    return far <= 5, far <= 19


def maps(size: float) -> dict[str, ArrivalMap]:
    present, brain = case()
    return {
        "dilation": dilation_map(present, brain, SPACING),
        "heat": heat_map(present, brain, SPACING, size=size),
        "fisher_kpp": fisher_kpp_map(present, brain.astype(float), SPACING, size=size),
    }


@pytest.mark.parametrize("name", ["dilation", "heat", "fisher_kpp"])
def test_a_ball_grows_to_a_ball_of_the_size(name: str) -> None:
    size = 4 / 3 * np.pi * 10**3
    mask = maps(size)[name].mask(size)
    assert mask.sum() * 2 == pytest.approx(size, abs=2)
    z, r, c = np.indices(mask.shape)
    far = np.sqrt((2 * (z - 10)) ** 2 + (r - 20) ** 2 + (c - 20) ** 2)
    assert far[mask].max() < 12.5
    assert far[~mask].min() > 8


def test_dilation_in_a_plane_is_that_of_regions() -> None:
    present, brain = case()
    arrival = dilation_map(present[10], brain[10], (1.0, 1.0))
    found = arrival.mask(300.0)
    expected = dilate_to_area(present[10], brain[10], 300)
    assert (found ^ expected).sum() <= 8  # another rule decides between equal distances


def test_fisher_kpp_follows_the_faster_tissue() -> None:
    present, brain = case()
    side = np.indices(brain.shape)[2] > 20
    speed = np.where(brain, np.where(side, 1.0, 0.3), 0.0)
    arrival = fisher_kpp_map(present, speed, SPACING, size=4000.0)
    new = arrival.mask(4000.0) & ~present
    assert (new & side).sum() > 1.3 * (new & ~side).sum()


def test_margin_is_a_distance() -> None:
    present, brain = case()
    grown = uniform_margin(present, brain, SPACING, 6.0)
    assert grown[10, 20, 30]  # 5 mm from the edge
    assert not grown[10, 20, 33]
    assert not (grown & ~brain).any()
