"""Score a growth forecast: python -m mechlearn.score PRED TRUTH LAST."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    """Arguments as `evaluation.scoring.score` documents them."""
    made = argparse.ArgumentParser(prog="python -m mechlearn.score", description=__doc__)
    made.add_argument("pred", help="NIfTI probability map or mask, a CSV with the columns patient, "
                      "pred, truth, last, brain, or a folder of <patient>.nii.gz (PREDICT-GBM)")
    made.add_argument("truth", nargs="?", help="segmentation at the forecast day; for a folder a "
                      "path with {patient}")  # fmt: skip
    made.add_argument("last", nargs="?", help="segmentation at the last visit; likewise")
    made.add_argument(
        "--brain", help="brain mask, a skull-stripped image, or `template` for MNI152"
    )
    made.add_argument("--cavity", type=int, help="label of the resection cavity, if there is one")
    made.add_argument("--threshold", type=float, default=0.5, help="of the mask (%(default)s)")
    made.add_argument("--out", default="outputs/score", help="folder written to (%(default)s)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 scored, 2 input that cannot be scored."""
    args = parser().parse_args(argv)
    from rich.console import Console  # --help needs none of these

    from mechlearn.config.errors import reported
    from mechlearn.evaluation.scoring import score
    from mechlearn.extras import missing_extra
    from mechlearn.report.score_table import score_table

    wide = None if sys.stdout.isatty() else 140  # a file takes whole names
    console, errors = Console(width=wide), Console(stderr=True)
    with reported("score", status=2):
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


if __name__ == "__main__":
    sys.exit(main())
