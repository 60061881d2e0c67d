"""What is sent of patients: pseudonyms that join tables, no texts, days or places of files."""

from __future__ import annotations

import pytest

from mechlearn.config.pseudonyms import (
    HIDDEN,
    without_patients,
    without_places,
    words_without_places,
)

MAPS = [
    {"patient": "Anna", "slice_id": "Anna/z3", "method": "front", "dice": 0.8, "day": 18_300.0},
    {"patient": "Karl", "slice_id": "Karl/z9", "method": "front", "dice": 0.7, "day": 18_301.0},
]


def test_one_patient_has_one_pseudonym_in_all_tables() -> None:
    told = without_patients({"maps": MAPS, "sizes": [{"patient": "Karl", "nrmse": 0.1}]})
    assert [row["patient"] for row in told["maps"]] == ["patient 1", "patient 2"]
    assert told["sizes"] == [{"patient": "patient 2", "nrmse": 0.1}]


def test_numbers_and_methods_stay_and_days_do_not() -> None:
    (row, _) = without_patients({"maps": MAPS})["maps"]
    assert row == {"patient": "patient 1", "slice_id": "slice_id 1", "method": "front", "dice": 0.8}


def test_number_that_names_a_patient_is_hidden() -> None:
    assert without_patients({"t": [{"patient": 4711}]}) == {"t": [{"patient": "patient 1"}]}


def test_text_of_an_unknown_column_is_hidden() -> None:
    rows = [{"note": "Anna was treated", "skipped": None, "covered": True}]
    (row,) = without_patients({"t": rows})["t"]
    assert row == {"note": "note 1", "skipped": None, "covered": True}


def test_place_in_a_plain_column_is_hidden() -> None:
    (row,) = without_patients({"t": [{"population": "/data/anna.json", "weights": "a1/b2"}]})["t"]
    assert row == {"population": "population 1", "weights": "a1/b2"}


@pytest.mark.parametrize("key", ["root", "tables", "manifest"])
def test_config_keeps_no_place(key: str) -> None:
    cfg = {"data": {key: ["Anna.csv"], "prepare": {"size": 64}}, "name": "ddpm"}
    told = without_places(cfg)
    assert told == {"data": {key: [HIDDEN], "prepare": {"size": 64}}, "name": "ddpm"}


def test_any_text_with_a_slash_is_a_place() -> None:
    assert without_places({"checkpoints": {"guide": "a/b.pt", "denoiser": "demo"}}) == {
        "checkpoints": {"guide": HIDDEN, "denoiser": "demo"}
    }


def test_run_names_keep_what_is_swept() -> None:
    words = ["task=grid", "sampler.nl=10", "data.manifest=Anna.csv", "checkpoints.guide=x/y.pt"]
    assert words_without_places(words) == ["task=grid", "sampler.nl=10"]
