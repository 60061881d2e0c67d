"""Compare outputs/experiments/NAME/result.json with experiments/NAME/expected.json.

    python experiments/compare.py NAME [smoke|full]

`expected.json` holds one object a profile, {"smoke": {...}, "full": {...}}; each key of it has
bounds [low, high], null for an open end. Prints every key, and exits with 1 if any is missing or
out of bounds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent


def verdict(value: Any, low: float | None, high: float | None) -> str:
    """'' if the value lies within the bounds, else what is wrong."""
    if not isinstance(value, (int, float)):
        return "missing" if value is None else "not a number"
    if low is not None and not value >= low:
        return "too low"
    if high is not None and not value <= high:
        return "too high"
    return ""


def compare(name: str, profile: str, *, outputs: Path = Path("outputs")) -> int:
    """Print the comparison; the number of keys that are missing or out of bounds."""
    result_path = outputs / "experiments" / name / "result.json"
    expected = json.loads((HERE / name / "expected.json").read_text())
    if profile not in expected:
        raise ValueError(f"{HERE / name}/expected.json: no profile {profile!r}, only "
                         f"{', '.join(expected)}.")
    if not result_path.is_file():
        raise FileNotFoundError(f"{result_path}: the experiment left no result. Run it again.")
    result = json.loads(result_path.read_text())
    table = Table("key", "value", "low", "high", "", title=f"{name}, {profile}")
    wrong = 0
    for key, (low, high) in expected[profile].items():
        word = verdict(result.get(key), low, high)
        wrong += bool(word)
        shown = ["-" if v is None else f"{v:.6g}" for v in (low, high)]
        value = result.get(key)
        text = f"{value:.6g}" if isinstance(value, (int, float)) else str(value)
        table.add_row(key, text, *shown, word or "ok", style="red" if word else "")
    Console().print(table)
    return wrong


def main(argv: list[str]) -> int:
    """Exit status: 0 all within bounds, 1 not, 2 could not compare."""
    try:
        return int(compare(argv[0], argv[1] if len(argv) > 1 else "smoke") > 0)
    except (IndexError, FileNotFoundError, ValueError) as error:
        Console(stderr=True).print(f"compare: {error}" if argv else __doc__, markup=False)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
