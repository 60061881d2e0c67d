"""Tumour sizes of phantom patients that were never painted."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.selection import growing
from mechlearn.data.size_table import read_series
from mechlearn.phantom.cohort_files import write_cohort
from mechlearn.phantom.phantom_sizes import PatientSeries, main, measure, phantom_series
from mechlearn.phantom.phantom_spec import PhantomSpec
from mechlearn.records import Radiotherapy

SPEC = PhantomSpec(n_train=1, n_val=0, n_test=0, n_series=1, voxel_mm=4.0, dmg_share=0.0)
COURSE = {"days": [0, 50, 90], "rt_start_day": 20, "rt_end_day": 62, "dose_gy": 60.0,
          "fractions": 30}  # fmt: skip


def made(name: str = "MLP-GLI-70001", growth: float = 2.0) -> PatientSeries:
    first = np.array([0.0, 100, 200, 300, 200, 100, 0])
    areas = np.stack([first, 0.5 * first, growth * first])
    truth = {"patient": name, "course": COURSE}
    return PatientSeries(name, ("a", "b", "c"), (0.0, 50.0, 90.0), areas, truth)


def kept(folder: Path, series: PatientSeries, **spec: object) -> None:
    """The patient as a run that was broken off has left it."""
    drawn = {"seed": 2026, "voxel_mm": 4.0, "train_visits": 2, "test_visits": [4, 7]} | spec
    card = vars(series) | {"areas_mm2": series.areas_mm2.tolist(), "spec": drawn}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{series.patient}.json").write_text(json.dumps(card))


def test_slices_are_those_that_grow_named_as_a_store_names_them() -> None:
    timelines = made().timelines(count=3)
    names = [f"MLP-GLI-70001/z{z:03d}" for z in growing(made().areas_mm2, count=3)]
    assert [t.name for t in timelines] == names == [f"MLP-GLI-70001/z00{z}" for z in (2, 3, 4)]
    assert timelines[1].sizes.tolist() == [300.0, 150.0, 600.0]


def test_the_known_course_travels_along() -> None:
    assert made().timelines()[0].courses == (Radiotherapy(20.0, 62.0, 60.0, 30),)


def test_a_patient_without_radiotherapy_has_no_course() -> None:
    series = made()
    series.truth["course"] = COURSE | {"rt_start_day": None, "rt_end_day": None}
    assert series.courses == ()


def test_finished_patients_are_not_computed_again(tmp_path: Path) -> None:
    kept(tmp_path, made())
    (key,) = SPEC.patients("series")
    ((found, timelines),) = phantom_series(SPEC, [key], parts=tmp_path)
    assert (found, timelines) == (key, made().timelines())


def test_patients_of_another_spec_are_refused(tmp_path: Path) -> None:
    kept(tmp_path, made(), seed=1)
    with pytest.raises(ValueError, match="computed with seed=1, but the setting is 2026"):
        next(phantom_series(SPEC, SPEC.patients("series"), parts=tmp_path))


def test_the_table_holds_the_series_in_order_of_patient(tmp_path: Path) -> None:
    for name, growth in (("MLP-GLI-70001", 2.0), ("MLP-GLI-70002", 0.6), ("MLP-GLI-70003", 3.0)):
        kept(tmp_path / "out.csv.parts", made(name, growth))
    main([str(tmp_path / "out.csv"), "--patients", "3", "--voxel-mm", "4"])
    read = read_series(tmp_path / "out.csv")
    names = ("MLP-GLI-70001", "MLP-GLI-70003")
    assert read.timelines == tuple(
        t for name, g in zip(names, (2.0, 3.0), strict=True) for t in made(name, g).timelines()
    )


def test_a_shrinking_tumour_is_kept_where_no_growth_is_asked(tmp_path: Path) -> None:
    kept(tmp_path / "out.csv.parts", made(growth=0.6))
    arguments = ["--patients", "1", "--voxel-mm", "4", "--min-growth", "none"]
    main([str(tmp_path / "out.csv"), *arguments])
    assert read_series(tmp_path / "out.csv").timelines == made(growth=0.6).timelines(
        min_growth=None
    )


@pytest.mark.slow
def test_areas_are_those_of_the_written_segmentation(tmp_path: Path) -> None:
    write_cohort(tmp_path, SPEC)
    series = measure(SPEC, *SPEC.patients("train"))
    for session, areas in zip(series.sessions, series.areas_mm2, strict=True):
        path = tmp_path / session / f"{session}-seg.nii.gz"
        mask = np.asarray(nib.Nifti1Image.from_filename(path).dataobj) > 0
        np.testing.assert_array_equal(areas, mask.sum(axis=(0, 1)) * SPEC.voxel_mm**2)
    truth = json.loads((tmp_path / "truth" / f"{series.patient}.json").read_text())
    assert tuple(visit["session"] for visit in truth["visits"]) == series.sessions


@pytest.mark.slow
def test_a_series_patient_has_the_visits_of_a_test_patient(tmp_path: Path) -> None:
    (key,) = SPEC.patients("series")
    ((_, timelines),) = phantom_series(SPEC, [key], min_growth=None, parts=tmp_path)
    assert 4 <= len(timelines[0].visits) <= 7
    ((_, again),) = phantom_series(SPEC, [key], min_growth=None, parts=tmp_path)
    assert again == timelines
