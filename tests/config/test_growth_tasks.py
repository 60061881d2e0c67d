"""Tasks of sizes alone, as typed: no model is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mechlearn.collect import main as collect_main
from mechlearn.config import model_checks
from mechlearn.evaluation.rows import read_table
from mechlearn.growth.population_file import load_ensemble

Command = Callable[..., tuple[int, str]]
QUICK = ("growth.n_bootstrap=10", "growth.n_starts=1", "growth.curve_points=20",
         "task.laws=[exponential,carry_forward]", "task.folds=2")  # fmt: skip


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("a task of sizes alone loads no model")

    monkeypatch.setattr(model_checks, "load_models", refuse)


@pytest.mark.usefixtures("no_models")
def test_growth_fits_leaves_a_row_a_table_and_pictures(
    command: Command, sizes: Path, tmp_path: Path
) -> None:
    job = tmp_path / "job"
    status, err = command(
        "evaluate", "+experiment=growth_fits", f"task.series={sizes}", "growth=pooled",
        "growth.population=cross_fit", *QUICK, f"hydra.run.dir={job}",
    )  # fmt: skip
    assert status == 0, err
    row = json.loads((job / "row.json").read_text())
    assert (row["job"], row["law"], row["n_patients"]) == ("growth_fits", "pooled", 6)
    assert (row["population"], row["data"]) == ("cross_fit", "series")
    assert len(read_table(job / "slices.csv")) == 12
    assert {p.name for p in job.glob("*.png")} == {"fans.png", "scores.png"}


@pytest.mark.usefixtures("no_models")
def test_a_sweep_over_laws_is_one_table_with_a_line_a_law(
    command: Command, sizes: Path, tmp_path: Path
) -> None:
    sweep = tmp_path / "sweep"
    status, err = command(
        "evaluate", "-m", "+experiment=growth_fits", f"task.series={sizes}",
        "growth=exponential,gompertz", *QUICK, f"hydra.sweep.dir={sweep}",
    )  # fmt: skip
    assert status == 0, err
    assert collect_main([str(sweep)]) == 0
    assert [r["law"] for r in read_table(sweep / "table.csv")] == ["exponential", "gompertz"]
    assert {p.name for p in sweep.glob("*.png")} == {"laws.png", "scores.png"}


@pytest.mark.usefixtures("no_models")
def test_population_leaves_the_file_that_a_forecast_takes(
    command: Command, sizes: Path, tmp_path: Path
) -> None:
    job = tmp_path / "job"
    status, err = command("evaluate", "+experiment=population", f"task.series={sizes}", *QUICK,
                          "task.floor=20", f"hydra.run.dir={job}")
    assert status == 0, err
    ensemble = load_ensemble(job / "population.json")
    assert ensemble.about["cohort"] == "sizes.csv"
    assert "+experiment=population" in ensemble.about["command"]
    assert json.loads((job / "row.json").read_text())["n_patients"] == 6


def test_a_series_file_that_is_not_there_is_refused(command: Command) -> None:
    status, err = command("evaluate", "+experiment=growth_fits", "growth=ode",
                          "task.series=none.csv")
    assert status == 1
    assert "none.csv" in err
    assert "Traceback" not in err
