from __future__ import annotations

import numpy as np
import pytest

from mechlearn.spatial.front import front_time_mm


def disc(size: int = 61, radius: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    r, c = np.indices((size, size)) - size // 2
    far = np.hypot(r, c)
    return far <= radius, far


def test_even_speed_gives_the_distance_in_every_direction() -> None:
    source, far = disc()
    time = front_time_mm(np.ones(source.shape), source, (1.0, 1.0))
    ring = (far > 15) & (far < 25)
    assert np.abs(time - (far - 8))[ring].max() < 0.7


def test_half_the_speed_takes_twice_the_time() -> None:
    source, _ = disc()
    fast = front_time_mm(np.ones(source.shape), source, (1.0, 1.0))
    slow = front_time_mm(np.full(source.shape, 0.5), source, (1.0, 1.0))
    ring = fast > 3
    np.testing.assert_allclose(slow[ring], 2 * fast[ring], rtol=0.15)


def test_fortran_order_gives_the_same_times() -> None:
    rng = np.random.default_rng(0)
    source = np.zeros((7, 9, 11), bool)
    source[3, 4, 5] = True
    speed = rng.uniform(0.2, 1, source.shape)
    expected = front_time_mm(speed, source, (1.0, 2.0, 1.0))
    found = front_time_mm(np.asfortranarray(speed), np.asfortranarray(source), (1.0, 2.0, 1.0))
    np.testing.assert_array_equal(found, expected)


def test_a_wall_is_walked_around_and_never_crossed() -> None:
    source = np.zeros((41, 41), bool)
    source[20, 5] = True
    speed = np.ones(source.shape)
    speed[:, 20] = 0
    closed = front_time_mm(speed, source, (1.0, 1.0))
    assert np.isinf(closed[:, 20:]).all()
    speed[0, 20] = 1
    opened = front_time_mm(speed, source, (1.0, 1.0))
    assert np.isfinite(opened[20, 30])
    assert opened[20, 30] > 35  # straight ahead it would be 25


def test_axis_speed_shortens_its_axis() -> None:
    source = np.zeros((31, 31), bool)
    source[15, 15] = True
    time = front_time_mm(np.ones(source.shape), source, (1.0, 1.0), axis_speed=(2.0, 1.0))
    assert time[25, 15] == pytest.approx(time[15, 20], abs=0.5)


def test_spacing_needs_one_number_an_axis() -> None:
    with pytest.raises(ValueError, match="each of the 2 axes"):
        front_time_mm(np.ones((3, 3)), np.eye(3, dtype=bool), (1.0,))
