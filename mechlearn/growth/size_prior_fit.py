"""Fit a size prior to a cohort: growth model, residual model, mixture weight, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mechlearn.checks import in_range
from mechlearn.growth.cohort_ratio import CohortRatio, cohort_floor
from mechlearn.growth.gompertz_diffusion import GompertzDiffusion
from mechlearn.growth.quantiles import LEVELS
from mechlearn.growth.residual_model import ResidualModel, patient_folds
from mechlearn.growth.series_checks import check_dates
from mechlearn.growth.size_history import COMPANION, FEATURES, History
from mechlearn.growth.size_prior import MECHANISTIC, USUAL_ZERO, SizePrior, columns, feature_rows
from mechlearn.growth.size_prior_choice import HeldOut
from mechlearn.records import SizeSeries

__all__ = ["LearnedSpec", "fit_size_prior"]

# By compartment: without the shift the median forecast of very small enhancing volumes grows.
# Chosen by cross-validation over patients; a choice within each fold was too noisy.
NEAREST = {"whole": 0.05, "flair": 0.05, "enhancing": 0.2, "core": 0.2}
# The other compartment gave no gain where constants were chosen on other patients.
_USED = tuple(f for f in (*FEATURES, *MECHANISTIC) if f not in COMPANION)
_FEWEST_PATIENTS = 5
_ZERO_SERIES = 4.0  # weight of `USUAL_ZERO`, in series


@dataclass(frozen=True)
class LearnedSpec:
    """How a size prior is fitted; the defaults were chosen by cross-validation over patients.

    Attributes:
        features: of `size_history.FEATURES` and `size_prior.MECHANISTIC`; by default all but those
            of the other compartment.
        max_gap: largest distance, in visits, of the pairs that the change is fitted to.
        last_share: share of a series' weight on its last pair of visits. Series often end with
            progression, and the forecast is of the last visit.
        nearest: shift of the median towards "no change" (log units), at most to it; None takes that
            of the compartment in `NEAREST`.
        usual_weight, usual_patients: prior mean of the residual model's weight in the mixture, and
            the strength of this prior in patients.
        stack: False uses the residual model alone.
        n_folds, seed: of the cross-fitting that gives weight and ranks.
    """

    features: tuple[str, ...] = _USED
    max_gap: int = 2
    last_share: float = 0.5
    nearest: float | None = None
    usual_weight: float = 0.8
    usual_patients: float = 20.0
    stack: bool = True
    n_folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        in_range("learned.max_gap", self.max_gap, 1, 100)
        in_range("learned.last_share", self.last_share, 0.0, 1.0)
        if self.nearest is not None:
            in_range("learned.nearest", self.nearest, 0.0, 1.0)
        in_range("learned.n_folds", self.n_folds, 2, 1000)


@dataclass(frozen=True)
class _Rows:
    """Pairs of visits of a cohort."""

    features: np.ndarray  # (N, F)
    change: np.ndarray  # (N,)
    weights: np.ndarray  # (N,): 1 a patient
    patients: np.ndarray  # (N,) str
    owner: np.ndarray  # (N,) index of the series
    final: np.ndarray  # (N,) bool: from the visit before the last to the last

    def of(self, kept: np.ndarray) -> _Rows:
        return _Rows(*(getattr(self, name)[kept] for name in self.__annotations__))


def fit_size_prior(
    cohort: Sequence[SizeSeries], spec: LearnedSpec | None = None, *,
    about: Mapping[str, Any] | None = None,
) -> SizePrior:
    """Fit a size prior to a cohort.

    Args:
        cohort: series with all their visits, in one unit; those with one day only are left out.
        spec: settings; the defaults if None.
        about: provenance, stored with the numbers of patients and readings.

    Returns:
        The prior, fitted to all patients; weight and ranks come from cross-fitting over patients.

    Raises:
        ValueError: fewer than five patients with two visits; different units.

    Example:
        >>> from mechlearn.records import SizeReading, SizeSeries
        >>> cohort = [SizeSeries(f"{i}", f"{i}", (SizeReading(0, 1e3 + i), SizeReading(60, 2e3)),
        ...                      unit="mm3") for i in range(8)]
        >>> fit_size_prior(cohort).about["n_patients"]
        8
    """
    spec = spec or LearnedSpec()
    histories = _usable(cohort)
    sizes = np.concatenate([h.sizes for h in histories])
    others = np.concatenate([h.companion_sizes for h in histories])
    floor = cohort_floor(sizes)
    companion_floor = cohort_floor(others)
    gompertz = GompertzDiffusion.fit([(h.days, np.log(h.sizes + floor)) for h in histories])
    rows = _pairs(histories, floor, companion_floor, gompertz, spec)
    prior = SizePrior(
        histories[0].series.unit, floor, companion_floor, float(sizes.max()), gompertz,
        _residual(rows, spec), CohortRatio.fit(histories, floor), 1.0, LEVELS, 0.0,
        _zero_stays(histories), spec.features,
        {"n_patients": len({h.series.patient for h in histories}), "n_series": len(histories),
         "n_readings": int(sizes.size), **(about or {})},
    )  # fmt: skip
    return _stacked(prior, histories, rows, spec)


def _usable(cohort: Sequence[SizeSeries]) -> list[History]:
    histories = []
    for series in cohort:
        check_dates(series, series.visits[-1].day)
        history = History.of(series)
        if history.days.size > 1:
            histories.append(history)
    patients = {h.series.patient for h in histories}
    if len(patients) < _FEWEST_PATIENTS:
        raise ValueError(
            f"size prior: {len(patients)} patient(s) with visits on two days; at least "
            f"{_FEWEST_PATIENTS} are needed. Give a larger cohort or growth.population=glioma."
        )
    if len({h.series.unit for h in histories}) > 1:
        raise ValueError("size prior: series in mm2 and in mm3. Fit one prior to each unit.")
    return histories


def _pairs(
    histories: Sequence[History], floor: float, companion_floor: float,
    gompertz: GompertzDiffusion, spec: LearnedSpec,
) -> _Rows:
    features: list[np.ndarray] = []
    change: list[float] = []
    share: list[float] = []
    patients, owner, final = [], [], []
    per_patient: dict[str, int] = {}
    for i, history in enumerate(histories):
        name, logs = history.series.patient, np.log(history.sizes + floor)
        per_patient[name] = per_patient.get(name, 0) + 1
        n_all, start = logs.size, len(change)
        for n in range(1, n_all):
            ends = range(n, min(n + spec.max_gap, n_all))
            found = feature_rows(history, n, history.days[list(ends)], floor, companion_floor,
                                 gompertz)  # fmt: skip
            for row, end in zip(found, ends, strict=True):
                features.append(row)
                change.append(logs[end] - logs[n - 1])
                gap = end - n + 1
                share.append(1.0 if gap == 1 else 0.5 / gap)
                final.append(end == n_all - 1 and gap == 1)
                patients.append(name)
                owner.append(i)
        _balance(share, final, start, spec.last_share)
    divide = np.array([per_patient[p] for p in patients])
    return _Rows(np.array(features), np.array(change), np.array(share) / divide,
                 np.array(patients), np.array(owner), np.array(final))  # fmt: skip


def _balance(share: list[float], final: list[bool], start: int, last_share: float) -> None:
    """Scale the weights of one series to the sum 1, with `last_share` on the last pair."""
    last = [i for i in range(start, len(share)) if final[i]]
    rest = [i for i in range(start, len(share)) if not final[i]]
    for places, total in ((last, last_share if rest else 1.0), (rest, 1.0 - last_share)):
        scale = total / sum(share[i] for i in places) if places else 0.0
        for i in places:
            share[i] *= scale


def _residual(rows: _Rows, spec: LearnedSpec) -> ResidualModel:
    return ResidualModel.fit(
        rows.features[:, columns(spec.features)], rows.change, rows.weights, rows.patients,
        n_folds=spec.n_folds, seed=spec.seed,
    )  # fmt: skip


def _stacked(
    prior: SizePrior, histories: Sequence[History], rows: _Rows, spec: LearnedSpec
) -> SizePrior:
    """The prior with weight and ranks from forecasts by cross-fitting over patients.

    The floor and the five parameters of the growth model are those of all patients.
    """
    patients = np.array([h.series.patient for h in histories])
    fold = patient_folds(patients, min(spec.n_folds, np.unique(patients).size), spec.seed)
    learned = np.empty((len(histories), LEVELS.size))
    ratio = np.empty_like(learned)
    for k in range(fold.max() + 1):
        rest = [h for h, f in zip(histories, fold, strict=True) if f != k]
        model = _residual(rows.of(fold[rows.owner] != k), spec)
        here = rows.of((fold[rows.owner] == k) & rows.final)
        learned[here.owner] = model.changes(here.features[:, columns(spec.features)], LEVELS)
        ratio[here.owner] = CohortRatio.fit(rest, prior.floor).changes
    truth = np.empty(len(histories))
    truth[rows.owner[rows.final]] = rows.change[rows.final]
    share = 1 / np.array([np.sum(patients == p) for p in patients])
    held = HeldOut(histories, learned, ratio, truth, share, prior.floor)
    weight = held.weight(spec.usual_weight, spec.usual_patients) if spec.stack else 1.0
    prior = replace(prior, weight=weight, ranks=held.ranks(weight))
    usual = NEAREST.get(histories[0].series.compartment, NEAREST["whole"])
    return replace(prior, nearest=usual if spec.nearest is None else spec.nearest)


def _zero_stays(histories: Sequence[History]) -> float:
    """Share of series with a zero at the second to last visit that also have one at the last,
    shrunk towards `USUAL_ZERO` where there are few."""
    stays = [float(h.sizes[-1] == 0) for h in histories if h.sizes[-2] == 0]
    return (_ZERO_SERIES * USUAL_ZERO + sum(stays)) / (_ZERO_SERIES + len(stays))
