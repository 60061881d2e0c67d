"""Where series of sizes come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from mechlearn.config.evaluating import task_spec
from mechlearn.config.series_source import check_series, open_series
from mechlearn.records import SizeSeries

Compose = Callable[..., DictConfig]
FITS = ("evaluate", "+experiment=growth_fits", "growth=exponential")


def opened(cfg: DictConfig) -> tuple[SizeSeries, ...]:
    return open_series(cfg, task_spec(cfg)).timelines


def test_a_table_of_sizes_comes_first(composed: Compose, sizes: Path, cohort: list) -> None:
    cfg = composed(*FITS, f"task.series={sizes}")
    assert sorted(opened(cfg), key=lambda t: t.name) == cohort


def test_limits_spread_over_patients(composed: Compose, sizes: Path) -> None:
    cfg = composed(*FITS, f"task.series={sizes}", "task.patients=3", "task.slices=4")
    assert [t.name for t in opened(cfg)] == ["P0/z50", "P1/z50", "P2/z50", "P0/z55"]


def test_a_bad_table_is_refused_before_anything_runs(composed: Compose, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("patient,slice,day,area_mm2\nP1,z1,0,-3\n")
    cfg = composed(*FITS, f"task.series={tmp_path}/bad.csv")
    with pytest.raises(ValueError, match="area_mm2=-3"):
        check_series(cfg, task_spec(cfg))


def test_unit_of_the_table_travels_along(composed: Compose, tmp_path: Path) -> None:
    rows = "".join(f"P1,et,{day},{900 + day}\n" for day in (0, 30, 60))
    (tmp_path / "volumes.csv").write_text("patient,slice,day,volume_mm3\n" + rows)
    cfg = composed(*FITS, f"task.series={tmp_path}/volumes.csv")
    assert open_series(cfg, task_spec(cfg)).unit == "mm3"


def test_missing_store_is_named_with_its_command(composed: Compose) -> None:
    cfg = composed(*FITS, "data=brats", "data.root=/b")
    with pytest.raises(FileNotFoundError, match=r"mechlearn\.prepare data=brats"):
        check_series(cfg, task_spec(cfg))


def test_only_phantoms_have_a_split_of_series(composed: Compose) -> None:
    cfg = composed(*FITS, "data=brats", "task.split=series")
    with pytest.raises(ValueError, match=r"task\.split='series': must be one of train, val, test"):
        check_series(cfg, task_spec(cfg))


def test_packaged_population_is_not_scored_on_its_own_phantoms(composed: Compose) -> None:
    cfg = composed("evaluate", "+experiment=growth_fits", "growth=pooled", "task.split=series")
    with pytest.raises(ValueError, match=r"growth\.population=cross_fit"):
        check_series(cfg, task_spec(cfg))


def test_phantoms_are_measured_and_never_painted(composed: Compose, tmp_path: Path) -> None:
    """Finished patients lie below paths.data: here one that was made up."""
    cfg = composed(*FITS, "data.phantom.n_test=1", "task.min_area_mm2=150", "task.count=3")
    areas = np.outer([1.0, 0.5, 2.0], [0, 100, 200, 300, 200, 100, 0])
    course = {"days": [0, 50, 90], "rt_start_day": 20, "rt_end_day": 62, "dose_gy": 60.0,
              "fractions": 30}  # fmt: skip
    drawn = {"seed": 2026, "voxel_mm": 1.5, "train_visits": 2, "test_visits": [4, 7]}
    folder = tmp_path / "data" / "phantom_series"
    folder.mkdir(parents=True)
    (folder / "MLP-GLI-90001.json").write_text(json.dumps({
        "patient": "MLP-GLI-90001", "sessions": ["a", "b", "c"], "days": [0.0, 50.0, 90.0],
        "areas_mm2": areas.tolist(), "truth": {"course": course}, "spec": drawn,
    }))
    found = opened(cfg)
    assert [t.name for t in found] == [f"MLP-GLI-90001/z00{z}" for z in (2, 3, 4)]
    assert found[0].courses[0].end_day == 62.0
    assert not (tmp_path / "stores").exists()
