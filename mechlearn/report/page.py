"""One self-contained HTML file with figures, tables, settings and commands."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import mechlearn
from mechlearn.files import write_text
from mechlearn.report.viewer import Viewer, viewer_scripts

__all__ = ["NOTICE", "Details", "Picture", "Section", "Table", "number", "write_page"]

NOTICE = (
    "Research software. Not a medical device, not validated for clinical use, and not to be used "
    "for the diagnosis or treatment of any patient."
)


@dataclass(frozen=True)
class Picture:
    """A PNG or SVG with its caption and the alternative text `alt`.

    max_width_px: maximum width; None for the width of the page. beside_viewer: replaces the
    viewer of its section in print and in browsers that cannot run the viewer.
    """

    content: bytes
    caption: str
    alt: str = ""
    max_width_px: int | None = None
    beside_viewer: bool = False

    @property
    def is_png(self) -> bool:
        return self.content.startswith(b"\x89PNG")

    @cached_property
    def source(self) -> str:
        kind = "png" if self.is_png else "svg+xml"
        return f"data:image/{kind};base64,{base64.b64encode(self.content).decode('ascii')}"


@dataclass(frozen=True)
class Table:
    """Rows under named columns; numbers are rounded to three significant digits."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.caption!r}: a row has {len(row)} cells, expected "
                    f"{len(self.columns)}."
                )


@dataclass(frozen=True)
class Details:
    """Preformatted text, folded at first."""

    summary: str
    text: str


@dataclass(frozen=True)
class Section:
    """A heading with warnings, paragraphs, viewer, tables, pictures and details, in this order.

    lead: the paragraphs are the summary of the page, in larger type. grid: pictures are side by
    side. At most one section of a page has a viewer.
    """

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)
    details: Sequence[Details] = ()
    warnings: Sequence[str] = ()
    viewer: Viewer | None = None
    lead: bool = False
    grid: bool = False


def number(value: Any) -> str:
    """Text of a cell: three significant digits, a dash for an undefined value."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value != value:
            return "–"
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def write_page(
    path: str | Path,
    *,
    title: str,
    sections: Sequence[Section],
    model: str = "",
    settings: Mapping[str, Any] | None = None,
    commands: Sequence[str] = (),
    notice: str = NOTICE,
) -> Path:
    """Write one self-contained page atomically; all text is escaped.

    Args:
        path: the HTML file.
        title: heading.
        sections: content, in order.
        model: the weights, such as a version and a training record.
        settings: all settings, by key.
        commands: command lines that write this page again.
        notice: the warning on top.
    """
    env = Environment(loader=PackageLoader("mechlearn.report"), autoescape=True,
                      undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    env.filters["number"] = number
    env.filters["is_number"] = lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)
    text = env.get_template("page.html.j2").render(
        title=title, sections=sections, model=model, settings=dict(settings or {}),
        commands=list(commands), notice=notice, version=mechlearn.__version__,
        scripts=viewer_scripts() if any(section.viewer for section in sections) else [],
    )
    return write_text(path, text)
