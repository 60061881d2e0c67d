from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from mechlearn.records import Patient, SizeForecast, SizeReading, SizeSeries, Visit
from mechlearn.report.result_file import day_record, file_records, input_records, result_record


def test_digests_are_those_of_the_files(tmp_path: Path) -> None:
    for name in ("a.nii", "seg.nii"):
        (tmp_path / name).write_bytes(name.encode())
    visit = Visit("v0", 0.0, {"t2f": tmp_path / "a.nii"}, tmp_path / "seg.nii")
    given = input_records(Patient("P", (visit,)))
    assert [(r["session"], r["role"]) for r in given] == [("v0", "t2f"), ("v0", "seg")]
    assert given[0]["sha256"] == hashlib.sha256(b"a.nii").hexdigest()
    written = file_records(tmp_path, [tmp_path / "seg.nii"])
    assert written == [{"path": "seg.nii", "bytes": 7,
                        "sha256": hashlib.sha256(b"seg.nii").hexdigest()}]  # fmt: skip


def test_the_record_is_json_and_holds_each_day() -> None:
    series = SizeSeries("P", "P", (SizeReading(0, 1000.0),), unit="mm3")
    samples = np.linspace(500, 2000, 101)
    curves = np.stack([np.full(101, 1000.0), samples], 1)
    size = SizeForecast(
        "P", 60.0, samples, np.array([0.0, 60.0]), curves, "learned", unit="mm3"
    )  # fmt: skip
    day = day_record(size, series, (100.0, 80.0, 130.0))
    record = result_record(
        patient=Patient("P", (Visit("v0", 0.0),)), series=series, days=[day], seed=1,
        settings={"seed": 1}, command="x", prior={}, weights=[], warnings=["w"], inputs=[],
        files=[],
    )  # fmt: skip
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again["days"][0]["volume_ml"]["median"] == 1.25
    assert again["days"][0]["largest_axial_section_mm2"]["high"] == 130.0
    assert again["versions"]["mechlearn"]


def test_tables_stand_among_the_inputs(tmp_path: Path) -> None:
    table = tmp_path / "visits.csv"
    table.write_text("patient,day,volume_mm3\nP,0,9\n")
    visit = Visit("a", 0.0, volumes_mm3={"whole": 9.0})
    (entry,) = input_records(Patient("P", (visit,)), tables={"visits": table})
    assert entry["role"] == "visits"
    assert entry["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
