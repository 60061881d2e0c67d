"""Patients from manifests, tables of volumes and folders of one visit."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.patients import (
    one_of_patients,
    patients_of_table,
    record_of,
    visit_folder,
)
from mechlearn.records import Patient, Radiotherapy, Visit


def write(path: Path, values: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    seg = np.zeros((8, 8, 4), np.uint8)
    seg[2:5, 2:5, 1:3] = 2
    seg[3, 3, 1] = 4
    for name in ("t1", "t1ce", "t2", "flair"):
        write(tmp_path / f"BraTS2021_00001_{name}.nii.gz", np.ones((8, 8, 4), np.int16))
    write(tmp_path / "BraTS2021_00001_seg.nii.gz", seg)
    return tmp_path


def test_a_folder_of_brats_names_is_a_visit(folder: Path) -> None:
    visit = visit_folder(folder)
    assert {key: path.name for key, path in visit.images.items()} == {
        "t1n": "BraTS2021_00001_t1.nii.gz", "t1c": "BraTS2021_00001_t1ce.nii.gz",
        "t2w": "BraTS2021_00001_t2.nii.gz", "t2f": "BraTS2021_00001_flair.nii.gz",
    }  # fmt: skip
    assert visit.label_scheme == "brats2021"


def test_labels_name_their_scheme(folder: Path) -> None:
    seg = np.zeros((8, 8, 4), np.uint8)
    seg[3, 3, 1] = 3
    write(folder / "BraTS2021_00001_seg.nii.gz", seg)
    assert visit_folder(folder).label_scheme == "brats2023"


def test_labels_of_two_schemes_are_refused(folder: Path) -> None:
    seg = np.zeros((8, 8, 4), np.uint8)
    seg[3, 3, 1:3] = (3, 4)
    write(folder / "BraTS2021_00001_seg.nii.gz", seg)
    with pytest.raises(ValueError, match=r"labels \[3, 4\].*Give label_scheme"):
        visit_folder(folder)


def test_two_files_for_one_contrast_are_refused(folder: Path) -> None:
    write(folder / "other_flair.nii.gz", np.ones((8, 8, 4), np.int16))
    with pytest.raises(ValueError, match="t2f could be .*flair.nii.gz or other_flair"):
        visit_folder(folder)


def test_a_folder_without_segmentation_is_refused(folder: Path) -> None:
    (folder / "BraTS2021_00001_seg.nii.gz").unlink()
    with pytest.raises(ValueError, match="no segmentation found"):
        visit_folder(folder)


def test_a_table_of_volumes_is_patients(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(
        "patient,slice,day,volume_mm3,rt_start_day\nA,whole,0,900,10\nA,whole,30,1200,10\n"
        "B,whole,0,50,\n"
    )
    first, second = patients_of_table(path)
    assert [v.volumes_mm3["whole"] for v in first.visits] == [900.0, 1200.0]
    assert first.radiotherapy[0].start_day == 10.0
    assert one_of_patients([first, second], "B", "v.csv") is second
    with pytest.raises(ValueError, match="holds 2 patients"):
        one_of_patients([first, second], None, "v.csv")


def test_a_table_of_areas_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("patient,slice,day,area_mm2\nA,z1,0,900\n")
    with pytest.raises(ValueError, match="holds areas"):
        patients_of_table(path)


def test_courses_reach_the_records_of_the_visits(folder: Path) -> None:
    visit = visit_folder(folder)
    patient = Patient("P", (visit,), (Radiotherapy(5.0, 47.0, 60.0, 30),))
    record = record_of(patient, visit)
    assert (record.rt_start_day, record.dose_gy, record.fractions) == (5.0, 60.0, 30)


def test_a_visit_of_sizes_alone_has_no_files() -> None:
    visit = Visit("a", 0.0, volumes_mm3={"whole": 5.0})
    with pytest.raises(ValueError, match="has no segmentation"):
        record_of(Patient("P", (visit,)), visit)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("patient,slice,day,volume_mm3\nM\u00fcller,w,0,1\n".encode("latin-1"), "is not UTF-8"),
        ("patient,slice,day,volume_mm3\n".encode("utf-16"), "is UTF-16"),
        (b"PK\x03\x04rest", "is an Excel workbook"),
        (b"patient\0", "is a binary file"),
        (b"patient,slice,day,volume_mm3\n" + b"x" * 200_000 + b",w,0,1\n", "field larger"),
    ],
)
def test_a_table_that_is_no_utf8_csv_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "v.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"v.csv.*{words}.*'CSV UTF-8'"):
        patients_of_table(path)


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("\ufeffpatient,slice,day,volume_mm3\nA,whole,0,900\n", encoding="utf-8")
    assert patients_of_table(path)[0].name == "A"


def test_a_folder_of_dicom_is_named_with_the_way_to_nifti(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "IM0001").write_bytes(bytes(128) + b"DICM" + bytes(8))
    with pytest.raises(ValueError, match="holds DICOM files. The forecast command converts them"):
        visit_folder(tmp_path)
