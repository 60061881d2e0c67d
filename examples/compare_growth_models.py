"""Compare size forecasts on the last visits of a cohort, beside simple baselines.

    python examples/compare_growth_models.py sizes.csv learned cohort_ratio carry_forward linear
"""

import sys

import mechlearn as ml


def main(sizes: str, *models: str) -> None:
    result = ml.growth.compare(sizes, models=list(models), holdouts=1)
    sys.stdout.write(f"{result.table()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
