"""Score growth forecasts: python -m mechlearn.score PRED TRUTH LAST, or MODEL... --cases TABLE."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    """Arguments as `evaluation.scoring.score` and `evaluation.model_scores` document them."""
    made = argparse.ArgumentParser(prog="python -m mechlearn.score", description=__doc__)
    made.add_argument("pred", help="NIfTI probability map or mask, a CSV with the columns patient, "
                      "pred, truth, last, brain, or a folder of <patient>.nii.gz (PREDICT-GBM); "
                      "with --cases a model's folder of maps")  # fmt: skip
    made.add_argument("truth", nargs="?", help="segmentation at the forecast day; for a folder a "
                      "path with {patient}; with --cases another model's folder")  # fmt: skip
    made.add_argument("last", nargs="?", help="segmentation at the last visit; likewise")
    made.add_argument("more", nargs="*", help="with --cases: further models' folders")
    made.add_argument("--cases", help="manifest of visits, or CSV with the columns patient, day, "
                      "truth, last, brain: models are scored on them and ranked on one page")
    made.add_argument(
        "--brain", help="brain mask, a skull-stripped image, or `template` for MNI152"
    )
    made.add_argument("--cavity", type=int, help="label of the resection cavity, if there is one")
    made.add_argument("--threshold", type=float, default=0.5, help="of the mask (%(default)s)")
    made.add_argument("--out", default="outputs/score", help="folder written to (%(default)s)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 scored, 2 invalid input."""
    args = parser().parse_args(argv)
    from mechlearn.config.errors import reported  # not needed for --help
    from mechlearn.config.scored import score_and_show, score_models_and_show

    with reported("score", status=2):
        return (score_models_and_show if args.cases else score_and_show)(args)


if __name__ == "__main__":
    sys.exit(main())
