"""The table of a comparison of size forecasts: scores, intervals over patients, differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.evaluation.rows import Row
from mechlearn.metrics.rank import clustered_interval

__all__ = ["REFERENCE", "SCORES", "SizeComparison"]

REFERENCE = "cohort_ratio"
# score -> (statistic over held-out visits, heading)
SCORES = {
    "crps_relative": ("mean", "CRPS rel."), "crps_log": ("mean", "CRPS log"),
    "nrmse": ("median", "nRMSE"), "covered": ("mean", "coverage"), "width": ("median", "width"),
    "winkler": ("mean", "Winkler"),
}  # fmt: skip
_GROUPED = ("crps_relative", "crps_log", "nrmse")


@dataclass(frozen=True)
class SizeComparison:
    """Scores of every model on every held-out visit.

    `crps_relative`, `width` and `winkler` are divided by the largest size before the held-out
    visit; they are undefined where that is 0. `crps_log` is the CRPS of log(size + floor). Failures
    are counted. The scores of all models are taken over the visits that all models could forecast.
    """

    rows: tuple[Row, ...]
    models: tuple[str, ...]
    unit: str

    @property
    def n_patients(self) -> int:
        return len({r["patient"] for r in self.rows})

    def failed(self, model: str) -> int:
        """Number of held-out visits that the model could not forecast."""
        return sum(r["failed"] is not None for r in self.rows if r["model"] == model)

    def values(self, model: str, score: str, tasks: set[str] | None = None) -> dict[str, float]:
        """Held-out visit -> score, for visits that all models could forecast."""
        bad = {r["task"] for r in self.rows if r["failed"] is not None}
        return {
            r["task"]: float(r[score]) for r in self.rows
            if r["model"] == model and r["task"] not in bad and r[score] is not None
            and (tasks is None or r["task"] in tasks)
        }  # fmt: skip

    def summary(self, *, seed: int = 0) -> Row:
        """One flat row: `<score>_<model>` with its interval over patients; for both CRPS also the
        ratio to that of the cohort ratio, and the difference with its interval."""
        out: Row = {"n_patients": self.n_patients,
                    "n_held_out": len({r["task"] for r in self.rows})}  # fmt: skip
        for model in self.models:
            out[f"n_failed_{model}"] = self.failed(model)
            for score, (statistic, _) in SCORES.items():
                low, middle, high = self._interval(self.values(model, score), statistic, seed)
                key = f"{score}_{model}"
                out |= {key: middle, f"{key}_low": low, f"{key}_high": high}
                if model != REFERENCE and REFERENCE in self.models and score.startswith("crps"):
                    out |= self._against(model, score, seed)
        return out

    def _against(self, model: str, score: str, seed: int) -> Row:
        ours, theirs = self.values(model, score), self.values(REFERENCE, score)
        if not ours:
            return {}
        difference = {task: ours[task] - theirs[task] for task in ours}
        low, middle, high = self._interval(difference, "mean", seed)
        key = f"{score}_{model}_minus_{REFERENCE}"
        return {
            f"{score}_{model}_over_{REFERENCE}":
                float(np.mean(list(ours.values())) / np.mean([theirs[t] for t in ours])),
            key: middle, f"{key}_low": low, f"{key}_high": high,
        }  # fmt: skip

    def _interval(
        self, values: dict[str, float], statistic: str, seed: int
    ) -> tuple[float | None, float | None, float | None]:
        if not values:
            return None, None, None
        patient = {r["task"]: r["patient"] for r in self.rows}
        found = clustered_interval(
            list(values.values()), [patient[t] for t in values], rng=np.random.default_rng(seed),
            statistic="median" if statistic == "median" else "mean",
        )  # fmt: skip
        return found.low, found.estimate, found.high

    def table(self, *, seed: int = 0) -> str:
        """The scores as text: all models, then by days ahead and by number of visits used."""
        row = self.summary(seed=seed)
        cells = [
            [name, *(_cell(row, f"{score}_{name}") for score in SCORES)] for name in self.models
        ]
        failed = [
            f"{name}: {count} of {row['n_held_out']} visits could not be forecast and are left "
            "out for all models"
            for name in self.models if (count := row[f"n_failed_{name}"])
        ]  # fmt: skip
        return "\n".join([
            f"{row['n_held_out']} held-out visits of {row['n_patients']} patients; models of a "
            "cohort are fitted to other patients; brackets: 95% intervals over patients",
            "", *_aligned(["model", *(head for _, head in SCORES.values())], cells), *failed,
            "", *self._differences(row),
            "", *self._by("horizon_days", "days ahead"),
            "", *self._by("n_seen", "visits used"),
            "", "CRPS rel., width (median) and Winkler score are divided by the largest size of "
            "the visits used; CRPS log is of log size; nRMSE is a median.",
            "95% intervals have no coverage guarantee; the column coverage is the share of "
            "held-out sizes inside them.",
        ])  # fmt: skip

    def _differences(self, row: Row) -> list[str]:
        cells = []
        for model in self.models:
            if f"crps_relative_{model}_over_{REFERENCE}" in row:
                cells.append([model])
                for score in ("crps_relative", "crps_log"):
                    cells[-1] += [
                        f"{row[f'{score}_{model}_over_{REFERENCE}']:.3f}",
                        _cell(row, f"{score}_{model}_minus_{REFERENCE}", sign="+"),
                    ]
        heads = [f"against {REFERENCE}", "CRPS rel.: ratio", "difference", "CRPS log: ratio",
                 "difference"]  # fmt: skip
        return _aligned(heads, cells) if cells else []

    def _by(self, key: str, name: str) -> list[str]:
        found = {r["task"]: float(r[key]) for r in self.rows}
        cells = []
        for label, tasks in _groups(found):
            cells.append([label, str(len(tasks))])
            for model in self.models:
                scores = [self.values(model, score, tasks) for score in _GROUPED]
                cells[-1].append(" / ".join(
                    _number(float((np.median if score == "nrmse" else np.mean)(list(v.values()))))
                    if v else "-" for score, v in zip(_GROUPED, scores, strict=True)
                ))  # fmt: skip
        return _aligned([f"{name} (CRPS rel. / log / nRMSE)", "visits", *self.models], cells)


def _aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{'<' if i == 0 else '>'}{width}}"
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in (heads, *rows)
    ]


def _groups(found: dict[str, float]) -> Sequence[tuple[str, set[str]]]:
    """Up to three groups of held-out visits of about equal size."""
    cuts = np.unique(np.quantile(list(found.values()), [1 / 3, 2 / 3]))
    edges = [-np.inf, *cuts.tolist(), np.inf]
    out = []
    for low, high in zip(edges, edges[1:], strict=False):
        tasks = {task for task, value in found.items() if low < value <= high}
        inside = [found[t] for t in tasks]
        if tasks:
            out.append((f"{min(inside):g} to {max(inside):g}", tasks))
    return out


def _cell(row: Row, key: str, *, sign: str = "") -> str:
    ends = [row[key], row[f"{key}_low"], row[f"{key}_high"]]
    shown = ["-" if v is None else _number(v, sign) for v in ends]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.{3 if abs(value) < 10 else 1}f}"
