"""Choice of a cell of the grid, from size error and SSIM outside the tumour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mechlearn.evaluation.grid_trends import cube
from mechlearn.evaluation.rows import Row
from mechlearn.metrics.trends import pareto_front

__all__ = ["LEAST_SSIM_OUTSIDE", "PAPERS_CHOICE", "GridChoice", "choose_cell"]

LEAST_SSIM_OUTSIDE = 0.97
PAPERS_CHOICE = (200, 50_000.0)
Cell = tuple[int, float]


@dataclass(frozen=True)
class GridChoice:
    """The two scores of all cells, their Pareto front, and the chosen cell.

    Attributes:
        size_error: cell -> median over pairs of |achieved / requested - 1|, sizes as ratios to the
            initial one, measured on FLAIR. ssim_outside: cell -> mean over pairs.
        front: cells of the Pareto front, by rising size error.
        kept_anatomy: whether a cell of the front reaches `LEAST_SSIM_OUTSIDE`.
        share: share of resamples of patients with the same choice; None with one patient.
        no_change: size error of the initial image.
    """

    size_error: Mapping[Cell, float]
    ssim_outside: Mapping[Cell, float]
    front: tuple[Cell, ...]
    chosen: Cell
    kept_anatomy: bool
    share: float | None
    no_change: float | None

    @property
    def words(self) -> str:
        """The choice and its reason as text."""
        nl, scale = self.chosen
        rule = (f"the smallest size error with SSIM outside of at least {LEAST_SSIM_OUTSIDE:g}"
                if self.kept_anatomy else
                f"no cell of the front keeps SSIM outside at {LEAST_SSIM_OUTSIDE:g}; the one "
                "nearest to the best of both")  # fmt: skip
        firm = "" if self.share is None else f"; {self.share:.0%} of patient resamples agree"
        return (f"choice NL={nl}, s_R={scale:g}: median size error "
                f"{self.size_error[self.chosen]:.3f}, SSIM outside "
                f"{self.ssim_outside[self.chosen]:.3f} ({rule}{firm})")

    @property
    def keys(self) -> Row:
        paper = self.size_error.get(PAPERS_CHOICE)
        return {
            "choice_noise_level": self.chosen[0],
            "choice_scale": self.chosen[1],
            "choice_size_error_median": self.size_error[self.chosen],
            "choice_ssim_outside": self.ssim_outside[self.chosen],
            "choice_resample_share": self.share,
            "choice_keeps_anatomy": int(self.kept_anatomy),
            "no_change_size_error_median": self.no_change,
            "papers_choice_size_error_median": paper,
            "papers_choice_ssim_outside": self.ssim_outside.get(PAPERS_CHOICE),
            "papers_choice_on_front": None if paper is None else int(PAPERS_CHOICE in self.front),
            "n_cells_on_front": len(self.front),
        }


def choose_cell(
    pairs: Sequence[Mapping[str, Any]], *, seed: int = 0, n_resamples: int = 500
) -> GridChoice | None:
    """The choice from rows of `pairs.csv` with their cells; None if no pair is scored in all cells.

    It is the cell of the Pareto front with the smallest size error among those with SSIM outside of
    at least `LEAST_SSIM_OUTSIDE`. If there is none, it is the cell nearest to the best of both
    scores, each scaled by its range on the front.
    """
    whole, ssim = cube(pairs, "relative_error_abs"), cube(pairs, "ssim_outside")
    known = np.isfinite(whole.values + ssim.values).all(axis=(1, 2))
    errors, ssim = whole.only(known), ssim.only(known)
    if not errors.patients:
        return None
    scores = _scores(errors.values, ssim.values, np.arange(len(errors.patients)))
    cells = [(int(a), float(b)) for a in errors.noise_levels for b in errors.scales]
    found = _pick(*scores)
    if found is None:
        return None
    at, front, kept = found
    names = np.asarray(errors.patients)
    groups = [np.flatnonzero(names == name) for name in dict.fromkeys(errors.patients)]
    share = None
    if len(groups) > 1:
        rng = np.random.default_rng(seed)
        drawn = rng.integers(len(groups), size=(n_resamples, len(groups)))
        again = [_pick(*_scores(errors.values, ssim.values,
                                np.concatenate([groups[i] for i in row]))) for row in drawn]
        share = float(np.mean([a is not None and a[0] == at for a in again]))
    rising = sorted(np.flatnonzero(front), key=lambda i: scores[0][i])
    still = [r["relative_error_no_change_abs"] for r in pairs
             if r.get("relative_error_no_change_abs") is not None]  # fmt: skip
    return GridChoice(
        dict(zip(cells, scores[0].tolist(), strict=True)),
        dict(zip(cells, scores[1].tolist(), strict=True)),
        tuple(cells[i] for i in rising), cells[at], kept, share,
        float(np.median(still)) if still else None,
    )  # fmt: skip


def _scores(errors: np.ndarray, ssim: np.ndarray, rows: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray]:
    """(median error, mean SSIM) of the cells, (A * B,)."""
    return np.median(errors[rows], axis=0).ravel(), ssim[rows].mean(axis=0).ravel()


def _pick(error: np.ndarray, ssim: np.ndarray) -> tuple[int, np.ndarray, bool] | None:
    front = pareto_front(error, ssim)
    if not front.any():
        return None
    kept = front & (ssim >= LEAST_SSIM_OUTSIDE)
    if kept.any():
        return int(np.argmin(np.where(kept, error, np.inf))), front, True
    at = np.flatnonzero(front)
    spans = [max(float(np.ptp(v[at])), 1e-12) for v in (error, ssim)]
    far = np.hypot((error[at] - error[at].min()) / spans[0], (ssim[at].max() - ssim[at]) / spans[1])
    return int(at[np.argmin(far)]), front, False
