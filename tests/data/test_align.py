"""Visits that were moved by a known rigid transform come back."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mechlearn.data.align import align_table, rigid_transform
from mechlearn.data.tables import read_rows

pytest.importorskip("picsl_greedy")
AFFINE = np.array([[-3.0, 0, 0, 66], [0, 3, 0, -60], [0, 0, 3, -50], [0, 0, 0, 1]])
SHAPE = (46, 42, 36)
WITHIN_MM = 1.0


def head(seed: int, affine: np.ndarray = AFFINE) -> nib.Nifti1Image:
    """A lop-sided ellipsoid with a bright ball; `seed` draws its contrast."""
    voxels = np.indices(SHAPE).reshape(3, -1)
    x, y, z = (AFFINE[:3, :3] @ voxels + AFFINE[:3, 3:]).reshape(3, *SHAPE)
    grey = np.array([0.0, 300, 500, 900]) if seed == 0 else np.array([0.0, 800, 450, 250])
    inside = (x / 55) ** 2 + (y / 48) ** 2 + (z / 42) ** 2 < 1
    core = ((x - 10) / 30) ** 2 + ((y + 8) / 22) ** 2 + ((z - 5) / 18) ** 2 < 1
    ball = (x + 25) ** 2 + (y - 15) ** 2 + (z - 10) ** 2 < 12**2
    texture = 40 * np.sin(x / 9) * np.cos(y / 7) * np.sin(z / 8)
    values = grey[inside.astype(int) + (core & inside) + 0] + np.where(inside, texture, 0)
    return nib.Nifti1Image(np.where(ball, grey[3], values).astype(np.float32), affine)


def moved_by(shift: tuple[float, ...], degrees: tuple[float, ...]) -> np.ndarray:
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    move[:3, 3] = shift
    return move


def farthest_mm(found: np.ndarray, true: np.ndarray) -> float:
    """Largest distance between two transforms over the brain."""
    points = np.array([[x, y, z, 1] for x in (-50, 50) for y in (-45, 45) for z in (-40, 40)])
    return float(np.linalg.norm((points @ (found - true).T)[:, :3], axis=1).max())


def test_a_known_move_is_found() -> None:
    move = moved_by((7, -4, 9), (5, -6, 8))
    found = rigid_transform(head(0), head(1, move @ AFFINE))
    assert farthest_mm(found, move) < WITHIN_MM


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two visits: FLAIR of the first one and all of the second one are moved."""
    first, second = moved_by((6, 0, -5), (0, 6, 3)), moved_by((-8, 5, 4), (4, 0, -7))
    ball = (head(0).get_fdata() > 800).astype(np.uint8) * 2
    files = {
        "v1_t1c": head(0), "v1_t2f": head(1, first @ AFFINE), "v2_t1c": head(0, second @ AFFINE),
        "v1_seg": nib.Nifti1Image(ball, first @ AFFINE),
        "v2_seg": nib.Nifti1Image(ball, second @ AFFINE),
    }  # fmt: skip
    for name, image in files.items():
        nib.save(image, tmp_path / f"{name}.nii.gz")
    path = tmp_path / "visits.csv"
    path.write_text(
        "patient,session,day,t1c,t2f,seg,label_scheme\n"
        "P,v2,60,v2_t1c.nii.gz,,v2_seg.nii.gz,brats2023\n"
        "P,v1,0,v1_t1c.nii.gz,v1_t2f.nii.gz,v1_seg.nii.gz,brats2023\n"
    )
    return path


def test_contrasts_visits_and_masks_meet_on_the_first_grid(table: Path, tmp_path: Path) -> None:
    made, moves = align_table(table, tmp_path / "out")
    rows = {r["session"]: r for _, r in read_rows(made, what="", columns=None,
                                                  missing=lambda _: [])}  # fmt: skip
    assert rows["v1"]["label_scheme"] == "brats2023"
    assert {(m.session, m.name) for m in moves} == {
        ("v1", "t1c"), ("v1", "t2f"), ("v1", "seg"), ("v2", "t1c"), ("v2", "seg")}  # fmt: skip
    true = AFFINE @ np.append(np.argwhere(head(0).get_fdata() > 800).mean(0), 1)
    for session in ("v1", "v2"):
        seg = nib.load(made.parent / rows[session]["seg"])
        scan = nib.load(made.parent / rows[session]["t1c"])
        assert seg.shape == scan.shape == SHAPE
        np.testing.assert_allclose(seg.affine, AFFINE)
        assert set(np.unique(seg.dataobj)) == {0, 2}
        centre = seg.affine @ np.append(np.argwhere(np.asarray(seg.dataobj) == 2).mean(0), 1)
        assert np.linalg.norm(centre - true) < WITHIN_MM
    same = nib.load(made.parent / rows["v1"]["t1c"]).get_fdata()
    np.testing.assert_array_equal(same, head(0).get_fdata())  # the reference is not resampled


def test_a_mask_on_another_grid_is_refused(table: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((5, 5, 5), np.uint8), AFFINE), tmp_path / "v1_seg.nii.gz")
    with pytest.raises(ValueError, match="seg has shape .* the voxel grid of none of t1c, t2f"):
        align_table(table, tmp_path / "out")


def test_a_visit_without_a_day_is_refused(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace("v2,60", "v2,"))
    with pytest.raises(ValueError, match="the patient has 2 visits, and the first one sets"):
        align_table(table, tmp_path / "out")
