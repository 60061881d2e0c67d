"""Tables as people and their programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mechlearn.data.size_table import read_series
from mechlearn.data.tables import number, separator

PLAIN = "patient,slice,day,area_mm2\nP,z1,0,412.5\nP,z1,60,388\nP,z1,120,455\n"
INDEXED = "".join(f"{k or ''},{line}\n" for k, line in enumerate(PLAIN.split()))


def sizes(folder: Path, text: str, encoding: str = "utf-8") -> list[tuple[float, float]]:
    path = folder / "s.csv"
    path.write_text(text, encoding=encoding)
    (series,) = read_series(path).timelines
    return [(visit.day, visit.size) for visit in series.visits]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(".", ",").replace(",", ";").replace("412;5", "412,5"),
        PLAIN.replace(",", "\t"),
        PLAIN + ",,,\n,,,\n\n",
        "\n" + PLAIN,
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("\n", "\r\n"),
        INDEXED,
        "".join(f"{k - 1 if k else 'Unnamed: 0'},{x}\n" for k, x in enumerate(PLAIN.split())),
        PLAIN.replace("area_mm2", " area_mm2 ").replace("z1", " z1 "),
        PLAIN.replace("P,", '"P",'),
    ],
    ids=["semicolons", "tabs", "empty rows", "empty first row", "empty columns", "dos",
         "row numbers", "pandas index", "spaces", "quotes"],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_same_table_is_read_however_it_was_saved(tmp_path, text, encoding):
    assert sizes(tmp_path, text, encoding) == [(0.0, 412.5), (60.0, 388.0), (120.0, 455.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN.replace("P,z1,60", '"P,z1,60'), "row 3: a quoted cell runs over the end of its row"),
        (PLAIN.replace("412.5", "412.5,7"), "row 2: '7' stands in column 5, which has no name"),
        (PLAIN.replace("412.5", '"412,5"'), r"area_mm2='412,5': .* decimal mark as a point"),
        (PLAIN.replace("412.5", "4_1"), "row 2: .*area_mm2='4_1': must be a number"),
        (PLAIN.replace("412.5", "٤١"), "row 2: .*area_mm2='٤١': must be a number"),
        (INDEXED.replace("\n2,", "\n7,"), "row 2: '1' stands in column 1, which has no name"),
        (PLAIN.replace("day", "slice"), r"missing columns \['day'\], repeated columns \['slice'\]"),
        ("", "missing columns"),
    ],
)
def test_what_is_not_certain_names_row_and_remedy(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        sizes(tmp_path, text)


def test_semicolons_within_a_cell_do_not_separate():
    assert separator("patient,session,seg\nP,v,2=a.nii;3=b.nii;4=c.nii\n") == ","


def test_not_available_is_unknown():
    assert number("here", "dose_gy", "NA") is None


@pytest.mark.parametrize("character", ["\x1b[2J", "\x07", "\x9b31m", "\u202e"])
def test_a_control_character_is_named_with_its_row(tmp_path, character):
    path = tmp_path / "sizes.csv"
    path.write_text(f"patient,slice,day,area_mm2\nP{character}1,z1,0,5\n")
    with pytest.raises(ValueError, match=r"sizes\.csv: holds the control character .* in row 2"):
        read_series(path)
