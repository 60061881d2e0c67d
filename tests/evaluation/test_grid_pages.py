from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mechlearn.evaluation.grid_pages import draw_grids
from mechlearn.evaluation.leaderboards import leaderboard
from mechlearn.evaluation.rows import read_table, write_table


def sweep(root: Path) -> list[dict]:
    """Rows and pairs of 2 x 2 cells: the scale grows the tumour, NL blurs the rest."""
    rng, rows = np.random.default_rng(0), []
    for nl in (100, 200):
        for scale in (1e4, 1e5):
            outside, grown = 0.02 * nl / 100, 0.2 * np.log10(scale / 1e3)
            pairs = [
                {"slice_id": f"P{i}/z50", "patient": f"P{i}", "target_fraction": 0.1,
                 "ssim_outside": 1 - outside, "ratio_requested": 1.4, "ratio_achieved": 1 + grown,
                 "alteration_outside": outside + rng.normal(0, 1e-3), "drift_outside": outside,
                 "tumour_change": grown + rng.normal(0, 1e-3), "hyperintense_fraction": 0.0,
                 "relative_error_abs": abs((1 + grown) / 1.4 - 1),
                 "relative_error_no_change_abs": 0.29}
                for i in range(4)
            ]  # fmt: skip
            cell = f"nl={nl},scale={scale:g}"
            write_table(root / cell / "pairs.csv", pairs)
            rows.append({"job": "grid", "noise_level": nl, "scale": scale, "cell": cell,
                         "ssim_outside": 1 - outside, "n_pairs": 4, "n_patients": 4})  # fmt: skip
    return rows


def test_a_collected_grid_leaves_picture_trends_and_choice(tmp_path: Path) -> None:
    pictures, words = draw_grids(sweep(tmp_path), tmp_path, tmp_path)
    assert [path.name for path in pictures] == ["grid.png"]
    keys = json.loads((tmp_path / "grid.json").read_text())
    assert (keys["choice_noise_level"], keys["choice_scale"], keys["n_cells"]) == (100, 1e5, 4)
    verdicts = {(r["outcome"], r["factor"], r["at"]): r["verdict"]
                for r in read_table(tmp_path / "grid_trends.csv")}  # fmt: skip
    assert verdicts["tumour_change", "scale", "all"] == "holds"
    assert verdicts["hyperintense_fraction", "scale", "all"] == "not shown"
    assert any(line.startswith("choice NL=100, s_R=100000") for line in words)


def test_rows_of_other_jobs_are_no_grid(tmp_path: Path) -> None:
    assert draw_grids([{"job": "sizes", "cell": "0"}], tmp_path, tmp_path) == ([], [])


def test_the_page_shows_intervals_and_what_was_found(tmp_path: Path) -> None:
    rows = sweep(tmp_path)
    page = leaderboard(rows, tmp_path, words=["choice NL=100"])
    assert "choice NL=100" in page.path.read_text()
    first, last = page.boards[0].rows[0], page.boards[0].rows[-1]
    assert (first["method"], first["ssim_outside_low"]) == ("NL=100, s_R=10k", 0.98)
    assert last["relative_error_abs_low"] == last["relative_error_abs_high"] == abs(1.4 / 1.4 - 1)


def test_the_tables_alone_hold_no_pictures_failures_and_commands(tmp_path: Path) -> None:
    picture = tmp_path / "grid.png"
    picture.write_bytes(b"png")
    page = leaderboard([*sweep(tmp_path)], tmp_path, pictures=[picture], commands=["secret"],
                       failures=[("P1", "no tumour")])  # fmt: skip
    whole, tables = page.path.read_text(), page.write_tables(tmp_path / "t.html").read_text()
    for word in ("secret", "P1", "<img"):
        assert word in whole
        assert word not in tables
    assert "NL=100, s_R=10k" in tables
