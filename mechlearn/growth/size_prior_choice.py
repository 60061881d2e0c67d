"""What a size prior takes from forecasts of held-out patients: its weight and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.agreement import crps_sorted
from mechlearn.growth.quantiles import LEVELS, mixture
from mechlearn.growth.size_history import History

__all__ = ["HeldOut"]

_WEIGHTS = np.linspace(0.0, 1.0, 21)
_UNCORRECTED_PATIENTS = 20.0  # weight of the mixture's own ranks, in patients


@dataclass(frozen=True)
class HeldOut:
    """Forecasts of the last visits by models that never saw the patient.

    learned, ratio (S, L): quantiles of the change of the log size by both members; truth (S,): the
    change; share (S,): 1 a patient; floor: of the log sizes.
    """

    histories: Sequence[History]
    learned: np.ndarray
    ratio: np.ndarray
    truth: np.ndarray
    share: np.ndarray
    floor: float

    def weight(self, usual: float, usual_patients: float) -> float:
        """Weight of the residual model with the least mean CRPS (of the log and relative, both in
        multiples of the cohort ratio's), drawn towards the usual one."""
        scores = np.array([self._scores(self._mixed(w)) for w in _WEIGHTS])
        relative = (scores / np.maximum(scores[0], 1e-12)).mean(axis=1)
        pull = usual_patients / (self.share.sum() + usual_patients)
        return float(_WEIGHTS[np.argmin(relative + pull * (_WEIGHTS - usual) ** 2)])

    def ranks(self, weight: float) -> np.ndarray:
        """Where held-out patients lie in the mixture, at `LEVELS`: (n + 1) places, as in conformal
        prediction, drawn towards the mixture's own ranks where patients are few."""
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
        """Sums of the CRPS of the log and relative."""
        sums = np.zeros(2)
        for i, (history, z) in enumerate(zip(self.histories, changes, strict=True)):
            last, largest = float(history.sizes[-1]), float(history.sizes[:-1].max())
            sums[0] += self.share[i] * crps_sorted(z, self.truth[i])
            if largest > 0:
                sizes = np.exp(np.log(history.sizes[-2] + self.floor) + z) - self.floor
                sums[1] += self.share[i] * crps_sorted(np.maximum(sizes, 0.0), last) / largest
        return sums
