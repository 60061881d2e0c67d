"""The volumes of the embedded viewer lie where the scan's voxels lie."""

from __future__ import annotations

import base64
import gzip

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.model_grid import reorient, reorient_back
from mechlearn.report.viewer import DrawnVolume, make_viewer

SHAPE = (10, 14, 12)  # canonical
TILT = 0.3


def affine_of(codes: str) -> np.ndarray:
    signs = [-1.0 if c in "LPI" else 1.0 for c in codes]
    affine = np.diag([signs[0] * 1.5, signs[1], signs[2] * 5, 1.0])
    affine[:3, 3] = (7, -3, 40)
    if codes == "LPS":  # oblique
        turn = np.array([[np.cos(TILT), -np.sin(TILT), 0], [np.sin(TILT), np.cos(TILT), 0],
                         [0, 0, 1]])  # fmt: skip
        affine[:3, :3] = turn @ affine[:3, :3]
    return affine


def volume_of(content: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(content)))


@pytest.fixture
def scene() -> dict[str, np.ndarray]:
    brain = np.zeros(SHAPE, bool)
    brain[3:8, 4:11, 4:10] = True
    rng = np.random.default_rng(0)
    present = np.zeros(SHAPE, bool)
    present[5, 6:9, 6:8] = True
    return {"scan": np.where(brain, rng.uniform(50, 150, SHAPE), 0), "brain": brain,
            "map": np.where(present, 1.0, 0.0), "present": present}  # fmt: skip


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAI"])
def test_cropped_voxels_keep_their_place_in_space(scene: dict, codes: str) -> None:
    affine = affine_of(codes)
    made = make_viewer({"t2f": scene["scan"]}, {"map": scene["map"]}, present=scene["present"],
                       brain=scene["brain"], affine=affine)  # fmt: skip
    small = volume_of(made.volumes["map0"])
    assert small.shape != reorient_back(scene["scan"], affine).shape
    found = np.argwhere(np.asarray(small.dataobj) == 255)
    true = np.argwhere(reorient_back(scene["present"], affine))
    placed = [nib.affines.apply_affine(a, k)
              for a, k in ((small.affine, found), (affine, true))]  # fmt: skip
    np.testing.assert_allclose(*placed, atol=1e-4)


def test_a_drawn_volume_holds_the_drawn_slices_alone(scene: dict) -> None:
    drawn = DrawnVolume("median", {"t2f": scene["scan"] * 1.1}, (5,))
    made = make_viewer({"t2f": scene["scan"]}, {"map": scene["map"]}, present=scene["present"],
                       brain=scene["brain"], affine=affine_of("RAS"), drawn=[drawn])  # fmt: skip
    image = volume_of(made.volumes["drawn0-t2f"])
    canonical = reorient(np.asarray(image.dataobj), image.affine)
    with_content = np.flatnonzero(canonical.any(axis=(1, 2)))
    assert (with_content + made.setup["first_z"]).tolist() == [5]


def test_the_viewer_starts_in_the_tumour(scene: dict) -> None:
    made = make_viewer({"t2f": scene["scan"]}, {"map": scene["map"]}, present=scene["present"],
                       brain=scene["brain"], affine=affine_of("RAS"))  # fmt: skip
    image = volume_of(made.volumes["outline"])  # RAS: fractions are those of the array's axes
    at = tuple(int(f * n) for f, n in zip(made.setup["centre"], image.shape, strict=True))
    assert np.asarray(image.dataobj)[at] == 255


@pytest.mark.parametrize(("affine", "count"), [(affine_of("RAS"), 32), (np.eye(4), 50)])
def test_outlines_do_not_fill_thick_slices(scene: dict, affine: np.ndarray, count: int) -> None:
    """A block of 2 x 5 x 5 voxels: rings in slices of 5 mm, a closed surface in slices of 1 mm."""
    present = np.zeros(SHAPE, bool)
    present[4:6, 5:10, 4:9] = True
    made = make_viewer({"t2f": scene["scan"]}, {"map": scene["map"]}, present=present,
                       brain=scene["brain"], affine=affine)  # fmt: skip
    edge = np.asarray(volume_of(made.volumes["outline"]).dataobj) == 255
    assert edge.sum() == count


def test_large_scans_are_thinned_in_the_plane(scene: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechlearn.report.viewer.MOST_VOXELS", 100)
    affine = affine_of("LAI")
    made = make_viewer({"t2f": scene["scan"]}, {"map": scene["map"]}, present=scene["present"],
                       brain=scene["brain"], affine=affine)  # fmt: skip
    image = volume_of(made.volumes["scan-t2f"])
    np.testing.assert_allclose(image.header.get_zooms(), (3.0, 2.0, 5.0), rtol=1e-5)
    assert "every second voxel" in made.note


def test_without_a_map_there_is_nothing_to_view(scene: dict) -> None:
    with pytest.raises(ValueError, match="one contrast and one growth map"):
        make_viewer({"t2f": scene["scan"]}, {}, present=scene["present"], brain=scene["brain"],
                    affine=affine_of("RAS"))  # fmt: skip
