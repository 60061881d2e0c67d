from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mechlearn.records import SizeReading
from mechlearn.report.growth_figures import (
    Fan,
    fans_figure,
    laws_figure,
    method_labels,
    scores_figure,
)
from mechlearn.report.style import png


def _slices(law=0.2, rivals=0.4):
    return [
        {"patient": f"P{p}", "nrmse": law + 0.01 * p, "crps_relative": law, "r_squared_all": 0.9,
         **{f"{score}_{rival}": rivals for score in ("nrmse", "crps_relative", "r_squared_all")
            for rival in ("carry_forward", "linear", "exponential")}}
        for p in range(4) for _ in range(3)
    ]  # fmt: skip


def _row(law, **given):
    row = {"job": "growth_fits", "law": law, "population": None, "n_slices": 12, "n_patients": 4}
    for suffix in ("", "_carry_forward", "_linear", "_exponential"):
        for key, value in (("nrmse_median", 0.3), ("crps_relative_mean", 0.4),
                           ("coverage_95", 0.9)):
            row |= {f"{key}{end}{suffix}": value + off for end, off in
                    (("", 0.0), ("_low", -0.1), ("_high", 0.1))}
        row |= {f"nrmse_median_v{n}{suffix}": 0.3 for n in (4, 5)}
    return row | {"n_slices_v4": 6, "n_slices_v5": 6} | given


def _fans(patient, count):
    truth = SizeReading(150.0, 400.0)
    return [Fan(patient.timeline, patient.forecast, truth)] * count


@pytest.mark.parametrize(("count", "panels"), [(0, 0), (1, 1), (4, 4), (9, 6)])
def test_a_sheet_holds_up_to_six_fans(patient, count, panels):
    figure = fans_figure(_fans(patient, count))
    assert len([ax for ax in figure.axes if ax.lines]) == panels
    assert png(figure).startswith(b"\x89PNG")


def test_fans_of_volumes_are_labelled_so(patient):
    figure = fans_figure(_fans(patient, 1), unit="mm3")
    assert figure.axes[0].get_ylabel() == "tumour volume (mm³)"


def test_every_fan_names_its_slice_and_its_forecast(patient):
    ax = fans_figure(_fans(patient, 2)).axes[1]
    assert ax.get_title(loc="left") == "P01/z060"
    assert any("true 400" in text.get_text() for text in ax.texts)


def test_legend_names_radiotherapy_that_only_a_later_slice_had(patient):
    plain = replace(patient.timeline, courses=())
    fans = [replace(fan, timeline=t) for fan, t in
            zip(_fans(patient, 2), (plain, patient.timeline), strict=True)]
    words = [text.get_text() for text in fans_figure(fans).legends[0].get_texts()]
    assert words.count("radiotherapy") == 1


def test_a_point_of_the_box_plots_is_a_patient():
    ax = scores_figure({"pooled": _slices()}).axes[1]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [4, 4, 4, 4]


def test_a_rival_in_the_sweep_is_drawn_once():
    figure = scores_figure({"linear": _slices(), "ode": _slices()})
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert names == ["linear", "ode", "carry forward", "exponential"]


def test_patients_beyond_the_axis_are_counted():
    rows = _slices()
    for row in rows[:3]:
        row["nrmse"] = 50.0
    texts = [t.get_text() for t in scores_figure({"ode": rows}).axes[1].texts]
    assert [t.strip() for t in texts] == ["1 beyond"]


def test_a_score_that_nobody_has_is_called_undefined():
    rows = [{**row, "r_squared_all_carry_forward": None} for row in _slices()]
    texts = [t.get_text() for t in scores_figure({"ode": rows}).axes[0].texts]
    assert texts == ["undefined"]


def test_laws_of_a_sweep_stand_beside_the_rivals():
    figure = laws_figure([_row("ode"), _row("pooled", population="phantom")])
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert names == ["ode", "pooled", "carry forward", "linear", "exponential"]
    assert png(figure).startswith(b"\x89PNG")


def test_an_undefined_score_leaves_a_gap():
    figure = laws_figure([_row("ode", coverage_95=None, nrmse_median_v4=None), _row("pooled")])
    drawn = figure.axes[3].lines[0].get_ydata()
    assert np.isnan(drawn[0])
    assert png(figure).startswith(b"\x89PNG")


def test_rows_of_one_growth_model_are_named_by_their_settings():
    rows = [_row("ode"), _row("pooled", population="phantom"), _row("pooled", population="a.json")]
    assert method_labels(rows) == ["ode", "pooled population=phantom", "pooled population=a.json"]


def test_a_law_that_skipped_slices_says_so_and_the_rivals_come_from_another():
    rows = [_row("ode", n_slices=9, n_skipped=3, nrmse_median_linear=9.0), _row("pooled")]
    ax = laws_figure(rows).axes[0]
    assert ax.get_yticklabels()[0].get_text() == "ode\n(3 skipped)"
    assert max(line.get_xdata().max() for line in ax.lines) < 9.0
