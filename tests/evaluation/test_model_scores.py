from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.evaluation.model_entries import map_path, read_held_out, read_sizes
from mechlearn.evaluation.model_scores import score_models, table_of

command = importlib.import_module("mechlearn.score")  # `mechlearn.score` is a function too
EXAMPLE = Path(__file__).parents[2] / "examples" / "dilation_model.py"
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
HEADER = "patient,session,day,t1n,seg,label_scheme\n"


def ball(radius, shift=0):
    x, y, z = np.indices((24, 24, 16))
    return np.sqrt((x - 12 - shift) ** 2 + (y - 12) ** 2 + (z - 8) ** 2) <= radius


def save(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, AFFINE), path)


@pytest.fixture
def visits(tmp_path):
    """Two patients; P1 has three visits, P2 two."""
    lines = []
    for patient, days in (("P1", (0, 60, 120)), ("P2", (0, 90))):
        for i, day in enumerate(days):
            name = f"{patient}_{day}"
            save(tmp_path / f"{name}_t1.nii.gz", ball(11).astype(np.float32))
            save(tmp_path / f"{name}_seg.nii.gz", (2 * ball(3 + i)).astype(np.uint8))
            lines.append(f"{patient},d{day},{day},{name}_t1.nii.gz,{name}_seg.nii.gz,brats2021\n")
    (tmp_path / "visits.csv").write_text(HEADER + "".join(lines))
    return tmp_path / "visits.csv"


@pytest.fixture
def dilated(visits, tmp_path, monkeypatch):
    """The folder that the example writes, as its user would run it."""
    out = tmp_path / "my_dilation"
    monkeypatch.setattr(sys, "argv", ["dilation_model.py", str(visits), str(out)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    return out


def test_the_example_imports_nothing_of_ours_and_is_scored(dilated, visits):
    assert "import mechlearn" not in EXAMPLE.read_text()
    scores = score_models([dilated], read_held_out(visits))
    assert (scores.n_cases, scores.failures) == (3, ())
    lines = {(r["method"], r["size"]): r for r in table_of(scores.rows)}
    assert lines["my_dilation", "own"]["n"] == 3
    assert lines["my_dilation", "own"]["dice"] > lines["no_change", "own"]["dice"]
    assert {"dilation", "fisher_kpp", "arrival_order"} <= {m for m, size in lines if size == "true"}
    assert {r["covered"] for r in scores.sizes} <= {0.0, 1.0}


def test_a_containers_output_is_of_the_last_visit(visits, tmp_path):
    save(tmp_path / "mlcube_io1" / "P1.nii.gz", ball(5).astype(np.float32))
    cases = {(c.patient, c.day): c for c in read_held_out(visits)}
    folder = tmp_path / "mlcube_io1"
    assert map_path(folder, cases["P1", 120.0]) == folder / "P1.nii.gz"
    assert map_path(folder, cases["P1", 60.0]) is None
    scores = score_models([folder], list(cases.values()))
    assert scores.failures == (("mlcube_io1", "P2, day 90", "no map"),)
    own = next(r for r in scores.rows if r["method"] == "mlcube_io1" and r["size"] == "own")
    assert own["dice"] == 1.0


def test_an_unusable_map_is_a_failure_with_its_reason_and_the_others_are_scored(dilated, visits):
    nib.save(nib.Nifti1Image(np.full((24, 24, 16), 7.5, np.float32), AFFINE),
             dilated / "P2" / "90.nii.gz")
    scores = score_models([dilated], read_held_out(visits))
    assert [(m, v) for m, v, _ in scores.failures] == [("my_dilation", "P2, day 90")]
    assert "probabilities" in scores.failures[0][2]
    assert {r["patient"] for r in scores.rows} == {"P1"}


def test_baselines_at_the_true_size_stand_once_for_many_models(dilated, visits, tmp_path):
    other = tmp_path / "other"
    save(other / "P1" / "120.nii.gz", ball(5).astype(np.float32))
    scores = score_models([dilated, other], read_held_out(visits))
    lines = {(r["method"], r["size"]): r["n"] for r in table_of(scores.rows)}
    assert lines["dilation", "true"] == 3
    assert lines["dilation", "my_dilation"] == 3
    assert lines["dilation", "other"] == 1


def test_a_table_of_cases_is_read_too(visits, tmp_path, dilated):
    table = tmp_path / "cases.csv"
    table.write_text("patient,day,truth,last\nP2,90,P2_90_seg.nii.gz,P2_0_seg.nii.gz\n")
    cases = read_held_out(table)
    assert [(c.patient, c.day, c.brain, c.is_last) for c in cases] == [("P2", 90.0, "", True)]
    assert score_models([dilated], cases).failures == ()


def test_sizes_are_refused_where_the_interval_misses_the_median(tmp_path):
    (tmp_path / "sizes.csv").write_text("patient,day,median_mm3,low_mm3\nP1,60,5,9\n")
    with pytest.raises(ValueError, match=r"low_mm3=9.*must lie in the interval"):
        read_sizes(tmp_path)
    assert read_sizes(tmp_path / "nowhere") == {}


def test_a_folder_without_any_map_names_what_was_expected(visits, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"P1/120\.nii\.gz or P1\.nii\.gz"):
        score_models([tmp_path / "empty"], read_held_out(visits))


def test_the_command_writes_one_page_and_says_what_failed(dilated, visits, tmp_path, capsys):
    (dilated / "P2" / "90.nii.gz").unlink()
    out = tmp_path / "out"
    assert command.main([str(dilated), "--cases", str(visits), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "my_dilation: P2, day 90: no map" in shown.err.replace("\n", " ")
    page = (out / "leaderboard.html").read_text()
    assert "my_dilation: P2, day 90" in page
    assert "at the size of my_dilation" in page
    assert {p.name for p in out.iterdir()} == {
        "leaderboard.html", "leaderboard.csv", "scores.csv", "sizes.csv"}


def test_further_folders_without_cases_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["a", "b", "c", "d"])
    assert "--cases" in capsys.readouterr().err
