"""No text of a user reaches matplotlib, rich or HTML as markup."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mechlearn.report.page import Section, write_page
from mechlearn.report.row_table import row_table
from mechlearn.report.score_table import COLUMNS, score_table
from mechlearn.report.style import label_axes, new_figure, png

HOSTILE = (r"$\frac{$", "[/red][bold", "<script>alert(1)</script>", "[link=file:///etc/passwd]x[/link]")


def shown(renderable) -> str:
    stream = io.StringIO()
    Console(file=stream, width=300).print(renderable)
    return stream.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_ends_no_figure(name):
    figure = new_figure(3, 2)
    label_axes(figure.subplots(), x=name, y=name, title=name)
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is_on_the_screen(name):
    assert name in shown(row_table({"job": name, "law": "ode", "x": name}))
    empty = {key: None for key, _, _ in COLUMNS} | {f"{key}_undefined": 0 for key, _, _ in COLUMNS}
    assert name in shown(score_table([{"method": name, "size": "true", **empty}], 1))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_on_a_page(tmp_path, name):
    page = write_page(tmp_path / "p.html", title=name, sections=[Section(name, [name], [])],
                      model=name, settings={name: name}, commands=[name])  # fmt: skip
    text = page.read_text()
    assert "<script>alert" not in text
    assert "alert(1)" in text or "script" not in name
