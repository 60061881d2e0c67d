"""Terminal table of one evaluation: settings, then scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

__all__ = ["row_table"]

ENDS = ("_low", "_high")  # suffixes of the ends of an interval
LONGEST = 60  # maximum characters of a value on the terminal


def row_table(
    row: Mapping[str, Any], *, hidden: Sequence[str] = (), methods: Sequence[str] = ()
) -> Table:
    """One line a key: settings (text and bool) first, then numbers with their intervals.

    Args:
        row: a row for `evaluation.rows.write_row`; None is shown as `-` with its reason.
        hidden: keys that are left out.
        methods: baselines with a separate column: `nrmse_mean_linear` is shown beside
            `nrmse_mean`, `crps_mean_linear_mm3` beside `crps_mean_mm3`.

    Example:
        >>> row_table({"nrmse": 0.2, "nrmse_linear": 0.3}, methods=["linear"]).row_count
        1
    """
    shown = {k: v for k, v in row.items() if k not in hidden and not k.endswith("_reason")}
    beside = {(k, m): _variant(k, m, shown) for k in shown for m in methods}
    columns = [m for m in methods if any(v and n == m for (_, n), v in beside.items())]
    moved = {v for v in beside.values() if v}
    words = [k for k, v in shown.items() if isinstance(v, (str, bool))]
    ends = {f"{k}{end}" for k in shown for end in ENDS if _has_interval(shown, k)}
    kept = [k for k in shown if k not in words and k not in moved and k not in ends]
    ordered = [*words, *kept]
    out = Table("", escape(str(row.get("law", ""))), *columns, title=Text(str(row.get("job", ""))),
                box=None, pad_edge=False, show_header=bool(columns))  # fmt: skip
    out.columns[0].overflow = "fold"  # long keys are not cut
    for key in ordered:
        variants = [beside[key, m] for m in columns]
        cells = [_cell(row, key), *(_cell(row, v) if v else "" for v in variants)]
        out.add_row(Text(key), *(Text(cell) for cell in cells))
    return out


def _variant(key: str, method: str, known: Mapping[str, Any]) -> str | None:
    """The key of the same score of a baseline; the unit is the last part."""
    start, _, unit = key.rpartition("_")
    found = (f"{key}_{method}", f"{start}_{method}_{unit}")
    return next((name for name in found if name in known), None)


def _cell(row: Mapping[str, Any], key: str) -> str:
    why = row.get(f"{key}_reason")
    if row[key] is None and why:
        return f"- ({why})"
    if _has_interval(row, key):
        low, high = (_text(row[f"{key}{end}"]) for end in ENDS)
        return f"{_text(row[key])} [{low}, {high}]"
    return _text(row[key])


def _has_interval(row: Mapping[str, Any], key: str) -> bool:
    return all(f"{key}{end}" in row for end in ENDS)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= LONGEST else f"...{text[-LONGEST:]}"
