"""Scores of several models' folders on the same held-out visits, with the same baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechlearn.evaluation.model_entries import HeldOut, SizeEntry, map_path, read_sizes
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.evaluation.scored_case import METRICS, score_case
from mechlearn.evaluation.scoring import read_case
from mechlearn.metrics.rank import clustered_interval

__all__ = ["ModelScores", "score_models", "table_of"]

PREDICTION = "prediction"  # of `score_case`
SEED = 0
SIZE_SCORES = ("size_error", "covered", "width")


@dataclass(frozen=True)
class ModelScores:
    """Scores of models and baselines.

    Attributes:
        rows: one a visit, method and size: `patient`, `day`, `method`, `size` (`own`, `true`, or
            for a baseline the model whose size it has) and `scored_case.METRICS`.
        sizes: one a visit and model: `size_error` = |V / V_true - 1| of its median or, without a
            `sizes.csv`, of its mask; `covered` and `width` (over V_true) of its interval.
        failures: (model, visit, reason) of every visit without a usable map.
        models: names of the models. n_cases: number of held-out visits.
    """

    rows: tuple[Row, ...]
    sizes: tuple[Row, ...]
    failures: tuple[tuple[str, str, str], ...]
    models: tuple[str, ...]
    n_cases: int

    def write(self, folder: str | Path) -> list[Path]:
        """Write `scores.csv` and `sizes.csv`; returns their paths."""
        return [
            write_table(Path(folder) / "scores.csv", self.rows, first=("patient", "day", "method")),
            write_table(Path(folder) / "sizes.csv", self.sizes, first=("patient", "day", "method")),
        ]


def score_models(
    folders: Sequence[str | Path],
    cases: Sequence[HeldOut],
    *,
    threshold: float = 0.5,
    progress: Callable[[str], None] | None = None,
) -> ModelScores:
    """Score folders of forecasts. A visit without a map of a model is a failure of this model.

    Args:
        folders: one a model, see `model_entries`; the folder's name is the model's name. A visit is
            scored if any model has a map of it, or if it is the patient's last.
        cases: of `model_entries.read_held_out`.
        threshold: probability from which a voxel counts as tumour.
        progress: called with the name of each visit.

    Raises:
        FileNotFoundError: a missing folder.
        ValueError: two models with one name, or no map at all.
    """
    models = _named(folders)
    counted = [c for c in cases if c.is_last or any(map_path(f, c) for f in models.values())]
    if not any(map_path(f, c) for f in models.values() for c in counted):
        first = counted[0]
        raise ValueError(
            f"{next(iter(models.values()))}: no map of any held-out visit. Give files such as "
            f"{first.patient}/{'DAY' if first.day is None else format(first.day, 'g')}.nii.gz or "
            f"{first.patient}.nii.gz."
        )
    sizes_of = {name: read_sizes(folder) for name, folder in models.items()}
    rows: list[Row] = []
    sizes: list[Row] = []
    failures: list[tuple[str, str, str]] = []
    for case in counted:
        if progress is not None:
            progress(case.name)
        baselines_done = False
        for name, folder in models.items():
            path = map_path(folder, case)
            if path is None:
                failures.append((name, case.name, "no map"))
                continue
            try:
                scored = _score(case, path, threshold)
            except (ValueError, FileNotFoundError) as error:
                failures.append((name, case.name, str(error)))
                continue
            rows += _renamed(scored, case, name, with_baselines=not baselines_done)
            baselines_done = True
            sizes += _size_row(scored, case, name, sizes_of[name])
    return ModelScores(tuple(rows), tuple(sizes), tuple(failures), tuple(models), len(counted))


def _named(folders: Sequence[str | Path]) -> dict[str, Path]:
    out: dict[str, Path] = {}
    for given in folders:
        folder = Path(given)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder. Give a folder of maps.")
        name = folder.resolve().name
        if name in out:
            raise ValueError(f"{folder}: two models are called {name}. Rename a folder.")
        out[name] = folder
    return out


def _score(case: HeldOut, path: Path, threshold: float) -> list[Row]:
    entry = {"patient": case.patient, "pred": str(path), "truth": case.truth, "last": case.last,
             "brain": case.brain}  # fmt: skip
    read = read_case(entry, cavity=case.cavity)
    true_volume = float(read.truth.sum()) * float(np.prod(read.spacing_mm))
    return [{**row, "true_volume": true_volume} for row in score_case(read, threshold=threshold)]


def _renamed(scored: Sequence[Row], case: HeldOut, name: str, *, with_baselines: bool) -> list[Row]:
    """The rows of a model under its name, and of baselines at its size; the other baseline rows
    only with `with_baselines`, because they are the same for all models."""
    out = []
    for row in scored:
        ours = row["method"] == PREDICTION
        at_forecast = row["size"] == "forecast"
        if not (ours or at_forecast or with_baselines):
            continue
        size = name if at_forecast else row["size"]
        method = name if ours else row["method"]
        out.append({**row, "day": case.day, "method": method, "size": size})
    return out


def _size_row(
    scored: Sequence[Row], case: HeldOut, name: str, sizes: Mapping[tuple[str, float], SizeEntry]
) -> list[Row]:
    own = next(r for r in scored if r["method"] == PREDICTION and r["size"] == "own")
    true = own["true_volume"]
    entry = None if case.day is None else sizes.get((case.patient, case.day))
    median = own["volume"] if entry is None else entry.median
    row: Row = {"patient": case.patient, "day": case.day, "method": name, "median_mm3": median,
                "true_mm3": true, "size_error": abs(median / true - 1), "covered": None,
                "width": None}  # fmt: skip
    if entry is not None and entry.low is not None and entry.high is not None:
        row |= {"covered": float(entry.low <= true <= entry.high),
                "width": (entry.high - entry.low) / true}  # fmt: skip
    return [row]


def table_of(rows: Sequence[Row], scores: Sequence[str] = METRICS) -> list[Row]:
    """Means over visits with intervals that resample patients, one row a method and size.

    Keys: method, size, n, and each score with `_low`, `_high` and `_empty` (the number of visits
    without a value, which are left out of the mean).
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((str(row["method"]), str(row.get("size", "own"))), []).append(row)
    out = []
    for (method, size), members in groups.items():
        line: Row = {"method": method, "size": size, "n": len(members)}
        for score in scores:
            known = [(float(r[score]), str(r["patient"])) for r in members if r[score] is not None]
            line[f"{score}_empty"] = len(members) - len(known)
            line |= dict.fromkeys((score, f"{score}_low", f"{score}_high"))
            if known:
                found = clustered_interval(
                    [v for v, _ in known], [p for _, p in known], statistic="mean",
                    rng=np.random.default_rng(SEED),
                )  # fmt: skip
                line[score] = found.estimate
                if len({p for _, p in known}) > 1:
                    line |= {f"{score}_low": found.low, f"{score}_high": found.high}
        out.append(line)
    return out
