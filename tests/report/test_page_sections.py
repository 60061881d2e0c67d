from __future__ import annotations

from dataclasses import replace

from mechlearn.report.page_sections import overview_table, slice_section

COMPARISON = [
    {"method": "no_change", "area_mm2": 700.0, "hd95_mm": 6.0, "dice": 0.7, "brier": None},
]


def test_a_known_truth_is_named_and_compared(patient):
    section = slice_section(**vars(patient), comparison=COMPARISON)
    assert "not used for the forecast" in section.paragraphs[1]
    assert list(section.tables[0].columns)[2:] == ["HD95 (mm)", "Dice", "Brier score"]


def test_without_a_truth_only_areas_are_listed(patient):
    given = {**vars(patient), "follow_up": None}
    section = slice_section(**given, comparison=COMPARISON)
    assert list(section.tables[0].columns) == ["method", "area (mm²)"]
    assert not any("True scan" in text for text in section.paragraphs)


def test_every_picture_is_an_svg(patient):
    section = slice_section(**vars(patient))
    assert len(section.pictures) == 3
    assert all(b"<svg" in p.content[:300] for p in section.pictures)


def test_what_if_has_its_interval_and_a_warning(patient, untreated):
    text = " ".join(slice_section(**vars(patient), what_if=untreated).paragraphs)
    low, high = untreated.forecast.interval()
    assert f"What if: no radiotherapy: {untreated.forecast.median:.0f} mm²" in text
    assert f"{low:.0f} to {high:.0f} mm²" in text
    assert "computed from the fitted growth model; not evidence of what treatment would do" in text
    assert "25% of the draws are of growth models without radiotherapy" in text


def test_what_the_visits_fix_is_unfolded_by_the_reader(patient):
    section = slice_section(**vars(patient), identified="slope: flat")
    assert [part.text for part in section.details] == ["slope: flat"]
    assert not slice_section(**vars(patient)).details


def test_population_is_named_with_the_weights_of_its_laws(patient):
    forecast = replace(patient.forecast, population="ours", weights={"ode": 0.7, "gompertz": 0.3})
    lines = slice_section(**{**vars(patient), "forecast": forecast}).paragraphs
    weights = "growth models and their weights: ode 70%, gompertz 30%."
    assert f"Population ours, 30 draws; {weights}" in lines


ROWS = [
    {"slice_id": f"P01/z0{z}", "area_last_mm2": 700.0, "forecast_median_mm2": 900.0,
     "forecast_low_mm2": 800.4, "forecast_high_mm2": 1200.4}
    for z in (60, 70)
]  # fmt: skip


def test_overview_has_a_column_a_slice_and_only_known_lines():
    table = overview_table(ROWS)
    assert list(table.columns) == ["", "z060", "z070"]
    assert [row[0] for row in table.rows] == [
        "last scan (mm²)", "forecast, median (mm²)", "forecast, 95% interval (mm²)",
    ]  # fmt: skip
    assert table.rows[2][1] == "800 to 1200"


def test_overview_shows_a_what_if_beside_the_forecast():
    asked = {"what_if_median_mm2": 950.0, "what_if_low_mm2": 810.0, "what_if_high_mm2": 1300.0}
    table = overview_table([row | asked for row in ROWS], what_if="no radiotherapy")
    lines = {row[0]: row[1] for row in table.rows}
    assert lines["what if, median (mm²)"] == 950.0
    assert lines["what if, 95% interval (mm²)"] == "810 to 1300"
    assert "What if: no radiotherapy" in table.caption
