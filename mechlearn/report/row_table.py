"""Terminal table of one evaluation: what was run, then what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

__all__ = ["row_table"]

LONGEST = 60  # characters of a value; paths and digests stay whole in the file


def row_table(row: Mapping[str, Any], *, hidden: tuple[str, ...] = ()) -> Table:
    """One line a key: settings (words and switches) first, numbers below.

    Args:
        row: as `evaluation.rows.write_row` takes it; None is shown as `-` with its reason.
        hidden: keys that are left out.

    Example:
        >>> row_table({"job": "sizes", "n_slices": 3}).row_count
        2
    """
    shown = {k: v for k, v in row.items() if k not in hidden and not k.endswith("_reason")}
    words = [k for k, v in shown.items() if isinstance(v, (str, bool))]
    out = Table(title=str(row.get("job", "")), box=None, pad_edge=False, show_header=False)
    for key in (*words, *(k for k in shown if k not in words)):
        text = _text(shown[key])
        if shown[key] is None and (why := row.get(f"{key}_reason")):
            text = f"- ({why})"
        out.add_row(Text(key), Text(text))
    return out


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= LONGEST else f"...{text[-LONGEST:]}"
