from __future__ import annotations

import json

import numpy as np
import pytest

from mechlearn.evaluation.rows import (
    read_row,
    read_rows,
    read_table,
    write_failure,
    write_row,
    write_table,
)


def test_row_comes_back_as_written(tmp_path):
    row = {"n": 3, "ssim": 0.5, "law": "ode", "done": True, "hd95_mm": None}
    assert read_row(write_row(tmp_path, row)) == row


def test_nan_becomes_none_with_a_reason(tmp_path):
    row = read_row(write_row(tmp_path, {"hd95_mm": float("nan")}))
    assert row["hd95_mm"] is None
    assert "not a finite number" in row["hd95_mm_reason"]


def test_a_given_reason_is_kept(tmp_path):
    given = {"hd95_mm": float("nan"), "hd95_mm_reason": "empty mask"}
    assert read_row(write_row(tmp_path, given))["hd95_mm_reason"] == "empty mask"


def test_numpy_scalars_become_builtins(tmp_path):
    path = write_row(tmp_path, {"a": np.float32(0.5), "n": np.int64(2), "ok": np.bool_(True)})
    assert json.loads(path.read_text()) == {"a": 0.5, "n": 2, "ok": True}


def test_arrays_are_refused_by_name(tmp_path):
    with pytest.raises(TypeError, match="row key curve: ndarray"):
        write_row(tmp_path, {"curve": np.zeros(3)})


def test_a_failing_write_leaves_the_old_row_and_no_debris(tmp_path):
    write_row(tmp_path, {"n": 1})
    with pytest.raises(TypeError):
        write_row(tmp_path, {"n": object()})
    assert read_row(tmp_path / "row.json") == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["row.json"]


def test_a_row_clears_the_failure_beside_it(tmp_path):
    write_failure(tmp_path, ValueError("no"))
    write_row(tmp_path, {"n": 1})
    assert not (tmp_path / "failed.json").exists()


def test_broken_row_names_the_file(tmp_path):
    (tmp_path / "row.json").write_text("{")
    with pytest.raises(ValueError, match=r"row\.json: is not valid JSON"):
        read_rows(tmp_path)


def test_table_keeps_types_and_gaps(tmp_path):
    rows = [{"cell": "0", "n": 2, "x": 0.25}, {"cell": "b", "n": 3, "word": "ode"}]
    path = write_table(tmp_path / "t.csv", rows, first=("cell",))
    assert path.read_text().splitlines()[0] == "cell,n,word,x"
    assert read_table(path)[1] == {"cell": "b", "n": 3, "word": "ode", "x": None}


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+x", "-2+x", "\t=1", "'P1"])
def test_a_name_is_no_formula_in_a_spreadsheet_and_reads_back(tmp_path, name):
    path = write_table(tmp_path / "t.csv", [{"patient": name, "dice": -0.5}])
    assert path.read_text().splitlines()[1].startswith(("'", "\"'", "-0.5,'"))
    assert read_table(path) == [{"patient": name, "dice": -0.5}]
