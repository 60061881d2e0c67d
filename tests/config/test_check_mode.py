"""`prepare mode=check` as a user runs it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.store import SliceStore

Command = Callable[..., tuple[int, str]]
COLUMNS = "patient,session,day,t1n,t1c,t2w,t2f,seg,label_scheme\n"


def write_rows(folder: Path, *patients: str, extra: str = "") -> Path:
    """A manifest of small visits, each with images of its own."""
    z, y, x = np.indices((36, 40, 10)) - np.array([17.5, 19.5, 4.5])[:, None, None, None]
    brain = (z / 12) ** 2 + (y / 15) ** 2 + (x / 5) ** 2 < 1
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    lines = []
    for n, patient in enumerate(patients):
        rng = np.random.default_rng(n)
        home = folder / patient
        home.mkdir(parents=True)
        for key in ("t1n", "t1c", "t2w", "t2f"):
            volume = np.where(brain, rng.integers(200, 900, brain.shape), 0).astype(np.int16)
            nib.save(nib.Nifti1Image(volume, affine), home / f"{key}.nii.gz")
        seg = (z**2 + y**2 + x**2 < (3 + n) ** 2).astype(np.uint8) * 2
        nib.save(nib.Nifti1Image(seg, affine), home / "seg.nii.gz")
        files = ",".join(f"{patient}/{k}.nii.gz" for k in ("t1n", "t1c", "t2w", "t2f", "seg"))
        lines.append(f"{patient},v1,0,{files},brats2023\n")
    path = folder / "visits.csv"
    path.write_text(COLUMNS + "".join(lines) + extra)
    return path


@pytest.fixture
def check(command: Command, tmp_path: Path) -> Callable[..., tuple[int, list[dict[str, str]]]]:
    def run(manifest: Path, *more: str) -> tuple[int, list[dict[str, str]]]:
        status, err = command(
            "prepare", "data=manifest", f"data.manifest={manifest}", "mode=check",
            "data.workers=1", "data.prepare.min_brain_mm2=50", f"hydra.run.dir={tmp_path}/run",
            *more,
        )  # fmt: skip
        assert "Traceback" not in err
        with (tmp_path / "run" / "check.csv").open() as handle:
            return status, list(csv.DictReader(handle))

    return run


def test_good_cohort_exits_zero_and_leaves_no_store(check, tmp_path):
    status, rows = check(write_rows(tmp_path / "cohort", "P1", "P2", "P3"))
    assert status == 0
    assert {row["severity"] for row in rows} == {"warning"}  # a brain of 4 ml
    assert not (tmp_path / "outputs" / "stores").exists()


def test_all_errors_of_a_manifest_come_in_one_run(check, tmp_path):
    bad = (
        "P7,v1,soon,P1/t1n.nii.gz,,,,P1/seg.nii.gz,brats2023\n"
        "P8,v1,0,P1/t1n.nii.gz,,,,P1/seg.nii.gz,brats1999\n"
        "P9,v1,0,P9/a.nii.gz,P9/b.nii.gz,P9/c.nii.gz,P9/d.nii.gz,P1/seg.nii.gz,brats2023\n"
    )
    manifest = write_rows(tmp_path / "cohort", "P1", "P2", extra=bad)
    (manifest.parent / "P2" / "t2f.nii.gz").write_bytes(b"")
    status, rows = check(manifest)
    errors = [row for row in rows if row["severity"] == "error"]
    assert status == 1
    assert [row["patient"] for row in errors if row["check"] == "missing file"] == ["P9"] * 4
    assert [r["patient"] for r in errors if r["check"] == "truncated or broken file"] == ["P2"]
    unusable = [row["found"] for row in errors if row["check"] == "no usable visit"]
    assert len(unusable) == 2
    assert "row 4: day='soon'" in unusable[0]
    assert "row 5: label_scheme='brats1999'" in unusable[1]


def test_splits_beside_the_manifest_are_examined(check, tmp_path):
    manifest = write_rows(tmp_path / "cohort", "P1", "P2")
    manifest.with_name("splits.json").write_text('{"train": ["P1"], "val": ["P1", "P2"]}')
    status, rows = check(manifest)
    assert status == 1
    assert "'P1' stands twice" in next(row["found"] for row in rows if row["check"] == "splits")


def test_prepare_leaves_out_what_the_doctor_refused(check, command, tmp_path):
    manifest = write_rows(tmp_path / "cohort", "P1", "P2", "P3")
    for key in ("t1n", "t1c", "t2w", "t2f", "seg"):  # which prepare alone would take
        whole = (manifest.parent / "P1" / f"{key}.nii.gz").read_bytes()
        (manifest.parent / "P2" / f"{key}.nii.gz").write_bytes(whole)
    check(manifest)
    status, err = command(
        "prepare", "data=manifest", f"data.manifest={manifest}", "data.workers=1", "data.name=s",
        "data.prepare.min_brain_mm2=50", f"skip={tmp_path}/run/check.json",
        f"hydra.run.dir={tmp_path}/run2", f"paths.outputs={tmp_path}/out",
    )  # fmt: skip
    assert status == 0, err
    log = (tmp_path / "run2" / "prepare.log").read_text()
    assert "left out 1 of 3 visits by skip" in log
    assert SliceStore(tmp_path / "out" / "stores" / "s").patients() == ["P1", "P3"]


def test_report_of_another_cohort_is_refused(check, command, tmp_path):
    (tmp_path / "check.json").write_text('{"bad_visits": ["P9/v1"]}')
    manifest = write_rows(tmp_path / "cohort", "P1")
    status, err = command(
        "prepare", "data=manifest", f"data.manifest={manifest}", f"skip={tmp_path}/check.json",
        f"hydra.run.dir={tmp_path}/run",
    )  # fmt: skip
    assert status == 1
    assert "skip: visits P9/v1 are not among the 1 of this source" in err


def test_missing_report_is_refused(command, tmp_path):
    status, err = command("prepare", "skip=no.json", f"hydra.run.dir={tmp_path}/run")
    assert status == 1
    assert "skip=no.json: no such file" in err


def test_unknown_mode_is_refused(command, tmp_path):
    status, err = command("prepare", "mode=look", f"hydra.run.dir={tmp_path}/run")
    assert status == 1
    assert "mode='look': must be one of prepare, check" in err


def test_phantom_that_is_not_there_is_not_generated(command, tmp_path):
    status, err = command("prepare", "mode=check", f"hydra.run.dir={tmp_path}/run")
    assert status == 1
    assert "no cohort to examine yet" in err
