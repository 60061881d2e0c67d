"""Population priors of a cohort: fit, file, and cross-fit over patients."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import mechlearn
from mechlearn.checks import in_range
from mechlearn.evaluation.rows import Row
from mechlearn.growth.ensemble import Ensemble, Member
from mechlearn.growth.ensemble_fit import fit_ensemble, folds
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.growth_spec import ENSEMBLE_MODELS
from mechlearn.growth.models import get_growth_model
from mechlearn.growth.population_file import load_ensemble
from mechlearn.processes import worker_pool
from mechlearn.progress import countdown
from mechlearn.records import SizeSeries

__all__ = ["CrossFit", "check_unseen", "cross_fitted", "fingerprint_of", "in_order",
           "run_population"]

log = logging.getLogger(__name__)

FILE = "population.json"
_FEW_SERIES = 40  # with fewer series one process is faster than several
_SIXTY_EIGHT = (0.1587, 0.8413)  # levels of -1 and +1 standard deviation of a normal distribution


@dataclass(frozen=True)
class CrossFit:
    """Settings of a cross-fit: each fold of patients is forecast by priors fitted to the others.

    Attributes:
        n_folds: number of folds; at most the number of patients.
        laws: growth models of a pooled forecast; a forecast by one model uses this model alone.
        seed: of folds and fits.
        floor: size added before a logarithm, in the cohort's unit; None: estimated.
        alpha_beta_gy: where growth models depend on the dose; None for a surviving fraction.
    """

    n_folds: int = 5
    laws: tuple[str, ...] = ENSEMBLE_MODELS
    seed: int = 0
    floor: float | None = None
    alpha_beta_gy: float | None = None

    def __post_init__(self) -> None:
        in_range("task.folds", self.n_folds, 2, 1000)


def in_order(timelines: Sequence[SizeSeries]) -> tuple[SizeSeries, ...]:
    """Sorted by name, so that no result depends on the order of a file; ValueError for two series
    with one name."""
    ordered = tuple(sorted(timelines, key=lambda t: t.name))
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.name == other.name:
            raise ValueError(f"series: two slices are called {one.name}. Rename one.")
    return ordered


def run_population(
    timelines: Sequence[SizeSeries], *, out_dir: str | Path, laws: Sequence[str] = ENSEMBLE_MODELS,
    unit: str = "mm2", floor: float | None = None, n_folds: int = 5, seed: int = 0,
    alpha_beta_gy: float | None = None, about: Mapping[str, Any] | None = None,
) -> Row:
    """Fit population priors to a cohort and write them to `out_dir/population.json`.

    Args:
        timelines: slices of the cohort with all their visits, of at least 3 patients.
        out_dir: receives the file for `growth.population`.
        laws: growth models; those with radiotherapy are left out where no slice has a course.
        unit: of the sizes, mm2 or mm3.
        floor: size added before a logarithm, in this unit; None: estimated from the cohort.
        n_folds: folds of the cross-fit that gives weights and calibration.
        seed: of folds, starts and draws.
        alpha_beta_gy: where growth models depend on the dose; None for a surviving fraction.
        about: provenance, stored with the population and with hashes of its patients' names.

    Returns:
        The row: for every growth model its weight, measurement noise `sigma`, model error
        `tau_per_sqrt_day`, and bias and width of its held-out errors in its standard deviations
        (0 and 1 for a calibrated forecast).

    Raises:
        ValueError: no series, two slices with one name, fewer than 3 patients with two visits, or
            only growth models with radiotherapy and no course.
    """
    series = in_order(timelines)
    if not series:
        raise ValueError("population: no series in the cohort. Check task.series or task.split.")
    start = time.monotonic()
    ensemble = fit_ensemble(
        series, _resolved(laws, alpha_beta_gy, series), unit=unit, floor=floor, n_folds=n_folds,
        seed=seed, alpha_beta_gy=alpha_beta_gy, about={**(about or {}), "patients": _marks(series)},
        progress=countdown("population", log=log),
    )  # fmt: skip
    path = ensemble.save(Path(out_dir) / FILE)
    log.info("%s: use it with growth.population=%s\n%s", path, path, "\n".join(_table(ensemble)))
    row: Row = {
        "job": "population",
        "unit": unit,
        "n_slices": len(series),
        "n_patients": len({t.patient for t in series}),
        "n_folds": n_folds,
        "seed": seed,
        f"floor_{unit}": ensemble.floor,
        "population": str(path),
        "seconds": time.monotonic() - start,
    }
    for member in ensemble.members:
        row |= _member_row(member)
    return row


def _resolved(
    laws: Sequence[str], alpha_beta_gy: float | None, series: Sequence[SizeSeries]
) -> list[GrowthModel]:
    """The growth models; ValueError if all need radiotherapy and no series has a course."""
    found = [get_growth_model(law) for law in laws]
    if not any(t.courses for t in series) and all(
        law.knows_radiotherapy for law in found
    ):
        raise ValueError(
            f"population of {', '.join(laws)}: no course of radiotherapy in {len(series)} series, "
            "and all of these growth models include radiotherapy. Fill in rt_start_day, or add a "
            "growth model without radiotherapy, such as exponential or gompertz."
        )
    return found if alpha_beta_gy is None else [law.linear_quadratic() for law in found]


def _mark(patient: str) -> str:
    """Hash of a patient's name."""
    return hashlib.sha256(patient.encode()).hexdigest()[:12]


def _marks(series: Sequence[SizeSeries]) -> list[str]:
    return sorted({_mark(t.patient) for t in series})


def fingerprint_of(ensemble: Ensemble) -> str:
    """Digest of a population's content: a file may be made again with the same name."""
    with TemporaryDirectory() as folder:
        content = ensemble.save(Path(folder) / FILE).read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]


def check_unseen(ensemble: Ensemble, patients: Iterable[str]) -> None:
    """ValueError if a population was fitted to one of the patients that it is scored on."""
    seen = set(ensemble.about.get("patients", ()))
    known = sorted({p for p in patients if _mark(p) in seen})
    if known:
        raise ValueError(
            f"growth.population ({ensemble.about.get('cohort', 'unnamed')}): was fitted to "
            f"{len(known)} of these patients ({', '.join(known[:3])}), so scores on them would "
            "be too good. Use growth.population=cross_fit, or a population of another cohort."
        )


def _member_row(member: Member) -> Row:
    scatter, name = member.population.discrepancy, member.name
    row: Row = {
        f"weight_{name}": member.weight,
        f"sigma_{name}": scatter.sigma,
        f"tau_{name}_per_sqrt_day": scatter.tau,
    }
    if member.calibration is not None:
        held = member.calibration.quantiles
        levels = np.linspace(0.005, 0.995, held.size)
        low, middle, high = np.interp([_SIXTY_EIGHT[0], 0.5, _SIXTY_EIGHT[1]], levels, held)
        row |= {f"error_bias_{name}": float(middle), f"error_width_{name}": float(high - low) / 2}
    return row


def _table(ensemble: Ensemble) -> list[str]:
    """Median and 95% range of every parameter over the cohort, one line a parameter."""
    lines = [f"{'growth model':<20}{'parameter':<20}{'median':>10}{'2.5%':>10}{'97.5%':>10}  unit"]
    for member in ensemble.members:
        units = {p.name: p.unit for p in member.population.law.parameters}
        name = f"{member.name} {member.weight:.0%}"
        for parameter, values in member.population.typical().items():
            cells = "".join(f"{v:>10.3g}" for v in values)
            lines.append(f"{name:<20}{parameter:<20}{cells}  {units[parameter]}")
            name = ""
    return lines


def cross_fitted(
    series: Sequence[SizeSeries], settings: CrossFit, *, unit: str, folder: Path
) -> list[tuple[Ensemble, list[int]]]:
    """(population, indices of the slices that it forecasts), one a fold of patients.

    Each population is fitted to the patients of the other folds and kept in `folder` as JSON. A
    second run reads these files if they belong to the same series and settings.

    Args:
        series: the cohort, `in_order`.
        settings: folds, growth models, seed, floor.
        unit: of the sizes.
        folder: receives `fold_<k>.json`.

    Raises:
        ValueError: fewer than two patients.
    """
    patients = [t.patient for t in series]
    count = min(settings.n_folds, len(set(patients)))
    if count < 2:
        raise ValueError(
            "growth.population='cross_fit': the cohort has only one patient; a cross-fit needs at "
            "least two. Use growth.population=phantom or null."
        )
    fold = folds(patients, count, settings.seed)
    settings = dataclasses.replace(settings, n_folds=count)
    paths = [folder / f"fold_{k}.json" for k in range(count)]
    missing = []
    for k, path in enumerate(paths):
        others = [t for t, f in zip(series, fold, strict=True) if f != k]
        mark = _fingerprint(others, settings, unit)
        if not _is_kept(path, mark):
            about = {"cohort": f"cross-fit, fold {k + 1} of {count}", "fingerprint": mark}
            missing.append((path, others, settings, unit, about))
    _fit_folds(missing, len(series))
    # Read from the files, which are rounded: a resumed run gives the same numbers.
    return [
        (load_ensemble(path), [i for i, f in enumerate(fold) if f == k])
        for k, path in enumerate(paths)
    ]


_Fold = tuple[Path, list[SizeSeries], CrossFit, str, Mapping[str, Any]]


def _fit_folds(missing: Sequence[_Fold], n_series: int) -> None:
    """Fit and write the populations of some folds, in several processes for many series."""
    report = countdown("cross-fitted populations", log=log)
    workers = min(os.cpu_count() or 1, len(missing))
    if workers < 2 or n_series < _FEW_SERIES:
        for done, fold in enumerate(missing, 1):
            _fit(*fold)
            report(done, len(missing))
        return
    with worker_pool(workers) as processes:
        futures = [processes.submit(_fit, *fold) for fold in missing]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            report(done, len(missing))


def _fit(
    path: Path, others: Sequence[SizeSeries], settings: CrossFit, unit: str,
    about: Mapping[str, Any],
) -> None:
    fit_ensemble(
        others, _resolved(settings.laws, settings.alpha_beta_gy, others), unit=unit,
        floor=settings.floor, seed=settings.seed, alpha_beta_gy=settings.alpha_beta_gy, about=about,
    ).save(path)  # fmt: skip


def _is_kept(path: Path, mark: str) -> bool:
    if not path.is_file():
        return False
    try:
        kept = load_ensemble(path)
    except ValueError:  # of another version, or incomplete: fitted again
        return False
    return kept.about.get("fingerprint") == mark


def _fingerprint(series: Sequence[SizeSeries], settings: CrossFit, unit: str) -> str:
    """Digest of settings, visits and courses."""
    card = [mechlearn.__version__, unit, dataclasses.asdict(settings),
            [dataclasses.asdict(t) for t in series]]
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:16]
