"""How well sizes are forecast: every last visit held out (section 3.2), beside simple baselines."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechlearn.evaluation.fans import save_fans
from mechlearn.evaluation.growth_scores import BASELINES, slice_row, summarise_fits
from mechlearn.evaluation.learned_folds import learned_groups
from mechlearn.evaluation.population_fit import CrossFit, check_unseen, cross_fitted, in_order
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.growth.ensemble import Ensemble
from mechlearn.growth.growth_spec import LEARNED, POOLED, GrowthSpec
from mechlearn.growth.population_file import load_ensemble
from mechlearn.growth.size_forecast import forecasts
from mechlearn.growth.size_prior import SizePrior
from mechlearn.progress import countdown
from mechlearn.records import SizeForecast, SizeSeries

__all__ = ["CROSS_FIT", "quiet_fits", "run_growth_fits"]

log = logging.getLogger(__name__)

CROSS_FIT = "cross_fit"  # in place of a population: the cohort's own, patients apart
_GIVEN = "given"  # stands in a spec for an ensemble that was handed over
_BLOCK = 32  # slices between two words on progress
_FIRST = ("slice_id", "patient", "law", "skipped", "n_visits", "horizon_days")

Made = SizeForecast | Exception
Groups = Sequence[tuple["Ensemble | SizePrior | None", list[int]]]


def run_growth_fits(
    timelines: Sequence[SizeSeries], *, out_dir: str | Path, growth: GrowthSpec, unit: str = "mm2",
    ensemble: Ensemble | None = None, cross_fit: CrossFit | None = None, n_examples: int = 6,
    about: Mapping[str, Any] | None = None,
) -> Row:
    """Hold out the last visit of every slice and forecast it; fit all visits as well.

    Beside the law stand carry_forward, linear and exponential, each as the paper fits (least
    squares and a bootstrap of the same noise; without enough visits the last one is carried
    forward).

    Args:
        timelines: slices with all their visits. Their order does not matter.
        out_dir: receives `slices.csv`, `fans.npz` and, of a cross-fit, `populations/`, from which
            a broken-off run goes on.
        growth: law, population, bootstrap. The held-out visit is never seen, whatever the setup.
        unit: of the sizes, mm2 or mm3.
        ensemble: the population, in place of the one that `growth.population` names.
        cross_fit: populations from these very series, patients apart (growth.population=cross_fit).
        n_examples: forecasts kept for a picture.
        about: stands in the row.

    Returns:
        The row: scores over slices with 95% intervals that resample patients, by number of
        visits, and Wilcoxon tests against each baseline. A slice that cannot be forecast is
        counted, with its reason in `slices.csv`.

    Raises:
        ValueError: no series; a slice named twice; a population of another unit, or of these very
            patients; both `ensemble` and `cross_fit`.
    """
    start = time.monotonic()
    series = in_order(timelines)
    if not series:
        raise ValueError("growth_fits: no series to forecast. Check task.series or task.split.")
    out = Path(out_dir)
    growth, groups = _populations(series, growth, ensemble, cross_fit, unit, out / "populations")
    plain: Groups = [(None, list(range(len(series))))]
    methods = {"": _Method(growth, groups)}
    methods |= {b: _Method(_baseline_spec(growth, b), plain) for b in BASELINES}
    report = countdown(f"growth fits, {growth.law} and baselines", log=log)
    steps = _Steps(report, 2 * len(series) * len(methods))
    with quiet_fits():
        made = {name: method.run(series, steps.advance) for name, method in methods.items()}
    law = growth.law if growth.law in (LEARNED, POOLED) else growth.resolve().name
    rows = [
        slice_row(t, {name: (train[i], every[i]) for name, (train, every, _) in made.items()},
                  law=law, unit=unit)
        for i, t in enumerate(series)
    ]  # fmt: skip
    for row in rows:
        if row["skipped"] is not None:
            log.warning("slice %s is left out: %s", row["slice_id"], row["skipped"])
    write_table(out / "slices.csv", rows, first=_FIRST)
    train, every, seconds = made[""]
    done = [m for m in (*train, *every) if isinstance(m, SizeForecast)]
    save_fans(out / "fans.npz", _examples(series, train, n_examples))
    n_fits = sum(m.samples.size + m.n_failed for m in done)
    return {
        "job": "growth_fits",
        "law": law,
        "population": growth.population,
        "cohort": next((m.population for m in done if m.population), None),
        "unit": unit,
        "n_bootstrap": growth.n_bootstrap,
        "noise": growth.noise,
        "noise_model": growth.noise_model,
        "seed": growth.seed,
        **summarise_fits(rows, unit=unit, seed=growth.seed),
        "fits_per_second": n_fits / seconds if n_fits else None,
        "seconds": time.monotonic() - start,
        **(about or {}),
    }


def _populations(
    series: Sequence[SizeSeries], growth: GrowthSpec, ensemble: Ensemble | None,
    cross_fit: CrossFit | None,
    unit: str, folder: Path,
) -> tuple[GrowthSpec, Groups]:
    """(spec, which population forecasts which slices)."""
    if ensemble is not None and cross_fit is not None:
        raise ValueError("growth_fits: an ensemble and a cross_fit are two populations. Give one.")
    if cross_fit is None and ensemble is None and growth.population == CROSS_FIT:
        cross_fit = CrossFit()
    if growth.law == LEARNED:
        return growth, learned_groups(series, growth.population, cross_fit)
    if cross_fit is not None:
        laws = cross_fit.laws if growth.law == POOLED else (growth.law,)
        growth = dataclasses.replace(growth, population=CROSS_FIT)
        cross_fit = dataclasses.replace(cross_fit, laws=laws, alpha_beta_gy=growth.dose_model)
        return growth, cross_fitted(series, cross_fit, unit=unit, folder=folder)
    if ensemble is None and growth.population is not None:
        ensemble = load_ensemble(growth.population)
    if ensemble is not None:
        if ensemble.unit != unit:
            raise ValueError(
                f"growth.population={growth.population}: a population of sizes in {ensemble.unit}, "
                f"the series are in {unit}. Use growth.population=cross_fit or null."
            )
        check_unseen(ensemble, (t.patient for t in series))
        growth = dataclasses.replace(growth, population=growth.population or _GIVEN)
    return growth, [(ensemble, list(range(len(series))))]


def _baseline_spec(growth: GrowthSpec, baseline: str) -> GrowthSpec:
    return dataclasses.replace(
        growth, law=baseline, population=None, bounds={}, min_visits=2, fallback="carry_forward",
        survival="fraction", fixed={}, tied={},
    )


@dataclass(frozen=True)
class _Method:
    """One way of forecasting, with the population of every slice."""

    spec: GrowthSpec
    groups: Groups

    def run(
        self, series: Sequence[SizeSeries], advance: Callable[[int], None]
    ) -> tuple[list[Made], list[Made], float]:
        """(forecasts from all visits but the last, fits of all visits, seconds)."""
        start = time.monotonic()
        both = [self._setup(series, setup, advance) for setup in ("train", "all")]
        return both[0], both[1], time.monotonic() - start

    def _setup(
        self, series: Sequence[SizeSeries], setup: str, advance: Callable[[int], None]
    ) -> list[Made]:
        spec = dataclasses.replace(self.spec, setup=setup)
        found: dict[int, Made] = {}
        for ensemble, members in self.groups:
            for begin in range(0, len(members), _BLOCK):
                block = members[begin : begin + _BLOCK]
                chosen = [series[i] for i in block]
                days = [t.visits[-1].day for t in chosen]
                made = forecasts(chosen, days, spec=spec, ensemble=ensemble)
                found |= dict(zip(block, made, strict=True))
                advance(len(block))
        return [found[i] for i in range(len(series))]


@contextmanager
def quiet_fits() -> Iterator[None]:
    """Words on each of hundreds of fits would drown the progress; failures stand in the table."""
    growth = logging.getLogger("mechlearn.growth")
    before = growth.level
    growth.setLevel(logging.ERROR)
    try:
        yield
    finally:
        growth.setLevel(before)


class _Steps:
    def __init__(self, report: Callable[[int, int], None], total: int) -> None:
        self.report, self.total, self.count = report, total, 0

    def advance(self, steps: int) -> None:
        self.count += steps
        self.report(self.count, self.total)


def _examples(
    series: Sequence[SizeSeries], made: Sequence[Made], count: int
) -> list[SizeForecast]:
    """`count` forecasts spread over the patients: of each the slice with the largest tumour."""
    by_patient: dict[str, list[tuple[float, SizeForecast]]] = {}
    for t, m in zip(series, made, strict=True):
        if isinstance(m, SizeForecast):
            by_patient.setdefault(t.patient, []).append((-float(t.sizes.max()), m))
    ranked = [sorted(group, key=lambda pair: pair[0]) for group in by_patient.values()]
    if len(ranked) > count:
        ranked = [ranked[i * len(ranked) // count] for i in range(count)]
    longest = max((len(group) for group in ranked), default=0)
    turns = [group[i][1] for i in range(longest) for group in ranked if i < len(group)]
    return turns[:count]
