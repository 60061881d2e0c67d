"""The data room on real BraTS 2021 cases; skipped where they are not at hand."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.adapters.brats import find_brats
from mechlearn.data.preparation import PrepareSpec, SplitSpec, prepare, prepare_visit


@pytest.fixture(scope="module")
def records(real_brats):
    return {r.patient[-5:]: r for r in find_brats(real_brats)}


@pytest.fixture(scope="module")
def high_range(records):
    """01482: stored on a 0..32767 scale."""
    return prepare_visit(records["01482"], PrepareSpec())


def test_paper_grid_keeps_real_labels_bit_for_bit(records, high_range):
    source = np.asarray(nib.load(records["01482"].seg).dataobj).T[list(high_range.zs)]
    canonical = np.where(source == 4, 3, source)
    assert high_range.placement.is_pure
    assert np.array_equal(high_range.labels[:, 8:248, 8:248], canonical)


def test_large_intensity_scale_fills_the_range(high_range):
    inside = high_range.images.swapaxes(0, 1)[:, high_range.brain].astype(np.float32)
    medians = np.median(inside, axis=1)
    assert np.all(np.abs(medians) < 0.6)
    assert np.all((inside == 1).mean(1) < 0.005)


def test_bright_oedema_is_not_saturated(high_range):
    flair = high_range.images[:, 3][(high_range.labels > 0)]
    assert (flair == 1).mean() < 0.03


@pytest.mark.slow
def test_all_cases_fit_the_demo_grid(records, tmp_path):
    store = prepare(
        records.values(), tmp_path / "store", spec=PrepareSpec(size=128, pixel_mm=1.5),
        workers=2, splits=SplitSpec(val=1, test=1),
    )  # fmt: skip
    assert len(store.patients()) == 6
    for patient in store.patients():
        (visit,) = store.visits(patient)
        source = np.asarray(nib.load(visit.record.seg).dataobj).T[list(visit.zs)]
        stored_mm2 = sum(visit.tumour_px) * visit.pixel_mm2
        assert stored_mm2 == pytest.approx(float((source > 0).sum()), rel=0.02)
