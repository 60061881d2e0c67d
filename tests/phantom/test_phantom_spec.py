"""Names, splits and drawn parameters of phantom patients."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.phantom.phantom_spec import Course, PhantomSpec, TumourParameters


def test_a_larger_training_split_renames_no_test_patient() -> None:
    few, many = PhantomSpec(n_train=4), PhantomSpec(n_train=40)
    assert few.patients("test") == many.patients("test")


def test_dmg_share_holds_in_every_split() -> None:
    spec = PhantomSpec(n_train=120, n_val=8, n_test=16, dmg_share=0.25)
    for split, n in (("train", 30), ("val", 2), ("test", 4)):
        assert sum(key.kind == "DMG" for key in spec.patients(split)) == n


def test_names_are_unique() -> None:
    spec = PhantomSpec()
    names = [key.name for key in spec.patients() + spec.patients("series")]
    assert len(set(names)) == len(names)


def test_series_patients_are_apart_from_the_cohort() -> None:
    spec = PhantomSpec(n_series=4)
    assert [key.name[4:] for key in spec.patients("series")] == [
        "GLI-70001", "GLI-70002", "GLI-70003", "DMG-70004",
    ]  # fmt: skip
    assert {key.split for key in spec.patients()} == {"train", "val", "test"}


def test_unknown_split_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="phantom.split='dev'"):
        PhantomSpec().patients("dev")


@pytest.mark.parametrize(
    ("key", "value"), [("voxel_mm", 0.2), ("dmg_share", 1.5), ("test_visits", (5, 4))]
)
def test_refuses_a_value_out_of_range_by_name(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"phantom.{key}|phantom.test_visits"):
        PhantomSpec(**{key: value})


def test_intervals_lie_between_30_and_140_days() -> None:
    course = Course.draw("GLI", 7, np.random.default_rng(3))
    gaps = np.diff(course.days)
    assert len(gaps) == 6
    assert gaps.min() >= 30
    assert gaps.max() <= 140


def test_a_long_course_has_radiotherapy_of_42_days() -> None:
    course = Course.draw("DMG", 5, np.random.default_rng(3))
    assert course.rt_start_day is not None
    assert course.rt_end_day == course.rt_start_day + 42


def test_parameters_are_drawn_from_the_stream_alone() -> None:
    draws = [TumourParameters.draw("GLI", np.random.default_rng(5)) for _ in range(2)]
    assert draws[0] == draws[1]
