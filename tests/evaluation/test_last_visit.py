"""A forecast from masks without images: template tissue, a brain mask, or sizes alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

import mechlearn as ml

MNI = np.array([[-4.0, 0, 0, 90], [0, -4, 0, 90], [0, 0, 4, -70], [0, 0, 0, 1]])
ELSEWHERE = np.array([[4.0, 0, 0, 500], [0, 4, 0, 500], [0, 0, 4, 500], [0, 0, 0, 1]])
SHAPE = (46, 55, 40)


def ball(radius_mm: float, at: tuple[int, int, int] = (14, 24, 24)) -> np.ndarray:
    i, j, k = np.indices(SHAPE)
    return (4.0 * np.sqrt((i - at[0]) ** 2 + (j - at[1]) ** 2 + (k - at[2]) ** 2)) <= radius_mm


def write_masks(folder: Path, affine: np.ndarray, brain: np.ndarray | None = None) -> Path:
    """Two visits with a segmentation each, and perhaps a brain mask."""
    head = "patient,session,day,seg,label_scheme"
    lines = [head + ("" if brain is None else ",brain_mask")]
    if brain is not None:
        nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), folder / "brain.nii.gz")
    for day, radius in ((0, 10.0), (60, 14.0)):
        labels = np.where(ball(radius / 2), 3, np.where(ball(radius), 2, 0)).astype(np.uint8)
        nib.save(nib.Nifti1Image(labels, affine), folder / f"d{day}_seg.nii.gz")
        lines.append(f"P01,d{day},{day},d{day}_seg.nii.gz,brats2023"
                     + ("" if brain is None else ",brain.nii.gz"))  # fmt: skip
    path = folder / "visits.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_masks_in_an_atlas_space_grow_on_template_tissue(tmp_path: Path) -> None:
    result = ml.forecast(write_masks(tmp_path, MNI), 120)
    assert any("MNI152 template" in text for text in result.warnings)
    brain = result.details.scan.brain
    probability = result.growth_map.probability
    assert probability.max() > 0.9
    assert not probability[~(brain | result.details.arrival.present)].any()
    assert "Growth probability over the last scan" in result.report(tmp_path / "a.html").read_text()


def test_the_labels_have_the_volume_of_a_quantile_and_keep_the_share_of_enhancing(
    tmp_path: Path
) -> None:
    result = ml.forecast(write_masks(tmp_path, MNI), 120)
    labels = result.details.labels(0.9)
    voxel = result.details.arrival.voxel_size
    wanted = np.quantile(result.size.samples, 0.9)
    assert (labels > 0).sum() * voxel == pytest.approx(wanted, abs=voxel)
    before = result.details.scan.labels
    share = [(a == 3).sum() / (a > 0).sum() for a in (before, labels)]
    assert share[1] == pytest.approx(share[0], rel=0.2)
    written = {path.name for path in result.to_nifti(tmp_path / "out")}
    assert "forecast_labels.nii.gz" in written


def test_masks_in_an_unknown_space_give_sizes_and_say_why(tmp_path: Path) -> None:
    result = ml.forecast(write_masks(tmp_path, ELSEWHERE), 120)
    assert result.details.growth_map is None
    assert result.size.median > 0
    [text] = [text for text in result.warnings if "no growth map" in text]
    assert "give a brain mask or images" in text


@pytest.mark.parametrize("affine", [ELSEWHERE, MNI])
def test_a_brain_mask_bounds_the_map_where_no_template_fits(
    tmp_path: Path, affine: np.ndarray
) -> None:
    brain = ball(24.0)  # not the template's, wherever it lies
    result = ml.forecast(write_masks(tmp_path, affine, brain), 120)
    assert any("with one speed in the whole brain mask" in text for text in result.warnings)
    path = result.growth_map.to_nifti(tmp_path / "map.nii.gz")
    probability = np.asarray(nib.load(path).dataobj)
    assert probability.max() > 0.9
    assert not probability[~brain].any()


def test_prepare_still_asks_for_images(tmp_path: Path) -> None:
    from mechlearn.data.manifest import read_manifest

    with pytest.raises(ValueError, match="no columns.*one of t1n|one of t1n"):
        read_manifest(write_masks(tmp_path, MNI))


def test_a_tumour_that_shrinks_leaves_from_its_edge(tmp_path: Path) -> None:
    details = ml.forecast(write_masks(tmp_path, MNI), 120).details
    small = replace(details, size=replace(details.size, samples=details.size.samples * 0 + 2000.0))
    labels, before = small.labels(), details.scan.labels  # type: ignore[union-attr]
    assert 0 < (labels > 0).sum() < (before > 0).sum()
    assert np.array_equal(labels[labels > 0], before[labels > 0])
    depth = ndimage.distance_transform_edt(before > 0)
    assert depth[labels > 0].mean() > depth[(before > 0) & (labels == 0)].mean()
