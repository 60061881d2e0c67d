"""Drawn slices are kept as they are finished, so that an interrupted drawing goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mechlearn.evaluation import forecast_scans
from mechlearn.evaluation.scan_drawing import DrawnSlice, DrawnVerdict
from mechlearn.records import AxialSlice


@pytest.fixture
def scan() -> AxialSlice:
    brain = np.zeros((12, 12), bool)
    brain[2:10, 2:10] = True
    labels = np.zeros((12, 12), np.uint8)
    labels[5:7, 5:7] = 2
    image = np.where(brain, -0.2, -1.0) + 0.8 * (labels > 0)
    return AxialSlice("P", "v0", 0.0, 7, np.stack([image] * 4).astype(np.float32), labels, brain,
                      (1.0, 1.0))  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds of what was drawn anew."""
    drawn: list[int] = []

    def draw(scan: AxialSlice, targets: Any, *, model: Any, seed: int) -> list[DrawnSlice]:
        drawn.append(seed)
        verdict = DrawnVerdict(None, {"asked_mm2": 4.0, "distance_t2f": None}, ("too dark",))
        return [DrawnSlice(scan.image + k, scan.labels, verdict) for k, _ in enumerate(targets)]

    monkeypatch.setattr(forecast_scans, "draw_slices", draw)
    return drawn


def test_a_finished_slice_is_not_drawn_again(
    scan: AxialSlice, calls: list[int], tmp_path: Path
) -> None:
    model: Any = SimpleNamespace(digest="abc")
    targets = [scan.labels, scan.labels]
    first = forecast_scans._pictures(scan, targets, model, 0, tmp_path)
    again = forecast_scans._pictures(scan, targets, model, 0, tmp_path)
    assert calls == [0]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        assert (a.verdict.words, a.verdict.figures) == (b.verdict.words, b.verdict.figures)
    forecast_scans._pictures(scan, targets, model, 1, tmp_path)
    forecast_scans._pictures(scan, targets[:1], model, 1, tmp_path)
    assert calls == [0, 1, 1]


def test_sizes_of_an_unchanged_picture_are_those_of_the_scan(scan: AxialSlice) -> None:
    picture = DrawnSlice(scan.image, scan.labels, DrawnVerdict(None, {}, ()))
    row = forecast_scans._sizes_of(scan, picture)
    assert (row["last_mm2"], row["asked_mm2"], row["achieved_mm2"]) == (4.0, 4.0, 4.0)
