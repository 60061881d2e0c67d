"""Findings that no visit shows by itself: copies, axis orders, schemes, grids of a patient."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.store_spec import SplitSpec
from mechlearn.data.validation.cohort_rules import schemes
from mechlearn.data.validation.examine import examine
from mechlearn.data.validation.findings import Report
from mechlearn.data.validation.patient_rules import Examined

NO_SPLITS = SplitSpec(val=0, test=0)
RAS = np.diag([1.0, 1.0, 1.0, 1.0])


def checks(report: Report) -> set[str]:
    return {f.check for f in report.findings}


def named(report: Report, check: str) -> list[str]:
    return [f"{f.patient}/{f.session}" for f in report.findings if f.check == check]


@pytest.fixture
def look(spec):
    return lambda *records: examine(records, spec, splits=NO_SPLITS)


def test_different_patients_are_no_duplicates(look, visit_of, case_of):
    records = [visit_of(case_of(i, radius=3.0 + i), patient=f"P{i}") for i in range(3)]
    assert look(*records).passed


def test_duplicated_patient_is_an_error(look, visit_of, case_of):
    report = look(*(visit_of(case_of(), patient=p) for p in ("P1", "P2")))
    assert named(report, "duplicated patient") == ["P2/s0"]
    assert "same voxels as P1/s0" in next(
        f.found for f in report.findings if f.check == "duplicated patient"
    )


def test_duplicate_in_another_type_and_axis_order_is_found(look, visit_of, case_of):
    case = case_of()
    other = replace(case, volumes={c: v.astype(np.float32) for c, v in case.volumes.items()})
    report = look(visit_of(case), visit_of(other, patient="P2", affine=RAS))
    assert named(report, "duplicated patient") == ["P2/s0"]


def test_duplicate_of_other_brightness_is_a_warning(look, visit_of, case_of):
    case = case_of()
    other = replace(
        case, volumes={c: v * 2 for c, v in case.volumes.items()}, labels=case.labels * 0
    )
    report = look(visit_of(case), visit_of(other, patient="P2"))
    assert report.passed
    assert named(report, "two patients with one brain outline") == ["P2/s0"]


def test_image_repeated_at_another_visit_is_a_warning(look, visit_of, case_of):
    visits = [visit_of(case_of(), session=f"s{i}", day=30.0 * i) for i in range(2)]
    report = look(*visits)
    assert report.passed
    assert named(report, "image repeated at another visit") == ["P1/s1"]
    assert named(report, "segmentation repeated at another visit") == ["P1/s1"]


def test_segmentation_of_another_patient_is_an_error(look, visit_of, case_of):
    one, other = visit_of(case_of(0)), visit_of(case_of(1, radius=3.0), patient="P2")
    other.seg.write_bytes(one.seg.read_bytes())
    assert named(look(one, other), "segmentation of another patient") == ["P2/s0"]


def test_empty_segmentations_are_no_copies(look, visit_of, case_of):
    records = []
    for i in range(2):
        case = case_of(i)
        case.labels[:] = 0
        records.append(visit_of(case, patient=f"P{i}"))
    assert look(*records).passed


def test_visits_on_different_grids_are_an_error(look, visit_of, case_of):
    first = visit_of(case_of(0), session="s0", day=0.0)
    smaller = visit_of(case_of(1, shape=(10, 40, 34)), session="s1", day=30.0)
    assert named(look(first, smaller), "visits on different grids") == ["P1/s1"]


def test_shifted_visit_is_an_error(look, visit_of, case_of):
    away = np.diag([-1.0, -1.0, 1.0, 1.0])
    away[2, 3] = 3.0
    first = visit_of(case_of(0), session="s0", day=0.0)
    report = look(first, visit_of(case_of(1), session="s1", day=30.0, affine=away))
    (found,) = [f for f in report.findings if f.check == "visits on different grids"]
    assert found.found == "3.0 mm from session s0"


def lopsided(case):
    """The brain without its lower left quarter, so that left and right differ."""
    cut = np.zeros(case.brain.shape, bool)
    cut[:5, :, 18:] = True
    for volume in (*case.volumes.values(), case.labels):
        volume[cut] = 0
    return case


def test_visit_mirrored_against_the_first_is_told(look, visit_of, case_of):
    first = visit_of(lopsided(case_of(0)), session="s0", day=0.0)
    second = lopsided(case_of(1))
    flipped = replace(
        second, volumes={c: v[..., ::-1] for c, v in second.volumes.items()},
        labels=second.labels[..., ::-1],
    )  # fmt: skip
    report = look(first, visit_of(flipped, session="s1", day=30.0))
    (found,) = [f for f in report.findings if f.check == "visit mirrored against the first"]
    assert found.found.startswith("flipped along L-R")


def test_contrast_mirrored_against_its_siblings_is_an_error(look, visit_of, case_of):
    case = lopsided(case_of())
    case.volumes["t2f"][:] = case.volumes["t2f"][..., ::-1].copy()
    report = look(visit_of(case))
    (found,) = [f for f in report.findings if f.check == "data mirrored against siblings"]
    assert found.found.startswith("t2f along L-R")


def test_odd_axis_order_is_told(look, visit_of, case_of):
    records = [visit_of(case_of(i, radius=3.0 + i), patient=f"P{i}") for i in range(3)]
    odd = visit_of(case_of(9, radius=2.0), patient="P9", affine=RAS)
    report = look(*records, odd)
    assert named(report, "other axis order than the cohort") == ["P9/s0"]


def test_qform_that_disagrees_is_told(look, visit_of):
    record = visit_of()
    image = nib.load(record.images["t1c"])
    header = image.header.copy()
    header.set_qform(RAS, code=1)
    header.set_sform(image.affine, code=1)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, header), record.images["t1c"])
    assert named(look(record), "qform and sform disagree") == ["P1/s0"]


def visit_that_shines(visit_of, label: int, scheme: str, n: int) -> list[Examined]:
    record = visit_of(scheme=scheme)
    glow = {k: 1.5 if k == label else 0.1 for k in (1, 2, 3)}
    return [Examined(record, (), {}, "LPS", glow) for _ in range(n)]


def test_scheme_whose_enhancing_label_does_not_shine_is_told(visit_of):
    (found,) = schemes(visit_that_shines(visit_of, 1, "brats2023", 4))
    assert "in 4 of 4 visits label 1 shines most; it is enhancing in peds2024" in found.found


@pytest.mark.parametrize(("label", "n"), [(3, 4), (1, 2)])
def test_fitting_scheme_and_few_visits_are_left_alone(visit_of, label, n):
    assert not list(schemes(visit_that_shines(visit_of, label, "brats2023", n)))
