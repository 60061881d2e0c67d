"""Weight and calibration ranks of a size prior, from forecasts of held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.agreement import crps_sorted
from mechlearn.growth.quantiles import LEVELS, mixture
from mechlearn.growth.size_history import History

__all__ = ["HeldOut"]

_WEIGHTS = np.linspace(0.0, 1.0, 21)
_UNCORRECTED_PATIENTS = 20.0  # weight of the uncorrected ranks, in patients


@dataclass(frozen=True)
class HeldOut:
    """Forecasts of the last visits by models fitted without the patient.

    learned, ratio (S, L): quantiles of the change of the log size by both members; truth (S,): the
    observed change; share (S,): weights whose sum over a patient is 1; floor: of the log sizes.
    """

    histories: Sequence[History]
    learned: np.ndarray
    ratio: np.ndarray
    truth: np.ndarray
    share: np.ndarray
    floor: float

    def weight(self, usual: float, usual_patients: float) -> float:
        """Weight of the residual model with the least mean CRPS (of the log size and relative,
        both over those of the cohort ratio), with a penalty towards the usual weight."""
        scores = np.array([self._scores(self._mixed(w)) for w in _WEIGHTS])
        relative = (scores / np.maximum(scores[0], 1e-12)).mean(axis=1)
        pull = usual_patients / (self.share.sum() + usual_patients)
        return float(_WEIGHTS[np.argmin(relative + pull * (_WEIGHTS - usual) ** 2)])

    def ranks(self, weight: float) -> np.ndarray:
        """Quantiles at `LEVELS` of the held-out patients' ranks in the mixture, with (n + 1)
        positions as in conformal prediction; shrunk towards uniform ranks in small cohorts."""
        place = np.array([
            (np.searchsorted(m, z, "left") + np.searchsorted(m, z, "right")) / 2 / m.size
            for m, z in zip(self._mixed(weight), self.truth, strict=True)
        ])  # fmt: skip
        order, share = np.argsort(place, kind="stable"), self.share
        total = np.cumsum(share[order])
        position = (total - share[order] / 2 + 0.5) / (total[-1] + 1)
        found = np.interp(LEVELS, np.concatenate([[0.0], position, [1.0]]),
                          np.concatenate([[0.0], place[order], [1.0]]))  # fmt: skip
        known = share.sum() / (share.sum() + _UNCORRECTED_PATIENTS)
        return np.asarray(known * found + (1 - known) * LEVELS)

    def _mixed(self, weight: float) -> np.ndarray:
        both = zip(self.learned, self.ratio, strict=True)
        return np.array([mixture([a, b], [weight, 1 - weight]) for a, b in both])

    def _scores(self, changes: np.ndarray) -> np.ndarray:
        """Sums of the CRPS of the log size and of the relative CRPS."""
        sums = np.zeros(2)
        for i, (history, z) in enumerate(zip(self.histories, changes, strict=True)):
            last, largest = float(history.sizes[-1]), float(history.sizes[:-1].max())
            sums[0] += self.share[i] * crps_sorted(z, self.truth[i])
            if largest > 0:
                sizes = np.exp(np.log(history.sizes[-2] + self.floor) + z) - self.floor
                sums[1] += self.share[i] * crps_sorted(np.maximum(sizes, 0.0), last) / largest
        return sums
