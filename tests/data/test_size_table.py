"""Tumour sizes as a plain CSV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mechlearn.data.selection import growing, growth_slices, store_series
from mechlearn.data.size_table import read_series, write_series
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

COURSE = Radiotherapy(14.1, 56.0, 60.0, 30)


def table(folder: Path, text: str) -> Path:
    path = folder / "series.csv"
    path.write_text(text, encoding="utf-8")
    return path


def series(name: str = "P1/z070", courses: tuple[Radiotherapy, ...] = (COURSE,)) -> SizeSeries:
    readings = ((-3.0, 1 / 3, "s0"), (40.25, 0.0, "s1"), (90.0, 512.5, "s2"))
    visits = tuple(SizeReading(*reading) for reading in readings)
    return SizeSeries(name, name.split("/")[0], visits, courses)


def test_three_columns_are_enough(tmp_path):
    read = read_series(table(tmp_path, "patient,slice,day,area_mm2\nP1,z1,0,10\nP1,z1,30,20\n"))
    visits = (SizeReading(0.0, 10.0), SizeReading(30.0, 20.0))
    assert read.timelines == (SizeSeries("P1/z1", "P1", visits),)
    assert (read.unit, read.source) == ("mm2", tmp_path / "series.csv")


def test_volumes_are_read_in_mm3(tmp_path):
    read = read_series(table(tmp_path, "patient,slice,day,volume_mm3\nP1,all,0,10000\n"))
    assert read.unit == "mm3"
    assert read.timelines[0].sizes.tolist() == [10000.0]


def test_volumes_without_a_slice_are_of_the_whole_tumour(tmp_path):
    read = read_series(table(tmp_path, "patient,day,volume_mm3\nP1,0,10000\nP1,30,12000\n"))
    assert [(t.name, t.compartment) for t in read.timelines] == [("P1/whole", "whole")]


def test_a_column_of_dates_is_told_its_name(tmp_path):
    with pytest.raises(ValueError, match="call the column date so"):
        read_series(table(tmp_path, "patient,date,volume_mm3\nP1,2026-01-02,10000\n"))


def test_radiotherapy_on_an_impossible_day_is_left_out_with_a_warning(tmp_path, caplog):
    header = "patient,slice,day,volume_mm3,rt_start_day\n"
    first, second = "P1,whole,0,9,328372.4\nP1,whole,30,9,\n", "P2,whole,0,9,-43585.3\n"
    read = read_series(table(tmp_path, header + first + second + "P2,whole,30,9,14\n"))
    assert [[c.start_day for c in t.courses] for t in read.timelines] == [[], [14.0]]
    assert "2 row(s), the first" in caplog.text
    assert "row 2: rt_start_day=328372.4" in caplog.text


def test_a_spreadsheets_date_of_radiotherapy_is_refused(tmp_path):
    text = "patient,slice,day,volume_mm3,rt_start_day\nP1,whole,0,9,44260\n"
    with pytest.raises(ValueError, match="rt_start_day=44260.*spreadsheet"):
        read_series(table(tmp_path, text))


def test_days_stay_as_given(tmp_path):
    text = "patient,slice,day,area_mm2\nP1,z1,-12.5,10\nP1,z1,30,20\n"
    assert read_series(table(tmp_path, text)).timelines[0].days.tolist() == [-12.5, 30.0]


def test_slices_keep_the_order_of_the_file_when_rows_are_mixed(tmp_path):
    text = "patient,slice,day,area_mm2\nP2,b,0,1\nP1,a,0,2\nP2,a,0,3\nP2,b,9,4\n"
    read = read_series(table(tmp_path, text))
    assert [t.name for t in read.timelines] == ["P2/b", "P1/a", "P2/a"]
    assert read.timelines[0].sizes.tolist() == [1.0, 4.0]


def test_courses_of_one_slice_are_the_patients(tmp_path):
    text = "patient,slice,day,area_mm2,rt_start_day\nP1,a,0,1,10\nP1,b,0,1,300\nP2,a,0,1,\n"
    courses = [t.courses for t in read_series(table(tmp_path, text)).timelines]
    assert courses == [(Radiotherapy(10.0), Radiotherapy(300.0))] * 2 + [()]


def test_a_lone_end_of_radiotherapy_places_its_start(tmp_path):
    text = "patient,slice,day,area_mm2,rt_end_day\nP1,a,0,1,50\n"
    read = read_series(table(tmp_path, text), rt_duration_days=20.0)
    assert read.timelines[0].courses == (Radiotherapy(30.0, 50.0),)


@pytest.mark.parametrize("unit", ["mm2", "mm3"])
def test_round_trip_returns_equal_timelines(tmp_path, unit):
    named = (series(), series("P1/z071"), series("P2/z010", courses=()))
    known = tuple(replace(t, unit=unit) for t in named)
    read = read_series(write_series(known, tmp_path / "deep" / "s.csv", unit=unit))
    assert (read.timelines, read.unit) == (known, unit)


def test_several_courses_come_back(tmp_path):
    courses = (COURSE, Radiotherapy(200.0), Radiotherapy(400.0, 414.0))
    known = (series(courses=courses),)
    assert read_series(write_series(known, tmp_path / "s.csv")).timelines == known


def test_more_courses_than_rows_are_refused(tmp_path):
    courses = tuple(Radiotherapy(100.0 * i) for i in range(4))
    with pytest.raises(ValueError, match=r"patient=P1: 4 courses of radiotherapy on 3 row"):
        write_series([series(courses=courses)], tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()


def test_slices_of_one_patient_share_its_courses(tmp_path):
    with pytest.raises(ValueError, match="patient=P1: slices with different courses"):
        write_series([series(), series("P1/z071", courses=())], tmp_path / "s.csv")


def test_a_slice_stands_once(tmp_path):
    with pytest.raises(ValueError, match="slice_id='P1/z070': must be P1/SLICE, each slice once"):
        write_series([series(), series()], tmp_path / "s.csv")


def test_unknown_unit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unit='cm3': must be one of mm2, mm3"):
        write_series([series()], tmp_path / "s.csv", unit="cm3")


ROW = {"patient": "P1", "slice": "z7", "day": "0", "area_mm2": "10"}
HERE = r"series\.csv, row 2: patient=P1 slice=z7: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"area_mm2": "big"}, HERE + "area_mm2='big': must be a number"),
        ({"area_mm2": "nan"}, HERE + "area_mm2='nan': must be a finite number"),
        ({"area_mm2": ""}, HERE + "area_mm2='': must be a finite number"),
        ({"area_mm2": "-5"}, HERE + "area_mm2=-5: must be 0 or more"),
        ({"day": "1990-13-01"}, r"series\.csv, row 2: day='1990-13-01': is no date"),
        ({"day": ""}, HERE + "day='': must be a finite number"),
        ({"rt_start_day": "50", "rt_end_day": "8"}, HERE + "rt_end_day=8: must not lie before"),
        ({"dose_gy": "-60"}, HERE + "dose_gy=-60: must be positive"),
        ({"fractions": "30.5"}, HERE + "fractions=30.5: must be a whole number"),
        ({"patient": ""}, "row 2: patient='': must be a name"),
        ({"slice": "a/b"}, "row 2: slice='a/b': must be a name"),
        ({"weight": "70"}, r"series\.csv: unknown columns \['weight'\]"),
        ({"volume_mm3": "70"}, "a table has one size, in one unit"),
    ],
)
def test_bad_cell_names_row_column_and_rule(tmp_path, change, message):
    row = ROW | change
    with pytest.raises(ValueError, match=message):
        read_series(table(tmp_path, ",".join(row) + "\n" + ",".join(row.values()) + "\n"))


@pytest.mark.parametrize(("key", "named"), [("slice", "slice"), ("area_mm2", "one of area_mm2")])
def test_missing_column_is_named(tmp_path, key, named):
    row = {k: v for k, v in ROW.items() if k != key}
    with pytest.raises(ValueError, match=rf"missing columns \['{named}"):
        read_series(table(tmp_path, ",".join(row) + "\n" + ",".join(row.values()) + "\n"))


def test_rows_of_a_slice_must_be_sorted_by_day(tmp_path):
    text = "patient,slice,day,area_mm2\nP1,a,30,1\nP1,b,0,1\nP1,a,20,2\n"
    with pytest.raises(ValueError, match="row 4: patient=P1 slice=a: day=20 stands below day 30"):
        read_series(table(tmp_path, text))


def test_contradicting_courses_name_the_patient(tmp_path):
    text = "patient,slice,day,area_mm2,rt_start_day,dose_gy\nP1,a,0,1,9,54\nP1,a,1,1,9,60\n"
    with pytest.raises(ValueError, match=r"series\.csv: patient=P1: dose_gy is \[54.0, 60.0\]"):
        read_series(table(tmp_path, text))


def test_empty_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no visit below the header"):
        read_series(table(tmp_path, "patient,slice,day,area_mm2\n"))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"series .*nowhere\.csv"):
        read_series(tmp_path / "nowhere.csv")


def test_series_of_a_store_are_those_of_its_growth_slices(store):
    wanted = [s.timeline for p in store.patients("train") for s in growth_slices(store, p)]
    assert wanted
    assert store_series(store, "train") == wanted


def test_series_of_a_store_survive_the_table(store, tmp_path):
    known = tuple(store_series(store, None))
    assert read_series(write_series(known, tmp_path / "s.csv")).timelines == known


def test_series_of_named_patients_alone(store):
    (name,) = store.patients("test")
    assert {t.patient for t in store_series(store, None, patients=[name])} == {name}
    with pytest.raises(ValueError, match=f"no patient {name!r} in split=train"):
        store_series(store, "train", patients=[name])


def test_without_a_least_growth_every_candidate_is_kept(store):
    grown = {t.name for t in store_series(store, None, min_growth=4.0)}
    every = {t.name for t in store_series(store, None, min_growth=None)}
    assert set() < grown < every


def test_a_tumour_that_is_largest_at_first_has_candidates_but_no_growth():
    areas = np.array([[0, 40.0, 50, 60, 0], [0, 20.0, 30, 40, 0]])
    assert growing(areas) == []
    assert growing(areas, min_growth=None) == [1, 2, 3]


def test_slices_without_tumour_at_first_are_no_series():
    areas = np.array([[0, 40.0, 0], [10, 80.0, 20]])
    assert growing(areas, min_growth=None) == [1]


def test_day_and_size_survive_to_the_last_digit(tmp_path):
    known = replace(series(), visits=(SizeReading(0.1 + 0.2, 1e-7 / 3),))
    assert read_series(write_series([known], tmp_path / "s.csv")).timelines == (known,)
