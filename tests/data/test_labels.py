from __future__ import annotations

import numpy as np
import pytest

from mechlearn.data.labels import SCHEMES, to_canonical, whole_tumour


@pytest.mark.parametrize(
    ("scheme", "source", "canonical"),
    [
        ("brats2021", [0, 1, 2, 4], [0, 1, 2, 3]),
        ("brats2023", [0, 1, 2, 3], [0, 1, 2, 3]),
        ("brats2024", [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ("peds2024", [0, 1, 2, 3, 4], [0, 3, 1, 1, 2]),
    ],
)
def test_scheme_maps_to_canonical(scheme, source, canonical):
    mapped = to_canonical(np.array(source), scheme)
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == canonical


def test_label_outside_scheme_is_refused_with_fitting_schemes():
    with pytest.raises(ValueError, match=r"labels \[4\].*brats2023.*brats2021, brats2024"):
        to_canonical(np.array([0, 1, 2, 4]), "brats2023")


def test_negative_label_is_refused():
    with pytest.raises(ValueError, match=r"labels \[-1\]"):
        to_canonical(np.array([0, -1], np.int16), "brats2021")


def test_unknown_scheme_names_the_choices():
    with pytest.raises(ValueError, match=r"label_scheme='brats2020'.*brats2021"):
        to_canonical(np.zeros(3), "brats2020")


def test_interpolated_labels_are_refused():
    with pytest.raises(ValueError, match="no integers"):
        to_canonical(np.array([0.0, 1.4]), "brats2021")


def test_labels_with_rounding_noise_are_read():
    assert to_canonical(np.array([0.0, 2.0000001, 3.9999]), "brats2021").tolist() == [0, 2, 3]


def test_whole_tumour_leaves_out_the_cavity():
    assert whole_tumour(np.arange(5)).tolist() == [False, True, True, True, False]


def test_every_scheme_maps_into_the_canonical_labels():
    assert all(set(m.values()) <= {1, 2, 3, 4} for m in SCHEMES.values())
