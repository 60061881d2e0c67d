"""Do the constants hold for other patients, and noise? python .../check_generality.py OUT

Nested: every way of fitting is cross-fitted; on random halves of every cohort's patients the best
one is chosen, and scored on the other halves. Noise: readings of real cohorts times log-normal
noise, some set to 0. Writes generality.txt.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from compare_cohorts import ALL, COMPANION, FILES, FOLDER, LEARNING, cohort, scores
from rich.console import Console

from mechlearn.evaluation.size_comparison import compare
from mechlearn.growth.size_prior_fit import LearnedSpec
from mechlearn.records import SizeSeries

WAYS = {
    "default": LearnedSpec(),
    "with the other compartment": LearnedSpec(features=(*ALL, *COMPANION)),
    "median not moved": LearnedSpec(nearest=0.0),
    "median moved by .1": LearnedSpec(nearest=0.1),
    "next visits alone": LearnedSpec(max_gap=1),
    "a third on the last visit": LearnedSpec(last_share=1 / 3),
    "usual weight .5": LearnedSpec(usual_weight=0.5),
    "without stacking": LearnedSpec(stack=False),
}
SPLITS, SEEDS = 100, 3
NOISE = (("lumiere_total", 0.5, 0.0), ("lumiere_total", 0.5, 0.15),
         ("lumiere_enhancing", 0.5, 0.0), ("mu_flair", 0.4, 0.1))  # fmt: skip
CRPS = ("crps_relative", "crps_log")


class Scores:
    """Patients of a cohort, and CRPS over the cohort ratio's mean, (ways, 2, patients)."""

    def __init__(self, name: str) -> None:
        found = [compare(cohort(name), models=LEARNING[:2], learned=way) for way in WAYS.values()]
        self.patients = sorted(found[0].values("learned", CRPS[0]))
        self.learned, self.ratio = (
            np.array([[[f.values(model, s)[p] for p in self.patients] for s in CRPS]
                      for f in found])
            for model in LEARNING[:2]
        )  # fmt: skip

    def over_ratio(self, kept: np.ndarray) -> np.ndarray:
        """(ways, 2) of some patients."""
        found = self.learned[..., kept].mean(-1) / self.ratio[..., kept].mean(-1)
        return np.asarray(found)


def nested() -> list[str]:
    """Chosen on halves, scored on the other halves; beside each way fixed."""
    cohorts, rng = {name: Scores(name) for name in FILES}, np.random.default_rng(0)
    chosen: list[int] = []
    fixed = []  # (ways, cohorts, 2) a split
    for _ in range(SPLITS):
        halves = {n: rng.permutation(len(c.patients)) % 2 == 0 for n, c in cohorts.items()}
        known = np.array([c.over_ratio(halves[n]) for n, c in cohorts.items()])
        chosen.append(int(known.mean(axis=(0, 2)).argmin()))
        fixed.append(np.array([c.over_ratio(~halves[n]) for n, c in cohorts.items()]))
    other = np.array(fixed)  # (splits, cohorts, ways, 2)
    rows = {"chosen on the other half": np.array([s[:, i] for s, i in zip(other, chosen,
                                                                        strict=True)])}
    rows |= {way: other[:, :, i] for i, way in enumerate(WAYS)}
    lines = ["CRPS over cohort ratio's, relative and of the log: " + ", ".join(cohorts)]
    for way, values in rows.items():
        cells = "   ".join(f"{a:.3f} {b:.3f}" for a, b in values.mean(0))
        lines.append(f"{way:<28}{cells}   mean {values.mean():.4f}")
    picks = Counter(list(WAYS)[i] for i in chosen)
    return [*lines, "chosen: " + ", ".join(f"{k} {v}" for k, v in picks.most_common()), ""]


def noisy(name: str, sd: float, zeros: float, seed: int) -> Sequence[SizeSeries]:
    """A cohort with noise of standard deviation `sd` (log) and a share of readings set to 0."""
    rng = np.random.default_rng(seed)
    return [
        replace(s, companions={}, visits=tuple(
            replace(v, size=0.0 if rng.random() < zeros else v.size * np.exp(sd * rng.normal()))
            for v in s.visits))
        for s in cohort(name)
    ]  # fmt: skip


def robust() -> list[str]:
    """The forecast over the cohort ratio under noise, mean of seeds of noise and folds."""
    lines = ["CRPS over cohort ratio's under noise: relative, of the log; coverage"]
    keys = [f"{s}_learned_over_cohort_ratio" for s in CRPS] + ["covered_learned"]
    for name, sd, zeros in NOISE:
        rows = [scores(compare(noisy(name, sd, zeros, seed), models=LEARNING[:2], seed=seed))
                for seed in range(SEEDS)]  # fmt: skip
        cells = "".join(f"{np.mean([r[k] for r in rows]):8.3f}" for k in keys)
        lines.append(f"{name}, noise {sd:g}, {zeros:.0%} zeros".ljust(42) + cells)
    return lines


def main(out: Path) -> None:
    if not FOLDER.is_dir():
        Console().print(f"sizes_real: no {FOLDER}; nothing is checked. Set MECHLEARN_REAL_DATA.")
        return
    text = "\n".join([*nested(), *robust()])
    out.mkdir(parents=True, exist_ok=True)
    (out / "generality.txt").write_text(f"{text}\n")
    Console(width=180).print(text, markup=False, highlight=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
