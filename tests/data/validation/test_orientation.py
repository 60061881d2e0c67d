"""Which way a brain lies, told from its outline: real cases, the phantom, and what has no front."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.adapters.brats import find_brats
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.model_grid import reorient
from mechlearn.data.store_spec import SplitSpec
from mechlearn.data.validation.examine import examine
from mechlearn.data.validation.geometry import FLIPS, best_turn, dice, mirrored_axes, outline
from mechlearn.data.validation.image_rules import TURNED
from mechlearn.phantom.cohort_files import write_cohort
from mechlearn.phantom.phantom_spec import PhantomSpec
from mechlearn.spatial.intensity import brain_mask

TURNS = ("A-P", "S-I", "A-P and S-I")


def brain_of(record: VisitRecord) -> np.ndarray:
    image = nib.load(record.images["t1n"])
    return brain_mask(reorient(np.asanyarray(image.dataobj), image.affine)[None])


def turns_found(brain: np.ndarray) -> list[str]:
    """What is told of the brain turned in each way."""
    told = []
    for name in TURNS:
        as_is, best, turn = best_turn(outline(np.flip(brain, FLIPS[name])))
        told.append(turn if best > as_is + TURNED else "")
    return told


def lies_right(brain: np.ndarray) -> bool:
    as_is, best, _ = best_turn(outline(brain))
    return best <= as_is + TURNED


@pytest.fixture(scope="module")
def real(real_brats: Path) -> list[VisitRecord]:
    return find_brats(real_brats)


def test_turned_real_brain_is_told(real: list[VisitRecord]) -> None:
    brain = brain_of(real[0])
    assert lies_right(brain)
    assert turns_found(brain) == [f"mirrored along {name}" for name in TURNS]


def test_exchanged_axes_are_told(real: list[VisitRecord]) -> None:
    as_is, best, turn = best_turn(outline(brain_of(real[1]).transpose(1, 0, 2)))
    assert best > as_is + TURNED
    assert turn.startswith("axes exchanged")


@pytest.mark.slow
def test_six_real_cases_raise_no_alarm(real: list[VisitRecord]) -> None:
    report = examine(real, splits=SplitSpec(val=1, test=1))
    assert report.findings == ()


@pytest.mark.slow
def test_every_turned_real_brain_is_told(real: list[VisitRecord]) -> None:
    for record in real:
        assert turns_found(brain_of(record)) == [f"mirrored along {name}" for name in TURNS]


@pytest.mark.slow
def test_turned_phantom_is_told(tmp_path: Path) -> None:
    spec = PhantomSpec(n_train=2, n_val=1, n_test=1, voxel_mm=4.0, dmg_share=0.5)
    root = write_cohort(tmp_path, spec, patients=[spec.patients()[0].name]).parent
    image = nib.load(next(root.glob("*/*-t1n.nii.gz")))
    brain = brain_mask(reorient(np.asanyarray(image.dataobj), image.affine)[None])
    assert lies_right(brain)
    assert turns_found(brain) == [f"mirrored along {name}" for name in TURNS]


def test_ball_has_no_front() -> None:
    z, y, x = np.indices((30, 30, 30)) - 14.5
    assert lies_right(z**2 + y**2 + x**2 < 150)


def test_outline_knows_neither_place_nor_size() -> None:
    rng = np.random.default_rng(0)
    brain = np.zeros((40, 60, 50), bool)
    brain[8:24, 10:30, 20:36] = rng.random((16, 20, 16)) < 0.5
    larger = np.kron(brain, np.ones((2, 2, 2), bool))
    np.testing.assert_allclose(outline(larger), outline(brain), atol=1e-5)
    np.testing.assert_allclose(outline(np.roll(brain, 9, 1)), outline(brain), atol=1e-5)


def test_dice_of_an_outline_with_itself_is_one() -> None:
    ball = outline(np.ones((20, 20, 20), bool))
    assert dice(ball, ball) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("axes", "expected"),
    [((1, 1, 1), []), ((1, -1, 1), ["A-P"]), ((-1, 1, -1), ["L-R", "S-I"])],
)
def test_mirrored_axes_have_names(axes: tuple[int, int, int], expected: list[str]) -> None:
    one = np.diag([-1.0, -1.0, 1.0, 1.0])
    assert mirrored_axes(one @ np.diag([*axes, 1]), one) == expected
