"""Evaluation of size forecasts of held-out last visits (section 3.2), with simple baselines."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mechlearn.evaluation.comparison_table import SizeComparison
from mechlearn.evaluation.fans import load_fans, save_fans
from mechlearn.evaluation.growth_scores import BASELINES, slice_row, summarise_fits
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.learned_folds import learned_groups
from mechlearn.evaluation.population_fit import CrossFit, check_unseen, cross_fitted, in_order
from mechlearn.evaluation.presets import as_baseline
from mechlearn.evaluation.rows import Row, read_table, write_table
from mechlearn.evaluation.runner import SIZES, Done, Evaluation, Scored
from mechlearn.files import write_text
from mechlearn.growth.ensemble import Ensemble
from mechlearn.growth.growth_spec import LEARNED, POOLED, GrowthSpec
from mechlearn.growth.learned_forecast import load_size_prior
from mechlearn.growth.population_file import load_ensemble
from mechlearn.growth.size_forecast import forecasts
from mechlearn.growth.size_prior import SizePrior
from mechlearn.growth.size_prior_fit import LearnedSpec
from mechlearn.progress import countdown
from mechlearn.records import SizeForecast, SizeSeries

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CROSS_FIT", "EVALUATION", "quiet_fits"]

log = logging.getLogger(__name__)

CROSS_FIT = "cross_fit"  # value of growth.population: cross-fit on the cohort
FANS = "fans.npz"
COMPARISON = "comparison.csv"
TABLE = "comparison.txt"  # the same as text
N_EXAMPLES = 6  # forecasts kept for a figure
_BLOCK = 32  # slices between two reports of progress

Made = SizeForecast | Exception
Groups = Sequence[tuple["Ensemble | SizePrior | None", list[int]]]


@dataclass(frozen=True)
class Cohort:
    """All series of a job as one case, because fits of many series run as one batch."""

    name: str
    series: tuple[SizeSeries, ...]
    unit: str
    patient: str = "all"


def cases(job: Job) -> list[Cohort]:
    """The cohort as one case, its series sorted by name."""
    cohort = job.cohort
    if not cohort.timelines:
        raise ValueError("growth_fits: no series to forecast. Check task.series or task.split.")
    return [Cohort(cohort.name or "cohort", in_order(cohort.timelines), cohort.unit)]


def score(job: Job, case: Cohort) -> Scored:
    """Hold out the last visit of every series and forecast it; also fit all visits.

    The baselines carry_forward, linear and exponential are fitted as in the paper (least squares
    and a bootstrap with the same noise; with too few visits, carry_forward). With
    growth.population=cross_fit the priors are cross-fitted on these series, with folds over
    patients, and kept in `populations/`. A forecast never uses the held-out visit, whatever
    `growth.setup` is.

    Raises:
        ValueError: two series with one name; a population of another unit, or fitted to these
            patients.
    """
    series, unit, task = case.series, case.unit, job.task
    cross_fit = None
    if job.growth.population == CROSS_FIT:
        cross_fit = CrossFit(task.folds, tuple(task.laws), job.seed, task.floor)
    growth, groups = _populations(series, job.growth, cross_fit, unit, job.out_dir / "populations")
    plain: Groups = [(None, list(range(len(series))))]
    methods = {"": _Method(growth, groups)}
    methods |= {b: _Method(as_baseline(b, growth), plain) for b in BASELINES}
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
    train, every, seconds = made[""]
    done = [m for m in (*train, *every) if isinstance(m, SizeForecast)]
    if law != LEARNED:
        _beside(job, series, {name or law: found for name, (found, _, _) in made.items()})
    save_fans(job.out_dir / FANS, _examples(series, train, N_EXAMPLES))
    n_fits = sum(m.samples.size + m.n_failed for m in done)
    return Scored(rows, extra={
        "law": law, "population": growth.population, "unit": unit,
        "cohort": next((m.population for m in done if m.population), None),
        "n_bootstrap": growth.n_bootstrap, "noise": growth.noise,
        "noise_model": growth.noise_model, "seed": growth.seed,
        "fits_per_second": n_fits / seconds if n_fits else None,
    })  # fmt: skip


def summarise(job: Job, done: Done) -> Row:
    """Scores over slices with 95% intervals that resample patients, by number of visits, Wilcoxon
    tests against each baseline, and the comparison with the cohort's baselines."""
    row = summarise_fits([*done.rows, *done.skipped], unit=job.cohort.unit, seed=job.growth.seed)
    return row | _compared(job)


def _beside(job: Job, series: Sequence[SizeSeries], made: Mapping[str, Sequence[Made]]) -> None:
    """Write the scores of the forecasts and of the cohort's baselines to `comparison.csv`."""
    from mechlearn.evaluation.size_comparison import beside_baselines  # imports this module

    found = beside_baselines(series, made, n_folds=job.task.folds, seed=job.seed)
    write_table(job.out_dir / COMPARISON, found.rows, first=("series", "patient", "model"))


def _compared(job: Job) -> Row:
    """Compare the forecast with its baselines: writes the table, returns its summary."""
    from mechlearn.evaluation.size_comparison import compare  # imports this module

    series, task, growth = job.cohort, job.task, job.growth
    if growth.law == LEARNED:
        prior = None
        if growth.population != CROSS_FIT:
            prior = load_size_prior(growth.population, series.timelines[0].compartment)
        found = compare(series.timelines, holdouts=task.holdouts, prior=prior, n_folds=task.folds,
                        learned=LearnedSpec(seed=job.seed), seed=job.seed)  # fmt: skip
        write_table(job.out_dir / COMPARISON, found.rows, first=("series", "patient", "model"))
    else:
        rows = read_table(job.out_dir / COMPARISON)
        models = tuple(dict.fromkeys(str(row["model"]) for row in rows))
        found = SizeComparison(tuple(rows), models, series.unit)
    if not found.rows:
        (job.out_dir / TABLE).unlink(missing_ok=True)  # of an earlier run
        return {}
    write_text(job.out_dir / TABLE, f"{series.name}: {found.table(seed=job.seed)}\n")
    return {f"compared_{k}": v for k, v in found.summary(seed=job.seed).items()}


def figures(job: Job, done: Done) -> Mapping[str, Figure]:
    """Figures of forecasts with their curves, and of the scores; none without a forecast."""
    from mechlearn.report.growth_figures import Fan, fans_figure, scores_figure

    if not done.rows:
        return {}
    series = job.cohort
    whole = {t.name: t for t in series.timelines}
    fans = [
        Fan(whole[f.name].before(whole[f.name].visits[-1].day), f, whole[f.name].visits[-1])
        for f in load_fans(job.out_dir / FANS)
    ]
    patients = len({r["patient"] for r in done.rows})
    where = f"{series.name}, {len(done.rows)} slices of {patients} patients"
    return {
        "fans.png": fans_figure(fans, unit=series.unit, title=where),
        "scores.png": scores_figure({done.rows[0]["law"]: _with_cohort(job, done)}, title=where),
    }


def _with_cohort(job: Job, done: Done) -> list[Row]:
    """The rows with the scores of the cohort's baselines, where `comparison.csv` exists."""
    path = job.out_dir / COMPARISON
    found = [row for row in read_table(path) if row["holdout"] == 1] if path.is_file() else []
    scores: dict[str, Row] = {}
    for row in found:
        beside = {f"{key}_{row['model']}": row[key] for key in ("nrmse", "crps_relative")}
        scores.setdefault(str(row["series"]), {}).update(beside)
    return [{**row, **scores.get(str(row["slice_id"]), {})} for row in done.rows]


def _populations(
    series: Sequence[SizeSeries], growth: GrowthSpec, cross_fit: CrossFit | None, unit: str,
    folder: Path,
) -> tuple[GrowthSpec, Groups]:
    """(spec, pairs of a population and the indices of the series that it forecasts)."""
    if growth.law == LEARNED:
        return growth, learned_groups(series, growth.population, cross_fit)
    if cross_fit is not None:
        laws = cross_fit.laws if growth.law == POOLED else (growth.law,)
        cross_fit = dataclasses.replace(cross_fit, laws=laws, alpha_beta_gy=growth.dose_model)
        return growth, cross_fitted(series, cross_fit, unit=unit, folder=folder)
    ensemble = None
    if growth.population is not None:
        ensemble = load_ensemble(growth.population)
        if ensemble.unit != unit:
            raise ValueError(
                f"growth.population={growth.population}: fitted to sizes in {ensemble.unit}, but "
                f"the series are in {unit}. Use growth.population=cross_fit or null."
            )
        check_unseen(ensemble, (t.patient for t in series))
    return growth, [(ensemble, list(range(len(series))))]


@dataclass(frozen=True)
class _Method:
    """A forecast method: growth settings, and populations with the series that they forecast."""

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
    """Suppress the warnings of single fits; failures are in the table."""
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
    """`count` forecasts spread over the patients; slices with larger tumours come first."""
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


EVALUATION = Evaluation(
    cases, score, summarise, figures, reads=SIZES, table="slices.csv", resumes=False, text=TABLE,
    first=("slice_id", "patient", "law", "skipped", "n_visits", "horizon_days"),
)  # fmt: skip
