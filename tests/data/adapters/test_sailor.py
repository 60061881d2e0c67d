from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mechlearn.data.adapters.sailor import find_sailor

PARTS = ("T1", "T1c", "T2", "Flair", "EdemaMask-CL", "ContrastEnhancedMask-CL", "T1-icor")


@pytest.fixture
def patient(tmp_path: Path, files) -> Callable[..., Path]:
    def make(intervals: str, *, sessions: int = 3, without: str = "") -> Path:
        for n in range(1, sessions + 1):
            names = {f"ses-{n:02d}/{part}.nii.gz" for part in PARTS} - {without}
            files(tmp_path / "sub-01" / f"ses-{n:02d}")
            files(tmp_path / "sub-01", *names)
        (tmp_path / "sub-01" / "intervals-days.txt").write_text(intervals)
        return tmp_path

    return make


def test_intervals_add_up_to_days(patient):
    assert [r.day for r in find_sailor(patient("14\n30\n"))] == [0, 14, 44]


def test_masks_become_oedema_with_enhancement_on_top(patient):
    record = find_sailor(patient("14\n30\n"))[0]
    assert [(label, path.name) for label, path in record.masks.items()] == [
        (2, "EdemaMask-CL.nii.gz"), (3, "ContrastEnhancedMask-CL.nii.gz"),
    ]  # fmt: skip


def test_intervals_count_sessions_that_were_not_segmented(patient):
    root = patient("14\n30\n", without="ses-02/EdemaMask-CL.nii.gz")
    missing: list[str] = []
    assert [r.day for r in find_sailor(root, missing=missing)] == [0, 44]
    assert "EdemaMask-CL" in missing[0]


def test_brain_mask_is_taken_where_there_is_one(patient, files):
    root = patient("14\n30\n")
    files(root / "sub-01" / "ses-02", "BrainExtractionMask.nii.gz")
    assert [r.brain_mask is not None for r in find_sailor(root)] == [False, True, False]


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ("14\n", "found 1 intervals for 3 sessions, expected 2"),
        ("14\n30.5\n", r"found \['14', '30.5'\], expected whole numbers"),
        ("14\n0\n", "expected whole numbers of days above 0"),
    ],
)
def test_intervals_that_do_not_fit_are_refused(patient, intervals, message):
    with pytest.raises(ValueError, match=message):
        find_sailor(patient(intervals))


def test_missing_intervals_are_refused(patient):
    root = patient("14\n30\n")
    (root / "sub-01" / "intervals-days.txt").unlink()
    with pytest.raises(ValueError, match=r"expected .*sub-NN/intervals-days.txt, found \['ses-01'"):
        find_sailor(root)


def test_raw_archive_is_refused(tmp_path, files):
    files(tmp_path / "sub-01" / "ses-01" / "anat", "sub-01_ses-01_T1w.nii.gz")
    (tmp_path / "sub-01" / "intervals-days.txt").write_text("")
    with pytest.raises(ValueError, match="expected one file EdemaMask-CL"):
        find_sailor(tmp_path)
