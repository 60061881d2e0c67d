from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from mechlearn.report.score_table import score_table
from mechlearn.score import main


def save(path: Path, mask: np.ndarray) -> str:
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.diag([2.0, 2, 2, 1])), path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    x, y, z = np.indices((24, 24, 12))
    far = np.sqrt((x - 12) ** 2 + (y - 12) ** 2 + (z - 6) ** 2)
    return [save(tmp_path / f"{n}.nii.gz", far <= r)
            for n, r in (("pred", 4.2), ("truth", 4.6), ("last", 3))]  # fmt: skip


def test_command_writes_table_figure_and_json(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*files, "--out", str(tmp_path / "out")]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "score.json", "patients.csv", "score.png",
    }  # fmt: skip
    assert "arrival" in capsys.readouterr().out


def test_command_names_what_it_cannot_score(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([files[0], files[1], "nowhere.nii.gz"])
    assert "nowhere.nii.gz: no such file" in capsys.readouterr().err


def test_the_best_value_is_bold_and_an_undefined_one_a_dash() -> None:
    keys = ("dice", "hd95_mm", "surface_dice_2mm", "continuous_dice", "average_precision", "brier",
            "ece", "coverage_15mm")  # fmt: skip

    def line(method: str, value: float | None) -> dict[str, object]:
        row: dict[str, object] = {"method": method, "size": "own"}
        for key in keys:
            row |= {key: value, f"{key}_undefined": int(value is None), f"{key}_interval": None}
        return row

    table = score_table([line("prediction", 0.25), line("no_change", 0.75), line("x", None)], 1)
    dice = list(table.columns[2].cells)
    hd95 = list(table.columns[3].cells)
    assert dice == ["0.250", "[bold]0.750[/bold]", "-"]
    assert hd95 == ["[bold]0.2[/bold]", "0.8", "-"]
    Console(file=None, quiet=True).print(table)
