"""Longitudinal validation (section 3.3): forecast each slice's last visit from the earlier ones."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.evaluation.method_scores import summarise
from mechlearn.evaluation.model_pair import Sampler, sampler_row
from mechlearn.evaluation.population_fit import check_unseen, fingerprint_of
from mechlearn.evaluation.presets import MAPS
from mechlearn.evaluation.rows import Row, read_row, write_row, write_table
from mechlearn.evaluation.slice_forecast import SliceForecast, forecast_slice
from mechlearn.files import write_arrays
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.population_file import load_ensemble
from mechlearn.progress import tracked
from mechlearn.records import LongitudinalSlice

__all__ = ["run_longitudinal"]

log = logging.getLogger(__name__)


def run_longitudinal(
    sampler: Sampler,
    series: Sequence[LongitudinalSlice],
    *,
    out_dir: str | Path,
    growth: GrowthSpec,
    maps: MapSpec | None = None,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
) -> Row:
    """Hold out the last visit of every slice, forecast it, and compare with baselines.

    Each finished slice is kept in `out_dir/slices`; a second run takes up where the first stopped
    and computes again only slices whose settings or data differ.

    Args:
        sampler: guided sampler.
        series: slices with all their visits, from `data.selection.growth_slices`.
        out_dir: receives `slices/*.json` and `*.npz`, `slices.csv` and `reliability.csv`.
        growth: how areas are fitted. The held-out visit is never seen, whatever the setup.
        maps: how growth maps are made and cut.
        seed: of the sampler.
        about: which models these are (`ModelBundle.row`); part of the row and of what makes a
            finished slice count as done.

    Returns:
        The row: forecast scores, HD95 and Dice by method with Wilcoxon tests over slices and over
        patients' medians, calibration. A slice that cannot be forecast is counted, with its
        reason in `slices.csv`.

    Raises:
        ValueError: there is no slice at all, or the population was fitted to these patients.
    """
    if not series:
        raise ValueError(
            "longitudinal: no slice to forecast. The test patients need at least two dated visits "
            "and growth of more than the selection's threshold."
        )
    maps = maps if maps is not None else MAPS["paper"]
    ensemble = load_ensemble(growth.population) if growth.population is not None else None
    if ensemble is not None:
        check_unseen(ensemble, (item.patient for item in series))
    folder = Path(out_dir) / "slices"
    settings = {**(about or {}), **sampler_row(sampler), "seed": seed,
                "growth": asdict(growth), "ensemble": ensemble and fingerprint_of(ensemble),
                "maps": asdict(maps)}
    rows: list[Row] = []
    for item in tracked(series, "longitudinal", log=log):
        rows.append(_resume(item, folder, settings, sampler, growth, maps, seed))
    write_table(Path(out_dir) / "slices.csv", rows, first=("slice_id", "patient", "z"))
    done = [r for r in rows if r.get("skipped") is None]
    reliability = _reliability(folder, [_stem(r["slice_id"]) for r in done])
    write_table(Path(out_dir) / "reliability.csv", reliability, first=("probability",))
    return {
        "job": "longitudinal",
        "n_slices": len(done),
        "n_skipped": len(rows) - len(done),
        "n_patients": len({r["patient"] for r in done}),
        "seed": seed,
        "law": growth.law,
        "population": growth.population,
        "setup": growth.setup,
        "n_bootstrap": growth.n_bootstrap,
        "nodes": maps.nodes,
        "threshold": maps.threshold,
        **summarise(done),
        **sampler_row(sampler),
        **(about or {}),
    }


def _stem(slice_id: str) -> str:
    return slice_id.replace("/", "_")


def _resume(
    item: LongitudinalSlice,
    folder: Path,
    settings: Mapping[str, Any],
    sampler: Sampler,
    growth: GrowthSpec,
    maps: MapSpec,
    seed: int,
) -> Row:
    """The finished row of a slice, or a new one."""
    path = folder / f"{_stem(item.slice_id)}.json"
    fingerprint = _fingerprint(item, settings)
    if path.is_file():
        row = read_row(path)
        if row.get("fingerprint") == fingerprint:
            return row
    row = {"fingerprint": fingerprint, **_one(item, path, sampler, growth, maps, seed)}
    write_row(path, row)
    return read_row(path)


def _fingerprint(item: LongitudinalSlice, settings: Mapping[str, Any]) -> str:
    """Changes with any setting, any date and any mask or image of the slice."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    digest.update(repr(item.courses).encode())
    for scan in item.slices:
        digest.update(f"{scan.slice_id}@{scan.day}".encode())
        digest.update(np.ascontiguousarray(scan.image).tobytes())
        digest.update(np.ascontiguousarray(scan.labels).tobytes())
    return digest.hexdigest()[:16]


def _one(item: LongitudinalSlice, path: Path, sampler: Sampler, growth: GrowthSpec, maps: MapSpec,
         seed: int) -> Row:
    start: Row = {"slice_id": item.slice_id, "patient": item.patient, "z": item.slices[0].z}
    if len(item.slices) < 2:
        return {**start, "skipped": "one visit only: none can be held out"}
    seen, truth = LongitudinalSlice(item.slices[:-1], item.courses), item.slices[-1]
    try:
        made = forecast_slice(sampler, seen, truth.day, growth=growth, maps=maps, seed=seed,
                              follow_up=truth)
    except (ValueError, RuntimeError) as error:  # a series that cannot be fitted: counted
        log.warning("slice %s is left out: %s", item.slice_id, error)
        return {**start, "skipped": str(error)}
    _save_arrays(path.with_suffix(".npz"), made)
    return made.row


def _save_arrays(path: Path, made: SliceForecast) -> None:
    assert made.follow_up is not None
    arrays = {f"probability_{k}": m.probability.astype(np.float16) for k, m in made.maps.items()}
    write_arrays(path, arrays | {
        "initial": made.reference.tumour, "truth": made.follow_up.tumour,
        "brain": made.reference.brain, "image": made.reference.image.astype(np.float16),
        "generated": made.median_generation.image.numpy().astype(np.float16),
    })  # fmt: skip


def _reliability(folder: Path, stems: Sequence[str], *, bins: int = 10) -> list[Row]:
    """Mean probability, observed frequency and number of pixels by bin of the dynamic map,
    pooled over slices, inside the brain and outside the initial mask."""
    sums = np.zeros((bins, 3))
    for stem in stems:
        with np.load(folder / f"{stem}.npz") as held:
            outside = held["brain"] & ~held["initial"]
            p = held["probability_dynamic"][outside].astype(float)
            y = held["truth"][outside].astype(float)
        at = np.minimum((p * bins).astype(int), bins - 1)
        for column, values in enumerate((p, y, np.ones_like(p))):
            sums[:, column] += np.bincount(at, values, bins)
    used = sums[sums[:, 2] > 0]
    return [{"probability": float(p / n), "frequency": float(y / n), "pixels": int(n)}
            for p, y, n in used]
