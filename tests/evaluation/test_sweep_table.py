from __future__ import annotations

import pytest
import yaml

from mechlearn.evaluation.rows import write_failure, write_row
from mechlearn.evaluation.sweep_table import collect
from mechlearn.evaluation.sweeps import expected_cells


def _sweep(root, overrides, params=None):
    root.mkdir(parents=True, exist_ok=True)
    hydra = {"sweeper": {"params": params}, "overrides": {"task": overrides}}
    (root / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    return root


def _job(root, number, overrides):
    folder = root / str(number)
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    return folder


def test_every_cell_of_a_sweep_is_expected_in_order(tmp_path):
    root = _sweep(tmp_path, ["+experiment=grid_search", "sampler.nl=100,200"],
                  {"sampler.scale": "10k,50k"})
    cells = expected_cells(root / "multirun.yaml")
    assert [(c["sampler.scale"], c["sampler.nl"]) for c in cells] == [
        ("10k", "100"), ("10k", "200"), ("50k", "100"), ("50k", "200")]
    assert {c["experiment"] for c in cells} == {"grid_search"}


def test_command_line_wins_over_the_sweepers_own_parameters(tmp_path):
    root = _sweep(tmp_path, ["sampler.nl=50"], {"sampler.nl": "100,200"})
    assert expected_cells(root / "multirun.yaml") == [{"sampler.nl": "50"}]


def test_commas_inside_brackets_do_not_split(tmp_path):
    root = _sweep(tmp_path, ["multiples=[1,2],[3,4]", "seed=range(0,3)", "law=choice(ode,eq6)"])
    cells = expected_cells(root / "multirun.yaml")
    assert {c["multiples"] for c in cells} == {"[1,2]", "[3,4]"}
    assert {c["seed"] for c in cells} == {"0", "1", "2"}
    assert len(cells) == 12


def test_rows_failures_and_gaps_are_distinguished(tmp_path):
    root = _sweep(tmp_path, ["sampler.nl=100,200,300,400"])
    write_row(_job(root, 0, ["sampler.nl=100"]), {"ssim_outside": 0.9, "noise_level": 100})
    write_failure(_job(root, 1, ["sampler.nl=200"]), ValueError("sampler.nl=200: too much"))
    _job(root, 2, ["sampler.nl=300"])
    result = collect(root)
    assert result.n_rows == 1
    assert not result.complete
    assert [(c.name, c.reason) for c in result.failed] == [
        ("1", "ValueError: sampler.nl=200: too much")]
    assert [(c.name, c.overrides) for c in result.missing] == [
        ("2", "sampler.nl=300"), ("3", "sampler.nl=400")]
    assert result.missing[1].reason == "never started"
    assert "ssim_outside" in result.table.read_text()


def test_a_failure_after_a_row_is_a_failure(tmp_path):
    write_row(tmp_path / "0", {"n": 1})
    write_failure(tmp_path / "0", RuntimeError("second run"))
    result = collect(tmp_path)
    assert result.n_rows == 0
    assert result.table is None
    assert len(result.failed) == 1


def test_a_single_job_is_a_sweep_of_one(tmp_path):
    write_row(tmp_path, {"n": 1})
    result = collect(tmp_path)
    assert result.complete
    assert result.rows[0]["cell"] == "."


def test_cells_come_in_number_order(tmp_path):
    for name in ("10_a=1", "9_a=2", "2_a=3"):
        write_row(tmp_path / name, {"n": 1})
    assert [row["cell"] for row in collect(tmp_path).rows] == ["2_a=3", "9_a=2", "10_a=1"]


def test_a_wrong_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        collect(tmp_path / "nowhere")
