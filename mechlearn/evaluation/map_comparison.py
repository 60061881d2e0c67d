"""Comparison of growth maps of all methods on test patients, with choices on validation patients.

For each method two things are chosen on validation patients: the threshold of its mask (nearest to
0.5 among those whose mean HD95 is within one standard error of the least; with and without the
initial tumour) and the recalibration of its probabilities. Test patients are then scored once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mechlearn.evaluation.map_cases import MapCase
from mechlearn.evaluation.recalibration import LevelCounts, fit_recalibration
from mechlearn.evaluation.rows import Row
from mechlearn.metrics.calibration import average_precision, brier, reliability
from mechlearn.metrics.distance import dice, hd95_mm

__all__ = [
    "DEFAULT_THRESHOLD", "THRESHOLDS", "MapChoice", "MapScores", "choose", "leave_one_out",
    "score_maps",
]  # fmt: skip

THRESHOLDS = (0.05, *(round(0.1 * k, 1) for k in range(1, 10)))
DEFAULT_THRESHOLD = 0.5
N_BINS = 15  # of the calibration error


@dataclass(frozen=True)
class MapChoice:
    """Choices of one method on validation patients, with defaults.

    Attributes:
        threshold, threshold_alone: of the mask with and without the initial tumour.
        recalibrate: of the probabilities outside the initial tumour; None for no recalibration.
    """

    threshold: float = DEFAULT_THRESHOLD
    threshold_alone: float = DEFAULT_THRESHOLD
    recalibrate: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class MapScores:
    """Scores of every method on every slice.

    Attributes:
        rows: one a slice and method: slice_id, patient, method, dice, hd95_mm, dice_alone,
            hd95_alone_mm (the map without the initial tumour), average_precision, brier,
            brier_raw (before recalibration), worst_mm (longest distance in the brain), pixels,
            threshold and threshold_alone (as chosen).
        bins: method -> patient -> (bins, 3): sums of probability, of tumour, and pixels.
    """

    rows: list[Row] = field(default_factory=list)
    bins: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """Methods in order of appearance."""
        return list(dict.fromkeys(str(row["method"]) for row in self.rows))

    def of(self, method: str) -> list[Row]:
        """Rows of one method, in order of slices."""
        return [row for row in self.rows if row["method"] == method]


@dataclass(frozen=True)
class _Measured:
    """Data for the choices, of one case and method; computed once for all folds.

    distances: (2, T) HD95 in mm at THRESHOLDS, with the initial tumour and without.
    """

    distances: np.ndarray
    counts: LevelCounts

    @classmethod
    def of(cls, case: MapCase, method: str) -> _Measured:
        known: dict[int, float] = {}  # masks are nested, so masks of equal size are equal

        def distance(threshold: float, alone: bool) -> float:
            mask = _mask(case, method, threshold, alone=alone)
            key = int(mask.sum()) * 2 + (alone and not mask[case.initial].all())
            if key not in known:
                known[key] = _distance(case, mask)
            return known[key]

        region = case.region
        return cls(np.array([[distance(t, alone) for t in THRESHOLDS] for alone in (False, True)]),
                   LevelCounts.of(case.maps[method][region], case.truth[region]))  # fmt: skip


def choose(cases: Sequence[MapCase]) -> dict[str, MapChoice]:
    """Choose threshold and recalibration of each method on validation patients.

    An empty mask counts as the longest distance in the brain, so that empty masks are no advantage.

    Args:
        cases: slices of validation patients; without cases the result is empty.
    """
    return _choices([c.patient for c in cases], [_measured(c) for c in cases])


def leave_one_out(cases: Sequence[MapCase]) -> MapScores:
    """Scores of every case, with threshold and recalibration chosen on the other patients.

    Args:
        cases: of at least two patients, all with the same methods.
    """
    measured = [_measured(c) for c in cases]
    out = MapScores()
    for patient in dict.fromkeys(c.patient for c in cases):
        others = [(c.patient, m) for c, m in zip(cases, measured, strict=True)
                  if c.patient != patient]  # fmt: skip
        choices = _choices([p for p, _ in others], [m for _, m in others])
        own = score_maps([c for c in cases if c.patient == patient], choices)
        out.rows.extend(own.rows)
        for method, bins in own.bins.items():
            out.bins.setdefault(method, {}).update(bins)
    return out


def _measured(case: MapCase) -> dict[str, _Measured]:
    return {method: _Measured.of(case, method) for method in case.maps}


def _choices(
    patients: Sequence[str], measured: Sequence[Mapping[str, _Measured]]
) -> dict[str, MapChoice]:
    """Choices of each method on the cases of `patients`."""
    out = {}
    for method in measured[0] if measured else ():
        mine = [m[method] for m in measured]
        joined, alone = (_threshold(np.array([m.distances[k] for m in mine]).T, patients)
                         for k in (0, 1))  # fmt: skip
        out[method] = MapChoice(joined, alone, fit_recalibration([m.counts for m in mine]))
    return out


def _threshold(distances: np.ndarray, patients: Sequence[str]) -> float:
    """The threshold nearest to 0.5 among those within one standard error of the least distance.

    Args:
        distances: (T, n), one row a threshold of THRESHOLDS, one value a slice.
        patients: of the slices; the standard error is of the paired differences of patients' means.
    """
    names = list(dict.fromkeys(patients))
    of = np.array([names.index(p) for p in patients])
    means = np.array([np.bincount(of, d) / np.bincount(of) for d in distances])
    behind = means - means[means.mean(1).argmin()]
    error = behind.std(1, ddof=1) / np.sqrt(len(names)) if len(names) > 1 else np.zeros(len(means))
    near = [t for t, b, e in zip(THRESHOLDS, behind.mean(1), error, strict=True) if b <= e]
    return min(near, key=lambda t: abs(t - DEFAULT_THRESHOLD))


def _mask(case: MapCase, method: str, threshold: float, *, alone: bool) -> np.ndarray:
    mask = np.asarray(case.maps[method] >= threshold) & case.brain
    return mask if alone else mask | case.initial


def _distance(case: MapCase, mask: np.ndarray) -> float:
    found = hd95_mm(mask, case.truth, case.spacing_mm)
    return _longest_mm(case) if found is None else found


def _longest_mm(case: MapCase) -> float:
    """Diagonal of the box around the brain."""
    axes = zip(np.nonzero(case.brain), case.spacing_mm, strict=True)
    sides = [np.ptp(at) * mm for at, mm in axes]
    return float(np.linalg.norm(sides))


def score_maps(cases: Sequence[MapCase], choices: Mapping[str, MapChoice]) -> MapScores:
    """Score every method on every slice.

    Args:
        cases: slices of test patients.
        choices: from `choose`; a method without a choice is scored with the defaults.
    """
    out = MapScores()
    for case in cases:
        for method in case.maps:
            choice = choices.get(method, MapChoice())
            out.rows.append(_row(case, method, choice))
            by_patient = out.bins.setdefault(method, {})
            held = by_patient.setdefault(case.patient, np.zeros((N_BINS, 3)))
            held += _bins(_probability(case, method, choice), case)
    return out


def _probability(case: MapCase, method: str, choice: MapChoice) -> np.ndarray:
    p = np.asarray(case.maps[method], float)
    return p if choice.recalibrate is None else np.clip(choice.recalibrate(p), 0.0, 1.0)


def _row(case: MapCase, method: str, choice: MapChoice) -> Row:
    raw = np.asarray(case.maps[method], float)
    mask = _mask(case, method, choice.threshold, alone=False)
    alone = _mask(case, method, choice.threshold_alone, alone=True)
    return {
        "slice_id": case.name, "patient": case.patient, "method": method,
        "dice": dice(mask, case.truth), "hd95_mm": hd95_mm(mask, case.truth, case.spacing_mm),
        "dice_alone": dice(alone, case.truth),
        "hd95_alone_mm": hd95_mm(alone, case.truth, case.spacing_mm),
        "average_precision": average_precision(raw, case.truth, region=case.region),
        "brier": brier(_probability(case, method, choice), case.truth, region=case.region),
        "brier_raw": brier(raw, case.truth, region=case.region),
        "worst_mm": _longest_mm(case), "pixels": int(case.region.sum()),
        "threshold": choice.threshold, "threshold_alone": choice.threshold_alone,
    }  # fmt: skip


def _bins(p: np.ndarray, case: MapCase) -> np.ndarray:
    """Sums of one slice by bin of probability, (N_BINS, 3)."""
    found = reliability(p, case.truth, region=case.region, n_bins=N_BINS)
    at = np.clip(np.digitize(found.predicted, found.edges[1:-1], right=True), 0, N_BINS - 1)
    out = np.zeros((N_BINS, 3))
    for k, row in zip(at, np.stack([found.predicted * found.count, found.observed * found.count,
                                    found.count], axis=1), strict=True):  # fmt: skip
        out[k] += row
    return out
