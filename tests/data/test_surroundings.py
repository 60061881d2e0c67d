"""Surroundings of a slice: the visit's tumour in space."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mechlearn.data.selection import pairs


@pytest.fixture
def visit(store):
    return store.visits(store.patients()[0])[-1]


def test_distance_is_that_of_the_whole_tumour(store, visit):
    labels = visit.array("labels")
    spacing = (visit.placement.spacing_mm[0], *[visit.placement.grid.pixel_mm] * 2)
    tumour = labels > 0
    expected = ndimage.distance_transform_edt(
        ~tumour, sampling=spacing
    ) - ndimage.distance_transform_edt(tumour, sampling=spacing)
    for row in store.slices(patient=visit.patient, session=visit.session)[::3]:
        near = store.read(row, surroundings=True).surroundings
        assert near.distance_mm == pytest.approx(np.minimum(expected[row.row], 30), abs=1e-4)


def test_travel_is_zero_in_the_tumour_alone(store, visit):
    for row in store.slices(patient=visit.patient, session=visit.session):
        scan = store.read(row, surroundings=True)
        assert np.array_equal(scan.surroundings.travel_mm == 0, scan.tumour & scan.brain)


def test_a_slice_knows_its_surroundings_only_if_asked(store, visit):
    row = store.slices(patient=visit.patient, session=visit.session)[0]
    assert store.read(row).surroundings is None


def test_references_of_pairs_and_the_last_two_visits_know_them(store):
    before, after = pairs(store, None)[0]
    assert before.surroundings is not None
    assert after.surroundings is None
    series = store.longitudinal(before.patient)[0]
    known = [scan.surroundings is not None for scan in series.slices]
    assert known == [False] * (len(known) - 2) + [True] * min(2, len(known))
