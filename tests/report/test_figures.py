from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from mechlearn.records import Radiotherapy
from mechlearn.report.forecast_figure import (
    chosen,
    fan_figure,
    forecast_figure,
    map_figure,
    scan_figure,
)
from mechlearn.report.grid_figure import GridExample, grid_figure, grids
from mechlearn.report.grid_scores import GridScores, scale_word, table_of
from mechlearn.report.longitudinal_figures import forecast_scores_figure, longitudinal_figure
from mechlearn.report.size_figure import size_figure
from mechlearn.report.slice_pictures import brain_window
from mechlearn.report.style import BLUE, ORANGE, SKY, VERMILION, png, save


def _labels(figure):
    return {text for ax in figure.axes for text in (ax.get_xlabel(), ax.get_ylabel())}


@pytest.mark.parametrize("known", [True, False])
def test_forecast_sheet_draws_with_and_without_the_truth(patient, known):
    given = {**vars(patient), "follow_up": patient.follow_up if known else None}
    figure = forecast_figure(**given)
    assert png(figure).startswith(b"\x89PNG")
    titles = " ".join(ax.get_title() for ax in figure.axes)
    assert ("true scan, day 150" in titles) is known


def test_fan_chart_names_its_units(patient):
    labels = _labels(fan_figure(patient.timeline, patient.forecast))
    assert labels == {"days since the first visit", "tumour area in this slice (mm²)"}


def test_fan_chart_shades_every_course_and_names_them_once(patient):
    again = replace(patient.timeline, courses=(Radiotherapy(20.0, 62.0), Radiotherapy(100.0)))
    one, two = (fan_figure(t, patient.forecast).axes[0] for t in (patient.timeline, again))
    assert len(two.patches) == len(one.patches) + 1
    assert [text.get_text() for text in two.get_legend().get_texts()].count("radiotherapy") == 1


def test_fan_chart_keeps_the_visits_in_sight_of_a_wild_bootstrap(patient):
    curves = patient.forecast.curves.copy()
    curves[:3] *= 1e6
    forecast = type(patient.forecast)("P01/z060", 150.0, curves[:, -1],
                                      patient.forecast.curve_days, curves, "ode")
    ax = fan_figure(patient.timeline, forecast).axes[0]
    assert ax.get_ylim()[1] < 10 * float(np.median(curves[:, -1]))


def test_fan_chart_says_where_a_wild_interval_leaves_it(patient):
    curves = patient.forecast.curves * np.where(np.arange(30) < 3, 1e6, 1.0)[:, None]
    wild = replace(patient.forecast, curves=curves)
    for forecast, leaves in ((wild, True), (patient.forecast, False)):
        texts = [t.get_text() for t in fan_figure(patient.timeline, forecast).axes[0].texts]
        assert any("leaves the chart" in text for text in texts) is leaves


def test_fan_chart_shows_what_if_in_its_own_colour_and_says_what_it_is_not(patient, untreated):
    ax = fan_figure(patient.timeline, patient.forecast, what_if=untreated).axes[0]
    line = next(item for item in ax.lines if str(item.get_label()).startswith("what if"))
    words = " ".join(str(line.get_label()).split())
    assert words.startswith("what if: no radiotherapy")
    assert "computed from the fitted growth model; not evidence of what treatment would do" in words
    assert line.get_color() not in (BLUE, SKY, ORANGE, VERMILION)
    assert line.get_ydata()[-1] == pytest.approx(untreated.forecast.median)


def test_median_of_random_walks_is_smooth_and_ends_where_it_ends(patient):
    days = np.linspace(0, 150, 120)
    steps = np.random.default_rng(1).normal(0, 10, (30, days.size))
    walks = replace(patient.forecast, curve_days=days, curves=300 + np.cumsum(steps, axis=1),
                    population="ours")  # fmt: skip
    ax = fan_figure(patient.timeline, walks).axes[0]
    drawn = next(x for x in ax.lines if str(x.get_label()).startswith("median")).get_ydata()
    median = np.median(walks.curves, axis=0)
    assert np.abs(np.diff(drawn, 2)).mean() < 0.3 * np.abs(np.diff(median, 2)).mean()
    assert (drawn[0], drawn[-1]) == (median[0], median[-1])


def test_scan_figure_draws_a_single_generation(patient):
    figure = scan_figure(patient.reference, patient.generations[:1])
    assert png(figure).startswith(b"\x89PNG")


def test_low_median_and_high_targets_are_chosen(patient):
    names = [(name, g.target) for name, g in chosen(patient.generations[::-1])]
    ranked = [g.target for g in patient.generations]
    assert names == list(zip(("low", "median", "high"), ranked, strict=True))


def test_window_holds_the_whole_brain(patient):
    brain = patient.reference.brain
    assert brain[brain_window(brain)].sum() == brain.sum()


def test_anterior_rows_are_drawn_on_top(patient):
    ax = map_figure(patient.reference, patient.growth_map).axes[0]
    bottom, top = ax.get_ylim()
    assert bottom > top
    left, right = ax.get_xlim()
    assert left < right


def _grid_rows():
    return [
        {"noise_level": nl, "scale": s, "ssim_inside": 0.9, "ssim_outside": 0.97,
         "relative_error_abs": 0.1, "requested_share": 0.8, "hyperintense_fraction": 0.0}
        for nl in (100, 200) for s in (1e4, 5e4)
    ]


def _grid_scores():
    cells = {(nl, s): nl / 1000 for nl in (100, 200) for s in (1e4, 5e4)}
    pairs = [{"noise_level": nl, "scale": s, "ratio_requested": r, "ratio_achieved": a}
             for nl, s in cells for r, a in ((1.5, 1.3), (0.5, None))]  # fmt: skip
    trend = {"outcome": "tumour_change", "factor": "scale", "verdict": "holds", "rank": 0.8}
    trends = [{**trend, "at": "all", "rank_low": 0.5, "rank_high": 0.9},
              {**trend, "at": "noise_level=100", "rank_low": None, "rank_high": None}]
    return GridScores(_grid_rows()[:-1], pairs, trends, cells, dict.fromkeys(cells, 0.97),
                      [(100, 1e4)], (100, 1e4))  # fmt: skip


def test_grid_has_a_gap_where_a_cell_has_no_row():
    levels, scales, values = table_of(_grid_rows()[:-1], "ssim_inside")
    assert (levels, scales) == ([100, 200], [1e4, 5e4])
    assert np.isnan(values[1, 1])
    assert np.isfinite(values).sum() == 3


@pytest.mark.parametrize("pictures", [True, False])
def test_grid_figure_draws(patient, pictures):
    r = patient.reference
    examples = [
        GridExample(row["noise_level"], row["scale"], r.image[3], r.image[3], r.brain, r.tumour,
                    target=r.tumour, measured=r.tumour)
        for row in _grid_rows()[:-1]
    ]
    figure = grid_figure(_grid_scores(), examples if pictures else ())
    assert png(figure).startswith(b"\x89PNG")


def test_grid_figure_draws_what_little_is_known():
    assert png(grid_figure(GridScores(_grid_rows()))).startswith(b"\x89PNG")


def test_a_sweep_over_guides_is_a_grid_a_guide():
    rows = [{**row, "guide": g, "seed": 0} for row in _grid_rows() for g in ("a", "b")]
    found = grids(rows)
    assert {name: len(part) for name, part in found.items()} == {"guide=a": 4, "guide=b": 4}
    assert list(grids(_grid_rows())) == [""]


def test_every_level_visited_is_one_grid():
    assert list(grids([{**row, "steps": row["noise_level"]} for row in _grid_rows()])) == [""]


def test_scale_is_written_as_the_paper_writes_it():
    assert [scale_word(s) for s in (500, 1e4, 5e5)] == ["500", "10k", "500k"]


def test_size_figure_draws_with_an_undefined_value():
    rows = [{"slice_id": "a", "multiple": m, "ratio_achieved": a, "ratio_guide": m,
             "ssim_outside": 0.96} for m, a in ((0.5, 0.7), (1.0, None), (2.0, 1.8))]
    assert png(size_figure(rows)).startswith(b"\x89PNG")


def test_box_plots_say_how_many_distances_are_undefined():
    rows = [{"hd95_no_change_mm": 5.0, "dice_no_change": 0.8, "hd95_dynamic_mm": value,
             "dice_dynamic": 0.7} for value in (3.0, None, None)]
    ticks = [t.get_text() for t in longitudinal_figure(rows).axes[0].get_xticklabels()]
    assert "(2 undefined)" in ticks[1]
    assert "undefined" not in ticks[0]


def test_without_the_initial_mask_baselines_keep_their_own_numbers():
    rows = [{"hd95_no_change_mm": 5.0, "dice_no_change": 0.8, "hd95_dynamic_alone_mm": 9.0,
             "dice_dynamic_alone": 0.3}] * 2
    figure = longitudinal_figure(rows, include_initial=False)
    assert len(figure.axes[0].get_xticklabels()) == 2


def test_forecast_scores_draw_without_any_forecast():
    assert png(forecast_scores_figure([])).startswith(b"\x89PNG")


def test_saved_figures_are_png_files_and_leave_nothing_else(tmp_path, patient):
    path = save(fan_figure(patient.timeline, patient.forecast), tmp_path / "a" / "fan.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in path.parent.iterdir()] == ["fan.png"]


def test_drawing_leaves_matplotlib_as_it_was(patient):
    before = dict(matplotlib.rcParams)
    forecast_figure(**vars(patient))
    assert dict(matplotlib.rcParams) == before
