from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.model_grid import reorient_back
from mechlearn.data.nifti import write_growth_map, write_labels, write_scans, write_slices
from mechlearn.data.preparation import PrepareSpec, prepare
from mechlearn.records import GrowthMap

AFFINES = {
    "LPS": np.diag([-1.0, -1.0, 1.0, 1.0]),
    "RAS": np.diag([1.0, 1.0, 1.0, 1.0]),
    "PSR": np.array([[0, 0, 1.0, 4], [-1.0, 0, 0, 2], [0, 1.0, 0, 9], [0, 0, 0, 1]]),
    "AIL": np.array([[0, 0, -1.0, 4], [1.0, 0, 0, 2], [0, -1.0, 0, 9], [0, 0, 0, 1]]),
}


@pytest.fixture(params=AFFINES)
def visit(request, tmp_path, visit_of, spec):
    record = visit_of(affine=AFFINES[request.param])
    return prepare([record], tmp_path / "store", spec=spec).visit("P1", "s0")


def load(path):
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def slices_of(visit, name):
    array = visit.array(name)
    return {z: np.asarray(array[i], np.float32) for i, z in enumerate(visit.zs)}


def inside(visit):
    """Source voxels of the slices in the store."""
    mask = np.zeros(visit.placement.shape, bool)
    mask[list(visit.zs)] = True
    return reorient_back(mask, visit.placement.affine)


def test_labels_return_to_the_source_voxels(visit, tmp_path):
    written, affine = load(write_labels(visit, slices_of(visit, "labels"), tmp_path / "l.nii.gz"))
    source, source_affine = load(visit.record.seg)
    assert written.dtype == np.uint8
    assert np.array_equal(affine, source_affine)
    assert np.array_equal(written[inside(visit)], source[inside(visit)])


def test_scans_return_to_the_source_intensities(visit, tmp_path):
    paths = write_scans(visit, slices_of(visit, "images"), tmp_path / "out", stem="generated")
    for contrast, low, high in zip(
        visit.contrasts, visit.intensity.low, visit.intensity.high, strict=True
    ):
        written, affine = load(paths[contrast])
        source, source_affine = load(visit.record.images[contrast])
        assert np.array_equal(affine, source_affine)
        brain = inside(visit) & (source != 0)
        np.testing.assert_allclose(
            written[brain], np.clip(source[brain], low, high), atol=(high - low) / 2000 + 1
        )
        assert np.all(written[inside(visit) & (source == 0)] == 0)


def test_whole_numbers_stay_whole(visit, tmp_path):
    paths = write_scans(visit, slices_of(visit, "images"), tmp_path, stem="generated")
    assert nib.load(paths["t1n"]).get_data_dtype() == np.int16


def test_other_slices_come_from_the_source(visit, tmp_path):
    z = visit.zs[2]
    image = {z: np.zeros((4, 48, 48), np.float32)}
    path = write_scans(visit, image, tmp_path, stem="one", fill="source")["t2f"]
    changed = load(path)[0] != load(visit.record.images["t2f"])[0]
    axis = int(np.argmax(np.abs(visit.placement.affine[2, :3])))
    planes = np.flatnonzero(changed.any(tuple(i for i in range(3) if i != axis)))
    assert len(planes) == 1


def test_growth_map_is_a_probability_on_the_source_grid(visit, tmp_path):
    z = visit.zs[1]
    probability = np.random.default_rng(0).random((48, 48)).astype(np.float32)
    growth = GrowthMap(probability, "dynamic", 10, (1.0, 1.0))
    written, affine = load(write_growth_map(visit, {z: growth}, tmp_path / "map.nii.gz"))
    assert np.array_equal(affine, visit.placement.affine)
    assert written.dtype == np.float32
    assert np.isin(written[written > 0], probability).all()
    assert np.count_nonzero(written) == 40 * 36


@pytest.fixture
def plain(tmp_path, visit_of, spec):
    return prepare([visit_of()], tmp_path / "store", spec=spec).visit("P1", "s0")


def test_background_fills_what_is_not_given(plain, tmp_path):
    path = write_slices(plain, {4: np.ones((48, 48))}, tmp_path / "v.nii", background=-1.0)
    values = load(path)[0]
    assert np.all(values[:, :, 4] == 1.0)
    assert np.all(np.delete(values, 4, axis=2) == -1.0)


def test_several_channels_become_a_4d_volume(plain, tmp_path):
    slices = {4: np.stack([np.full((48, 48), i, np.float32) for i in range(3)])}
    values = load(write_slices(plain, slices, tmp_path / "v.nii.gz"))[0]
    assert values.shape == (36, 40, 10, 3)
    assert values[0, 0, 4].tolist() == [0.0, 1.0, 2.0]


def test_resampled_labels_return_close_to_the_source(tmp_path, visit_of):
    spec = PrepareSpec(size=32, pixel_mm=1.3, min_brain_mm2=50.0)
    visit = prepare([visit_of()], tmp_path / "store", spec=spec).visit("P1", "s0")
    path = write_labels(visit, slices_of(visit, "labels"), tmp_path / "l.nii.gz")
    written, source = load(path)[0] > 0, load(visit.record.seg)[0] > 0
    written, source = written[inside(visit)], source[inside(visit)]
    assert 2 * (written & source).sum() / (written.sum() + source.sum()) > 0.9


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ({}, "no slice to write"),
        ({99: np.zeros((48, 48))}, "z=99: P1/s0 has slices 0 to 9"),
        ({4: np.zeros((47, 48))}, r"shape \(47, 48\)"),
        ({4: np.zeros((48, 48)), 5: np.zeros((2, 48, 48))}, r"z=5: shape \(2, 48, 48\)"),
    ],
)
def test_slices_that_do_not_fit_are_refused(plain, tmp_path, slices, message):
    with pytest.raises(ValueError, match=message):
        write_slices(plain, slices, tmp_path / "v.nii.gz")


def test_channels_that_do_not_fit_are_refused(plain, tmp_path):
    with pytest.raises(ValueError, match="expected 4 channels"):
        write_scans(plain, {4: np.zeros((3, 48, 48))}, tmp_path, stem="x")


def test_other_file_endings_are_refused(plain, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.nii\.gz or \.nii"):
        write_slices(plain, {4: np.zeros((48, 48))}, tmp_path / "v.png")


def test_missing_source_is_named_when_its_slices_are_wanted(plain, tmp_path):
    plain.record.images["t1n"].unlink()
    with pytest.raises(FileNotFoundError, match=r"t1n\.nii\.gz: the source scan is gone"):
        write_scans(plain, {4: np.zeros((4, 48, 48))}, tmp_path, stem="x", fill="source")


def test_contrast_that_the_visit_lacks_is_not_written(tmp_path, visit_of, spec):
    record = visit_of()
    lacking = replace(record, images={c: record.images[c] for c in ("t1n", "t2f")})
    store = prepare([lacking], tmp_path / "store", spec=replace(spec, missing="fill"))
    visit = store.visit("P1", "s0")
    paths = write_scans(visit, slices_of(visit, "images"), tmp_path / "out", stem="generated")
    assert sorted(paths) == ["t1n", "t2f"]
    written, source = load(paths["t2f"])[0], load(record.images["t2f"])[0]
    low, high = visit.intensity.low[1], visit.intensity.high[1]
    brain = inside(visit) & (source != 0)
    assert np.abs(written[brain] - np.clip(source[brain], low, high)).max() <= 2
