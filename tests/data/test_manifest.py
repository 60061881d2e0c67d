from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mechlearn.data.manifest import COLUMNS, VisitRecord, read_manifest, write_manifest

ROW = {
    "patient": "P1", "session": "s0", "day": "0", "t1n": "a.nii", "seg": "seg.nii",
    "label_scheme": "brats2023",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.nii", "seg.nii"):
        (tmp_path / name).touch()
    return tmp_path


def write(folder: Path, *rows: dict[str, str], header: list[str] | None = None) -> Path:
    header = header or list(dict.fromkeys(k for row in rows for k in row))
    lines = [",".join(header)] + [",".join(row.get(k, "") for k in header) for row in rows]
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_round_trip_returns_equal_records(folder):
    first = VisitRecord(
        "P1", "s0", {"t1n": folder / "a.nii"}, folder / "seg.nii", "brats2024", 0.0,
        rt_start_day=14.1, rt_end_day=56.3, dose_gy=60.0, fractions=30, surgery_day=-20.0,
        source="MU", covariates={"age": "61", "idh": "wildtype"},
        treatment_days={"chemo_start_day": 14.0, "chemo_end_day": 56.0},
    )  # fmt: skip
    second = replace(first, session="s1", day=1 / 3, surgery_day=None)
    path = write_manifest([first, second], folder / "manifest.csv")
    assert read_manifest(path) == [first, second]


def test_written_header_is_the_canonical_columns(folder):
    record = VisitRecord("P1", "s0", {"t1n": folder / "a.nii"}, folder / "seg.nii", "brats2023")
    path = write_manifest([record], folder / "manifest.csv")
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_paths_below_the_manifest_become_relative(folder):
    record = VisitRecord("P1", "s0", {"t1n": folder / "a.nii"}, folder / "seg.nii", "brats2023")
    path = write_manifest([record], folder / "manifest.csv")
    assert str(folder) not in path.read_text()


def test_manifest_can_move_with_its_folder(folder, tmp_path_factory):
    record = VisitRecord("P1", "s0", {"t1n": folder / "a.nii"}, folder / "seg.nii", "brats2023")
    write_manifest([record], folder / "manifest.csv")
    moved = tmp_path_factory.mktemp("elsewhere") / "data"
    folder.rename(moved)
    assert read_manifest(moved / "manifest.csv")[0].seg == moved / "seg.nii"


def test_paths_elsewhere_stay_absolute(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    record = VisitRecord("P1", "s0", {"t1n": folder / "a.nii"}, folder / "seg.nii", "brats2023")
    path = write_manifest([record], other / "manifest.csv")
    assert read_manifest(path) == [record]


def test_empty_day_is_none(folder):
    assert read_manifest(write(folder, {**ROW, "day": ""}))[0].day is None


def test_spaces_and_byte_order_mark_are_forgiven(folder):
    path = folder / "manifest.csv"
    path.write_text(
        "\ufeffpatient, session ,t1n,seg,label_scheme\nP1, s0,a.nii, seg.nii,brats2023 \n",
        encoding="utf-8",
    )
    assert read_manifest(path)[0].name == "P1/s0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"day": "week 3"}, r"row 2: day='week 3': must be a number of days"),
        ({"day": "nan"}, r"row 2: day=nan: must be a finite number"),
        ({"t1n": "gone.nii"}, r"row 2: t1n='gone.nii': no such file"),
        ({"seg": ""}, r"row 2: seg is empty"),
        ({"t1n": ""}, r"row 2: no image; a visit needs one or more"),
        ({"label_scheme": "brats"}, r"row 2: label_scheme='brats': must be one of brats2021"),
        ({"patient": "a/b"}, r"row 2: patient='a/b': must be letters"),
        ({"session": ".."}, r"row 2: session='..': must be letters"),
        ({"rt_start_day": "50", "rt_end_day": "8"}, r"row 2: rt_end_day=8: must not lie before"),
        ({"dose_gy": "-60"}, r"row 2: dose_gy=-60: must be positive"),
        ({"fractions": "30.5"}, r"row 2: fractions=30.5: must be a whole number"),
        ({"weight": "70"}, r"unknown columns \['weight'\]"),
    ],
)
def test_bad_cell_names_row_key_and_rule(folder, change, message):
    with pytest.raises(ValueError, match=message):
        read_manifest(write(folder, {**ROW, **change}))


def test_missing_column_is_named(folder):
    row = {k: v for k, v in ROW.items() if k != "label_scheme"}
    with pytest.raises(ValueError, match=r"missing columns \['label_scheme'\]"):
        read_manifest(write(folder, row))


def test_session_twice_is_refused(folder):
    with pytest.raises(ValueError, match="patient=P1 session=s0 stands 2 times"):
        read_manifest(write(folder, ROW, {**ROW, "day": "9"}))


def test_days_for_some_visits_only_are_refused(folder):
    with pytest.raises(ValueError, match=r"sessions \['s1'\] have no day"):
        read_manifest(write(folder, ROW, {**ROW, "session": "s1", "day": ""}))


def test_rows_may_carry_different_courses(folder):
    rows = [
        {**ROW, "rt_start_day": "10", "rt_end_day": "52"},
        {**ROW, "session": "s1", "day": "9", "rt_start_day": "300"},
    ]
    starts = [record.rt_start_day for record in read_manifest(write(folder, *rows))]
    assert starts == [10.0, 300.0]


def test_contradicting_radiotherapy_is_refused(folder):
    rows = [
        {**ROW, "rt_start_day": "10", "dose_gy": "54"},
        {**ROW, "session": "s1", "day": "9", "rt_start_day": "10", "dose_gy": "60"},
    ]
    with pytest.raises(ValueError, match=r"patient=P1: dose_gy is \[54.0, 60.0\] on different"):
        read_manifest(write(folder, *rows))


def test_empty_manifest_is_refused(folder):
    with pytest.raises(ValueError, match="no visit below the header"):
        read_manifest(write(folder, header=list(ROW)))


def test_missing_manifest_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        read_manifest(tmp_path / "nowhere.csv")


def test_only_the_end_of_radiotherapy_places_its_start(folder):
    record = read_manifest(write(folder, {**ROW, "rt_end_day": "50"}))[0]
    course = record.radiotherapy(duration_days=42)
    assert course is not None
    assert course.start_day == 8


def test_no_radiotherapy_is_none(folder):
    assert read_manifest(write(folder, ROW))[0].radiotherapy() is None


def test_record_survives_json(folder):
    record = read_manifest(write(folder, ROW))[0]
    assert VisitRecord.from_dict(record.as_dict()) == record


def two_masks(folder: Path) -> VisitRecord:
    for name in ("oedema.nii", "enhancing.nii", "brain.nii"):
        (folder / name).touch()
    return VisitRecord(
        "P1", "s0", {"t1n": folder / "a.nii"}, folder / "oedema.nii", "brats2023", 0.0,
        age_group="adult", brain_mask=folder / "brain.nii",
        masks={2: folder / "oedema.nii", 3: folder / "enhancing.nii"},
    )  # fmt: skip


def test_several_masks_survive_the_manifest(folder):
    record = two_masks(folder)
    path = write_manifest([record], folder / "manifest.csv")
    assert "2=oedema.nii;3=enhancing.nii" in path.read_text()
    assert read_manifest(path) == [record]


def test_several_masks_survive_json(folder):
    card = json.loads(json.dumps(two_masks(folder).as_dict()))
    assert VisitRecord.from_dict(card) == two_masks(folder)


def test_each_mask_is_a_file_of_the_visit(folder):
    assert list(two_masks(folder).files()) == ["t1n", "seg=2", "seg=3", "brain_mask"]


@pytest.mark.parametrize(
    ("seg", "message"),
    [
        ("2=gone.nii", "row 2: seg='gone.nii': no such file"),
        ("7=seg.nii", r"row 2: seg: masks of the labels \[7\], but label_scheme='brats2023' has"),
        ("2=seg.nii;2=a.nii", "row 2: seg='2=seg.nii;2=a.nii': must be one file, or LABEL=file"),
    ],
)
def test_bad_masks_name_row_and_rule(folder, seg, message):
    with pytest.raises(ValueError, match=message):
        read_manifest(write(folder, {**ROW, "seg": seg}))


def test_plain_content_of_a_record_gives_it_back(folder):
    record = VisitRecord(
        "P1", "s0", {"t1n": folder / "a.nii"}, folder / "seg.nii", "brats2023", 0.0,
        covariates={"grade": "3"}, treatment_days={"other_start_day": 5.0},
    )  # fmt: skip
    assert VisitRecord.from_dict(json.loads(json.dumps(record.as_dict()))) == record


def test_chemotherapy_that_ends_before_it_starts_is_refused_with_its_row(folder):
    path = write(folder, {**ROW, "chemo_start_day": "9", "chemo_end_day": "3"})
    with pytest.raises(ValueError, match="row 2: chemotherapy: end_day=3 lies before"):
        read_manifest(path)


def test_dates_of_treatment_become_days(folder):
    row = {**ROW, "day": "2021-03-01", "chemo_start_day": "2021-03-11"}
    assert read_manifest(write(folder, row))[0].treatment_days == {"chemo_start_day": 10.0}
