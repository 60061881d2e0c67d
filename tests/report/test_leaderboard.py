from __future__ import annotations

import numpy as np

from mechlearn.report.leaderboard import Board, Column, board_table, write_leaderboard
from mechlearn.report.map_figures import (
    MapSheet,
    distance_figure,
    maps_figure,
    progression_figure,
)

COLUMNS = (Column("hd95_mm", "HD95, mm", False, 2), Column("dice", "Dice", True))
ROWS = (
    {"method": "ours", "hd95_mm": 4.0, "hd95_mm_low": 3.0, "hd95_mm_high": 5.0, "dice": 0.8},
    {"method": "theirs", "hd95_mm": 6.0, "hd95_mm_empty": 2, "dice": None},
)


def test_the_best_of_each_column_is_marked_in_its_own_direction():
    rows = board_table(Board("b", COLUMNS, ROWS)).rows
    assert rows == [["ours", "4.00 (3.00 to 5.00) *", "0.800 *"], ["theirs", "6.00, 2 empty", "–"]]


def test_a_column_that_no_row_has_is_left_out():
    table = board_table(Board("b", (*COLUMNS, Column("ap", "AP", True)), ROWS))
    assert list(table.columns) == [
        "method", "HD95, mm (lower is better)", "Dice (higher is better)"]


def test_a_small_number_is_not_shown_as_nothing():
    assert board_table(Board("b", [Column("p", "p")], [{"method": "a", "p": 2e-6}])).rows == [
        ["a", "2.0e-06"]]


def test_names_from_outside_cannot_bring_markup(tmp_path):
    board = Board("<i>t</i>", COLUMNS, [{"method": "<script>x</script>", "dice": 0.5}])
    page = write_leaderboard(tmp_path / "p.html", title="<b>", boards=[board],
                             failures=[("<u>P1</u>", "a & b")], settings={"<k>": "<v>"})
    text = page.read_text()
    for markup in ("<script>x", "<i>t", "<u>P1", "<k>", "<v>", "<title><b>"):
        assert markup not in text
    assert "&lt;u&gt;P1" in text
    assert "How to cite" in text


def test_the_page_says_when_nothing_failed(tmp_path):
    page = write_leaderboard(tmp_path / "p.html", title="t", boards=[Board("b", COLUMNS, ROWS)])
    assert "Everything that was started has been scored." in page.read_text()


def test_figures_of_maps_have_a_panel_a_method_and_a_target():
    plane, mask = np.zeros((20, 20)), np.zeros((20, 20), bool)
    mask[5:9, 5:9] = True
    brain = np.ones((20, 20), bool)
    sheet = MapSheet("s", plane, plane, mask, mask, brain, {"dilation": plane},
                     np.zeros((3, 20, 20)), np.array([1.0, 2.0, 3.0]), 1.0)
    assert len(progression_figure([sheet, sheet]).axes) == 2 * 5
    assert len(maps_figure([sheet], ["dilation", "static"]).axes) == 2 + 1  # and the colour bar
    figure = distance_figure({"dilation": [1.0, None]}, {"dilation": [None, None]})
    assert [t.get_text() for t in figure.axes[1].get_xticklabels()] == ["dilation (2 empty)"]
