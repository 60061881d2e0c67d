"""The score command: score forecasts against the truth, and rank models on one page."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console

from mechlearn.evaluation.model_entries import read_held_out
from mechlearn.evaluation.model_scores import score_models, table_of
from mechlearn.evaluation.scoring import score
from mechlearn.extras import missing_extra
from mechlearn.report.score_table import score_table

__all__ = ["score_and_show", "score_models_and_show"]


def _consoles() -> tuple[Console, Console]:
    """Consoles for results and for progress."""
    wide = None if sys.stdout.isatty() else 140  # names are not cut in a file
    return Console(width=wide), Console(stderr=True)


def score_and_show(args: argparse.Namespace) -> int:
    """Score PRED TRUTH LAST: prints a table, writes `score.json`, `patients.csv` and a figure.

    Returns 0, the exit status.
    """
    console, errors = _consoles()
    if args.more:
        raise ValueError(f"{' '.join(args.more)}: give three paths, PRED TRUTH LAST; folders of "
                         "several models need --cases.")  # fmt: skip
    result = score(args.pred, truth=args.truth, last=args.last, brain=args.brain,
                   cavity=args.cavity, threshold=args.threshold,
                   progress=lambda name: errors.print("scoring", name, markup=False))
    console.print(score_table(result.table(), len(result.patients)))
    paths = result.write(args.out)
    console.print(*map(str, paths.values()), sep="\n", highlight=False, soft_wrap=True,
                  markup=False)  # fmt: skip
    try:
        from mechlearn.report.score_figure import draw_scores
    except ModuleNotFoundError as error:
        errors.print(f"score: no figure: {missing_extra(error) or error}", highlight=False)
        return 0
    picture = draw_scores(result.table(), result.reliability, f"{args.out}/score.png")
    console.print(str(picture), highlight=False, soft_wrap=True, markup=False)
    return 0


def score_models_and_show(args: argparse.Namespace) -> int:
    """Score MODEL... --cases TABLE: prints a table, writes tables and `leaderboard.html`.

    Returns 0, the exit status.
    """
    console, errors = _consoles()
    if args.brain is not None:
        raise ValueError("--brain: with --cases give the brain in the table, in the column brain "
                         "or brain_mask.")  # fmt: skip
    folders = [f for f in (args.pred, args.truth, args.last, *args.more) if f is not None]
    cases = read_held_out(args.cases, cavity=args.cavity)
    scores = score_models(folders, cases, threshold=args.threshold,
                          progress=lambda name: errors.print("scoring", name, markup=False))
    lines = [{**row, **{f"{k[:-6]}_undefined": v for k, v in row.items() if k.endswith("_empty")}}
             for row in table_of(scores.rows)]  # fmt: skip
    console.print(score_table(lines, len({row["patient"] for row in scores.rows})))
    for model, visit, why in scores.failures:
        errors.print(f"not scored: {model}: {visit}: {why}", highlight=False, markup=False)
    out = Path(args.out)
    paths = [str(p) for p in scores.write(out)]
    try:
        from mechlearn.evaluation.model_boards import write_model_page
    except ModuleNotFoundError as error:
        errors.print(f"score: no page: {missing_extra(error) or error}", highlight=False)
    else:
        command = shlex.join(["python", "-m", "mechlearn.score", *sys.argv[1:]])
        paths.append(str(write_model_page(scores, out, command=command)))
    console.print(*paths, sep="\n", highlight=False, soft_wrap=True, markup=False)
    return 0
