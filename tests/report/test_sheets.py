from __future__ import annotations

from mechlearn.report.sheets import slice_section

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
    assert len(section.paragraphs) == 1


def test_every_picture_is_a_png(patient):
    section = slice_section(**vars(patient))
    assert len(section.pictures) == 3
    assert all(p.content.startswith(b"\x89PNG") for p in section.pictures)
