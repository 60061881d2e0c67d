"""The site needs no network: equations become MathML, and the one fetched script is bundled."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)
_WORKER = "https://unpkg.com/iframe-worker/shim"  # what lets the search run from file://
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A link to a file of the repository keeps its words: the file is not on the site."""
    return _OUTSIDE.sub(r"\1", markdown)


def on_page_content(html_text: str, **_: Any) -> str:
    """TeX between $ or $$ -> MathML, which browsers draw by themselves."""

    def mathml(found: re.Match[str]) -> str:
        display = "block" if found[1] == "div" else "inline"
        return convert(html.unescape(found[2]).strip(), display=display)

    return _MATH.sub(mathml, html_text)


def on_post_page(output: str, **_: Any) -> str:
    """The search's script comes from the site itself."""
    return output.replace(_WORKER, "assets/iframe-worker.js")


def on_post_template(output: str, **_: Any) -> str:
    """As for the pages: the page of a missing address loads it too."""
    return output.replace(_WORKER, "assets/iframe-worker.js")
