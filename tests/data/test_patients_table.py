"""Covariates, treatments and a second compartment beside a table of sizes."""

from __future__ import annotations

import pytest

from mechlearn.api import Patient
from mechlearn.data.patients_table import complete, known_patient, read_patients
from mechlearn.data.size_table import read_series
from mechlearn.records import SizeReading, Treatment

SIZES = "patient,slice,day,volume_mm3\nP1,flair,0,10\nP1,flair,30,20\nP2,flair,0,5\n"
PATIENTS = ("patient,age,idh,surgery_day,chemo_start_day,chemo_end_day,hospital\n"
            "P1,61,wildtype,-30,-10,20,A\nP3,50,,,,,B\n")  # fmt: skip


def write(path, text):
    path.write_text(text)
    return path


def test_a_patients_row_becomes_covariates_and_treatments(tmp_path):
    facts = read_patients(write(tmp_path / "p.csv", PATIENTS))
    assert facts["P1"].covariates == {"age": "61", "idh": "wildtype"}
    assert facts["P1"].treatments == (Treatment("surgery", -30.0),
                                      Treatment("chemotherapy", -10.0, 20.0))  # fmt: skip
    assert facts["P3"].treatments == ()


def test_series_take_what_is_known_of_their_patients(tmp_path):
    series = read_series(write(tmp_path / "s.csv", SIZES)).timelines
    known = complete(series, patients=write(tmp_path / "p.csv", PATIENTS))
    assert known[0].covariates["age"] == "61"
    assert known[1].covariates == {}
    assert known[0].compartment == "flair"
    assert known[0].unit == "mm3"


def test_a_second_table_becomes_a_companion(tmp_path):
    series = read_series(write(tmp_path / "s.csv", SIZES)).timelines
    other = write(tmp_path / "o.csv", SIZES.replace("flair", "enhancing"))
    known = complete(series, companion=other)
    assert known[1].companions == {"enhancing": (SizeReading(0.0, 5.0),)}


def test_compartments_of_one_table_are_companions_and_time_is_kept(tmp_path):
    text = SIZES + "P1,enhancing,0,1\nP1,enhancing,30,2\n"
    flair = read_series(write(tmp_path / "s.csv", text)).timelines[0]
    assert len(flair.companions["enhancing"]) == 2
    assert len(flair.before(30).companions["enhancing"]) == 1


def test_tables_that_name_patients_differently_are_refused(tmp_path):
    series = read_series(write(tmp_path / "s.csv", SIZES)).timelines
    with pytest.raises(ValueError, match="none of the 2 series"):
        complete(series, patients=write(tmp_path / "p.csv", PATIENTS.replace("P1", "X1")))


def test_a_patient_on_two_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"row 4: patient=P1: stands twice"):
        read_patients(write(tmp_path / "p.csv", PATIENTS + "P1,61,,,,,\n"))


def test_a_patient_takes_its_row_and_another_is_refused(tmp_path):
    table = write(tmp_path / "p.csv", PATIENTS)
    sizes = write(tmp_path / "s.csv", SIZES)
    known = Patient.from_csv(sizes, "P1", patients_table=table)
    assert known.covariates == {"age": "61", "idh": "wildtype"}
    assert [t.kind for t in known.treatments] == ["surgery", "chemotherapy"]
    assert known_patient(known, None) is known
    with pytest.raises(ValueError, match=r"patients_table=.*none called 'P2'.*name patients alike"):
        Patient.from_csv(sizes, "P2", patients_table=table)
