"""Score growth forecasts of any program: NIfTI maps or masks against the next visit.

Forecast, true segmentation and segmentation of the last visit must be in the same space.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.data.aligned_volumes import read_aligned
from mechlearn.data.template_tissue import inside_template, template_tissue
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.scored_case import METRICS, ForecastCase, score_case
from mechlearn.files import write_json
from mechlearn.metrics.calibration import Reliability, reliability
from mechlearn.metrics.rank import clustered_interval
from mechlearn.spatial.volume_arrival import FrontSpec

__all__ = ["COLUMNS", "ScoreResult", "read_case", "score", "summary_of"]

COLUMNS = ("patient", "pred", "truth", "last", "brain")
TEMPLATE = "template"
RESAMPLES_SEED = 0
N_BINS = 15


@dataclass(frozen=True)
class ScoreResult:
    """Scores of forecasts of one or more patients.

    Attributes:
        rows: one a patient, method and size; keys as in `scored_case.score_case`.
        reliability: predicted and observed frequency over the voxels of all patients outside the
            last tumour; every voxel has the same weight.
    """

    rows: tuple[Row, ...]
    reliability: Reliability

    @property
    def patients(self) -> tuple[str, ...]:
        """Names, in order of appearance."""
        return tuple(dict.fromkeys(str(row["patient"]) for row in self.rows))

    def table(self) -> list[dict[str, Any]]:
        """Means over patients, one row a method and size: see `summary_of`."""
        return summary_of(self.rows)

    def value(self, metric: str, *, method: str = "prediction", size: str = "own") -> float | None:
        """Mean over patients of one metric of one method; None where it is undefined."""
        for row in self.table():
            if (row["method"], row["size"]) == (method, size):
                return row[metric]
        raise ValueError(f"method={method!r}, size={size!r}: not scored.")

    def write(self, folder: str | Path) -> dict[str, Path]:
        """Write score.json (means, intervals, reliability) and patients.csv; return the paths."""
        folder = Path(folder)
        card = {
            "patients": list(self.patients),
            "table": self.table(),
            "reliability": {
                "predicted": self.reliability.predicted.tolist(),
                "observed": self.reliability.observed.tolist(),
                "count": self.reliability.count.tolist(),
            },
        }
        paths = {"json": folder / "score.json", "csv": folder / "patients.csv"}
        write_json(paths["json"], card)
        with paths["csv"].open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ["patient", "method", "size", "volume", *METRICS])
            writer.writeheader()
            writer.writerows(self.rows)
        return paths


def summary_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Mean of each metric over patients with its interval, one row a method and size.

    Keys: method, size, n, each metric (mean of the defined values), `<metric>_interval` (95%,
    resampling patients) and `<metric>_undefined` (number of patients without a value, which are
    left out of the mean).
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((str(row["method"]), str(row["size"])), []).append(row)
    out = []
    for (method, size), members in groups.items():
        line: dict[str, Any] = {"method": method, "size": size, "n": len(members)}
        for metric in METRICS:
            pairs = [(r[metric], str(r["patient"])) for r in members if r[metric] is not None]
            line[metric], line[f"{metric}_interval"] = _mean(pairs)
            line[f"{metric}_undefined"] = len(members) - len(pairs)
        out.append(line)
    return out


def _mean(pairs: Sequence[tuple[Any, str]]) -> tuple[float | None, list[float] | None]:
    if not pairs:
        return None, None
    values, patients = [float(v) for v, _ in pairs], [p for _, p in pairs]
    if len(set(patients)) < 2:
        return float(np.mean(values)), None
    found = clustered_interval(values, patients, rng=np.random.default_rng(RESAMPLES_SEED),
                               statistic="mean")  # fmt: skip
    assert found.low is not None
    assert found.high is not None
    return found.estimate, [found.low, found.high]


def score(
    pred: str | Path,
    *,
    truth: str | Path | None = None,
    last: str | Path | None = None,
    brain: str | Path | None = None,
    cavity: int | None = None,
    threshold: float = 0.5,
    progress: Callable[[str], None] | None = None,
) -> ScoreResult:
    """Score one forecast, a CSV of forecasts, or a folder of a container's outputs.

    Args:
        pred: NIfTI probability map in [0, 1] or mask; or a CSV with the columns patient, pred,
            truth, last and optionally brain (paths relative to the CSV); or a folder with one
            `<patient>.nii.gz` for each patient, as PREDICT-GBM's containers write them.
        truth, last: segmentations on the forecast day and at the last visit; for a folder, paths
            with {patient} in place of the patient's name. All labels except 0 and `cavity` are
            tumour.
        brain: brain mask, or any skull-stripped image (above 0 is brain), or `template` for masks
            in MNI152 space; None: the whole volume counts as brain.
        cavity: label of the resection cavity in `last` and `truth`; None where there is none. It
            is not tumour, and baselines do not grow into it.
        threshold: probability from which a voxel of the forecast counts as tumour.
        progress: called with each patient's name.

    Raises:
        FileNotFoundError: a missing file.
        ValueError: a missing column, volumes in different spaces, values outside [0, 1], no tumour.

    Example:
        >>> result = score("map.nii.gz", truth="seg.nii.gz",
        ...                last="seg_before.nii.gz")  # doctest: +SKIP
        >>> result.value("dice")  # doctest: +SKIP
        0.82
    """
    rows: list[Row] = []
    probabilities, truths = [], []
    for entry in _entries(Path(pred), truth, last, brain):
        if progress is not None:
            progress(entry["patient"])
        case = read_case(entry, cavity=cavity)
        rows += score_case(case, threshold=threshold)
        region = case.where & ~case.last
        assert case.prediction is not None
        probabilities.append(case.prediction[region].astype(np.float32))
        truths.append(case.truth[region])
    p, t = np.concatenate(probabilities), np.concatenate(truths)
    return ScoreResult(tuple(rows), reliability(p, t, region=np.ones(p.shape, bool), n_bins=N_BINS))


def _entries(
    pred: Path, truth: str | Path | None, last: str | Path | None, brain: str | Path | None
) -> list[dict[str, str]]:
    """One dict a patient with the keys of COLUMNS (brain '' where unknown)."""
    if pred.suffix.lower() == ".csv":
        return _from_csv(pred, "" if brain is None else str(brain))
    if truth is None or last is None:
        raise ValueError(f"pred={pred}: a NIfTI file or a folder also needs truth and last.")
    given = {"truth": str(truth), "last": str(last), "brain": "" if brain is None else str(brain)}
    if not pred.is_dir():
        return [{"patient": pred.name.split(".")[0], "pred": str(pred), **given}]
    files = sorted((*pred.glob("*.nii.gz"), *pred.glob("*.nii")))
    if not files:
        raise FileNotFoundError(f"{pred}: no .nii.gz in this folder. Give a folder of forecasts.")
    for key in ("truth", "last"):
        if "{patient}" not in given[key]:
            raise ValueError(f"{key}={given[key]!r}: must contain {{patient}}, which is replaced "
                             f"by the name of each file in {pred}.")  # fmt: skip
    return [
        {"patient": name, "pred": str(path),
         **{k: v.replace("{patient}", name) for k, v in given.items()}}
        for path in files for name in [path.name.split(".")[0]]
    ]  # fmt: skip


def _from_csv(path: Path, brain: str) -> list[dict[str, str]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Check the path.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        table = list(csv.DictReader(stream))
    missing = sorted({"patient", "pred", "truth", "last"} - set(table[0] if table else ()))
    if missing:
        raise ValueError(f"{path}: no column {', '.join(missing)}. Give the columns patient, pred, "
                         "truth, last (and brain, if known).")  # fmt: skip

    def resolved(value: str) -> str:
        return value if value in ("", TEMPLATE) else str(path.parent / value)

    return [
        {"patient": line["patient"], "brain": resolved(line.get("brain") or brain),
         **{key: resolved(line[key]) for key in ("pred", "truth", "last")}}
        for line in table
    ]  # fmt: skip


def read_case(entry: Mapping[str, str], *, cavity: int | None = None) -> ForecastCase:
    """Arrays of one patient from the paths of `COLUMNS`; without `pred`, no prediction."""
    paths = {key: entry[key] for key in ("last", "truth", "pred") if entry.get(key)}
    brain = entry.get("brain", "")
    if brain and brain != TEMPLATE:
        paths["brain"] = brain
    read = read_aligned(paths)
    volumes = read.volumes
    last, truth = (_tumour(volumes[key], cavity) for key in ("last", "truth"))
    holes = np.zeros(last.shape, bool) if cavity is None else np.rint(volumes["last"]) == cavity
    speed, inside = None, np.ones(last.shape, bool)
    if brain == TEMPLATE:
        tissue = template_tissue(last.shape, read.affine)
        inside_template(last, tissue)
        inside, spec = tissue.brain, FrontSpec()
        speed = np.where(last, 1.0, tissue.speed(grey=spec.grey, csf=spec.csf))
    elif brain:
        inside = volumes["brain"] > 0
    prediction = None
    if "pred" in volumes:
        prediction = _probability(volumes["pred"], entry["pred"], cavity)
    return ForecastCase(entry["patient"], last, truth, inside, holes, read.spacing_mm, speed,
                        prediction)  # fmt: skip


def _tumour(labels: np.ndarray, cavity: int | None) -> np.ndarray:
    whole = np.rint(labels)
    return np.asarray(whole > 0 if cavity is None else (whole > 0) & (whole != cavity))


def _probability(values: np.ndarray, path: str, cavity: int | None) -> np.ndarray:
    """A probability map unchanged; a label map as a mask."""
    low, high = float(values.min()), float(values.max())
    if np.array_equal(values, np.rint(values)) and low >= 0:
        return _tumour(values, cavity).astype(np.float32)
    if low < 0 or high > 1 + 1e-5 or not math.isfinite(high):
        raise ValueError(f"pred {path}: values from {low:g} to {high:g}; probabilities must lie "
                         "in 0 to 1. Scale them, or write a mask of whole numbers.")  # fmt: skip
    return np.clip(values, 0, 1)
