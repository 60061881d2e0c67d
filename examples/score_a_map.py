"""Score a growth map beside simple baselines.

    python examples/score_a_map.py map.nii.gz seg_later.nii.gz seg_last.nii.gz
"""

import sys

import mechlearn as ml


def main(pred: str, truth: str, last: str) -> None:
    result = ml.score(pred, truth=truth, last=last)
    for row in result.table():
        sys.stdout.write(f"{row['method']:<24}{row['size']:<10}Dice {row['dice']}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
