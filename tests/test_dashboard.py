"""The dashboard's definition, built without an account; test_wandb compares it with real runs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[1] / "experiments" / "dashboard" / "dashboard.py"


@pytest.fixture
def dashboard() -> ModuleType:
    pytest.importorskip("wandb_workspaces")
    spec = importlib.util.spec_from_file_location("dashboard", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_dry_run_prints_the_definition(
    dashboard: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dashboard.main(["--entity", "team", "--project", "tumours", "--dry-run"]) == 0
    view = json.loads(capsys.readouterr().out)
    sections = view["spec"]["section"]["panelBankConfig"]["sections"]
    assert (view["entity"], view["project"]) == ("team", "tumours")
    assert [s["name"] for s in sections][0] == "Training losses"
    assert {"Throughput", "Grid search", "Longitudinal forecasts"} <= {s["name"] for s in sections}


def test_every_metric_stands_in_the_definition(dashboard: ModuleType) -> None:
    definition = dashboard.as_json(dashboard.build("team", "tumours"))
    shown = set().union(*dashboard.logged_keys().values())
    assert not [key for key in shown if key not in definition]
