from __future__ import annotations

import base64
import re

import pytest

import mechlearn
from mechlearn.report.page import NOTICE, Details, Picture, Section, Table, number, write_page

PNG = b"\x89PNG\r\n\x1a\nnot really"


@pytest.fixture
def page(tmp_path):
    table = Table(["method", "HD95 (mm)"], [["no change", 6.24], ["growth map", None]], "Scores")
    section = Section("Slice <z 60>", ["Area & place."], [table], [Picture(PNG, "the fan")],
                      [Details("More", "a < b\n  c")], ["Mind the prior."])
    path = write_page(tmp_path / "out" / "page.html", title="Forecast P01", sections=[section],
                      model="demo 0.1", settings={"sampler.nl": 200},
                      commands=["python -m x day=1"])
    return path.read_text()


def test_page_needs_nothing_from_outside(page):
    assert re.findall(r"https?://|<script|<link|url\(|@import", page) == []
    sources = re.findall(r'src="([^"]*)"', page)
    assert sources == ["data:image/png;base64," + base64.b64encode(PNG).decode()]


def test_page_says_that_it_is_research_only(page):
    assert NOTICE in page
    assert "clinical use" in page


def test_page_names_version_model_settings_and_commands(page):
    for text in (mechlearn.__version__, "demo 0.1", "sampler.nl", "python -m x day=1"):
        assert text in page


def test_text_is_escaped(page):
    assert "Slice &lt;z 60&gt;" in page
    assert "Area &amp; place." in page


def test_page_fits_a_phone_the_dark_and_paper(page):
    for text in ('name="viewport"', "prefers-color-scheme: dark", "@media print"):
        assert text in page


def test_pictures_have_words_for_those_who_cannot_see_them(page):
    assert 'alt="the fan"' in page


def test_a_crooked_table_is_refused():
    with pytest.raises(ValueError, match="has 1 cells, expected 2"):
        Table(["a", "b"], [[1]])


@pytest.mark.parametrize(("value", "shown"), [
    (None, "–"), (float("nan"), "–"), (True, "yes"), (0.12345, "0.123"), (1303.4, "1303"),
    (7, "7"), ("ode", "ode"),
])
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_details_are_folded_and_keep_their_lines(page):
    assert "<details>\n<summary>More</summary>\n<pre>a &lt; b\n  c</pre>" in page


def test_warnings_of_a_section_stand_above_its_text(page):
    assert 0 < page.index('role="note">Mind the prior.') < page.index("Area &amp; place.")
