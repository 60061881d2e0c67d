"""Pictures of real scans beside their baselines: a band grown again, and tumours grown larger.

    bench.py STORE OUT [--known STORE] [--split test] [--slices N] [--guided N] [--bands]
             [--inpainted W]

`--known` holds the validation patients: the classifier of real and drawn patches learns from them,
and the segmenter is scored on them as well. LPIPS is measured where its wheel is installed
(`perceptual.py`).

Every figure is a mean over patients of means over their slices; intervals resample patients.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import Task, growth, regrowth, slices
from meter import readings, size_errors
from perceptual import Perceptual
from realness import accuracy, patches, trained
from sheet import write_sheet

from mechlearn.config.recipes import conf_dir
from mechlearn.data.store import SliceStore
from mechlearn.diffusion.label_sampling import window_of
from mechlearn.diffusion.sampler import SamplerSpec
from mechlearn.evaluation.label_segmenter import load_label_segmenter
from mechlearn.evaluation.model_pair import flair_threshold_of, generate, load_models
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.evaluation.scan_drawing import draw_slice, load_drawer
from mechlearn.evaluation.slice_guess import first_guess
from mechlearn.metrics.realism import brain_range, drawn_realism, intensity_distance
from mechlearn.metrics.structural_similarity import ssim_map
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.records import CONTRASTS, AxialSlice, GuidanceTarget
from mechlearn.spatial.first_guess import GuessSpec, nearest_texture, random_values

log = logging.getLogger("real_scans")
FACTORS = (1.25, 1.5, 2.0)
Method = Callable[[AxialSlice, Task], np.ndarray]


def methods(model_path: str, seed: int, spec: GuessSpec | None = None) -> dict[str, Method]:
    """Name -> picture of a task, (C, H, W)."""
    model = load_drawer(model_path)

    def labels(scan: AxialSlice, task: Task) -> np.ndarray:
        shown = replace(scan, image=task.scan, labels=task.before)
        return draw_slice(shown, task.after, model=model, seed=seed, guess=spec).image

    def guess(scan: AxialSlice, task: Task) -> np.ndarray:
        shown = replace(scan, image=task.scan, labels=task.before)
        return first_guess(shown, task.after, model=model, spec=spec)[0]

    rng = np.random.default_rng(seed)
    return {
        "untouched": lambda scan, task: task.scan,
        "random_values": lambda scan, task: random_values(
            task.scan, task.before, task.after, rng=rng),
        "texture_copy": lambda scan, task: nearest_texture(task.scan, task.before, task.after),
        "first_guess": guess,
        "labels": labels,
    }


def guided(recipe: str, seed: int) -> Method:
    """The guidance of a sampler recipe, with the packaged pair, asked for the size of the task."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from mechlearn.config import schema

    schema.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        spec = OmegaConf.to_object(compose("evaluate", [f"sampler={recipe}"]).sampler)
    assert isinstance(spec, SamplerSpec)
    pair = load_models(spec=spec)

    def draw(scan: AxialSlice, task: Task) -> np.ndarray:
        shown = replace(scan, image=task.scan, labels=task.before)
        target = GuidanceTarget(float((task.after > 0).sum() / scan.brain.sum()))
        return generate(pair.sampler, shown, [target], seed=seed)[0].image.numpy()

    return draw


def regrown(scan: AxialSlice, task: Task, drawn: np.ndarray, alike_of: Perceptual | None) -> Row:
    """A drawn band beside the real one; LPIPS of the square around it."""
    assert task.truth is not None
    ranges, band = brain_range(task.truth, scan.brain), task.band
    errors = np.abs(drawn - task.truth)[:, band].mean(1) / ranges
    distances = intensity_distance(drawn[:, band], task.truth[:, band], ranges)
    alike = ssim_map(drawn, task.truth)[:, band].mean(1)
    row: Row = {}
    for number, name in enumerate(CONTRASTS):
        row[f"mae_{name}"] = float(errors[number])
        row[f"distance_{name}"] = distances[number]
        row[f"ssim_{name}"] = float(alike[number])
    if alike_of is not None:
        window = window_of(torch.from_numpy(band), margin_px=8, least_px=48)
        apart = alike_of(*(window.of(torch.from_numpy(x)).numpy() for x in (drawn, task.truth)))
        row |= {f"lpips_{name}": float(v) for name, v in zip(CONTRASTS, apart, strict=True)}
    return row


def grown(scan: AxialSlice, task: Task, drawn: np.ndarray, meter: LoadedModel) -> Row:
    """A grown tumour beside the patient's own."""
    real = drawn_realism(drawn, task.scan, task.before, task.after, scan.brain)
    row: Row = {"outside_changed": real.outside_changed}
    beside = scan.brain & ~(task.after > 0)
    row["ssim_outside"] = float(ssim_map(drawn, task.scan)[:, beside].mean())
    measured = flair_threshold_of(scan).fraction(drawn) * scan.brain.sum()
    asked = int((task.after > 0).sum())
    row["size_error_flair"] = float(measured / asked - 1.0)
    for kind, error in size_errors(scan, drawn, asked, model=meter).items():
        row[f"size_error_{kind}"] = error
    for number, name in enumerate(CONTRASTS):
        for key, values in (("distance", real.distance), ("darkened", real.darkened)):
            row[f"{key}_{name}"] = None if values is None else values[number]
    return row


def summary(rows: list[Row], keys: list[str]) -> Row:
    """Means over patients of their means, None left out."""
    out: Row = {}
    for key in keys:
        by_patient: dict[str, list[float]] = {}
        for row in rows:
            if isinstance(row.get(key), float):
                by_patient.setdefault(str(row["patient"]), []).append(float(row[key]))  # type: ignore[arg-type]
        means = [float(np.mean(v)) for v in by_patient.values()]
        out[key] = float(np.mean(means)) if means else None
    return out


def gain(rows: Mapping[str, list[Row]], key: str, baseline: str) -> tuple[float, float, float]:
    """How much lower `labels` is than a baseline, with the 95% interval over patients."""
    patients = sorted({str(r["patient"]) for r in rows["labels"]})
    differences = [
        float(np.mean([float(b[key]) - float(a[key]) for a, b in  # type: ignore[arg-type]
                       zip(rows["labels"], rows[baseline], strict=True) if a["patient"] == p]))
        for p in patients
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    drawn = rng.choice(differences, (2000, len(differences))).mean(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(np.mean(differences)), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("out", type=Path)
    parser.add_argument("--known", help="a store of other patients, with train and val")
    parser.add_argument("--split", default="test")
    parser.add_argument("--slices", type=int, default=3, help="of each patient")
    parser.add_argument("--guided", type=int, default=0, help="slices for the guided baselines")
    parser.add_argument("--bands", action="store_true", help="no growth: bands grown again alone")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--inpainted", type=float, help="weight of the inpainter, 0 to 1")
    parser.add_argument("--meter", default="demo", help="segmenter that measures sizes")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    store = SliceStore(args.store)
    patients = store.patients(None if args.split == "all" else args.split)
    scans = slices(store, patients, args.slices)
    spec = GuessSpec() if args.inpainted is None else GuessSpec(inpainted=args.inpainted)
    ways, alike_of = methods(args.model, args.seed, spec), Perceptual.find()
    known = SliceStore(args.known) if args.known else None
    meter = load_label_segmenter(args.meter)
    factors = () if args.bands else FACTORS
    again: dict[str, list[Row]] = {name: [] for name in ways}
    larger: dict[str, list[Row]] = {f"{name} x{f:g}": [] for name in ways for f in factors}
    for number, scan in enumerate(scans, 1):
        log.info("slice %d of %d: %s", number, len(scans), scan.slice_id)
        whose = {"patient": scan.patient, "z": scan.z}
        task = regrowth(scan)
        for name, draw in ways.items():
            row = regrown(scan, task, draw(scan, task), alike_of)
            again[name].append({**whose, "method": name, **row})
            for factor in factors:
                more = growth(scan, factor)
                row = grown(scan, more, draw(scan, more), meter)
                larger[f"{name} x{factor:g}"].append({**whose, "method": name, **row})
    if args.guided:
        one_each = slices(store, patients, 1)[: args.guided]
        for recipe in ("fast",):
            draw, tasks = guided(recipe, args.seed), [growth(s, 1.5) for s in one_each]
            larger[f"{recipe} x1.5"] = [
                {"patient": s.patient, "z": s.z, "method": recipe, **grown(s, t, draw(s, t), meter)}
                for s, t in zip(one_each, tasks, strict=True)
            ]
    extra = sizes_read(meter, store, "here", None)
    if known:
        extra |= sizes_read(meter, known, "val", "val") | told_apart(known, scans, ways, args.seed)
    finish(args.out, again, larger, {"n_patients": len(patients), **extra})
    if not args.bands:
        write_sheet(args.out / "sheet.png", slices(store, patients, 2)[:10], ways["labels"])


def told_apart(
    known: SliceStore, scans: list[AxialSlice], ways: dict[str, Method], seed: int
) -> Row:
    """Accuracy of classifiers of real and drawn patches, a mean over patients."""
    out: Row = {}
    learnt = slices(known, known.patients("val"), 6)
    for name in ("random_values", "texture_copy", "first_guess", "labels"):
        net = trained(patches(learnt, ways[name], seed=seed)[0], seed=seed)
        right = accuracy(net, *patches(scans, ways[name], seed=seed + 1))
        out[f"told_from_real_{name}"] = float(np.mean(list(right.values())))
    return out


def sizes_read(meter: LoadedModel, store: SliceStore, where: str, split: str | None) -> Row:
    """How well the segmenter reads scans as they are: Dice by label, and its error of the size."""
    rows = readings(meter, store, split)
    means = summary(rows, [key for key in rows[0] if key != "patient"])
    return {f"segmenter_{key}_{where}": value for key, value in means.items()}


def finish(
    out: Path, again: dict[str, list[Row]], larger: dict[str, list[Row]], facts: Row
) -> None:
    """result.json, table.md, slices.csv."""
    out.mkdir(parents=True, exist_ok=True)
    kinds = ("mae", "distance", "ssim", "lpips")
    measured = [k for k in again["labels"][0] if k.split("_")[0] in kinds]
    grown_rows = next(iter(larger.values()), [{}])
    told = [k for k in grown_rows[0] if k not in ("patient", "z", "method")]
    lines = ["Regrown band", "", "| method | " + " | ".join(measured) + " |",
             "|---" * (len(measured) + 1) + "|"]
    result: Row = {**facts, "n_slices": len(again["labels"])}
    for name, rows in again.items():
        mean = summary(rows, measured)
        lines.append(_line(name, mean))
        result |= {f"regrown_{name}_{k}": v for k, v in mean.items()}
    lines += ["", "Grown tumours", "", "| method | " + " | ".join(told) + " |",
              "|---" * (len(told) + 1) + "|"]
    for name, rows in larger.items():
        mean = summary(rows, told)
        lines.append(_line(name, mean))
        result |= {f"grown_{name.replace(' ', '_')}_{k}": v for k, v in mean.items()}
    lines += ["", "Lower than the baseline by (95% over patients)", ""]
    for baseline in ("texture_copy", "random_values", "untouched", "first_guess"):
        for key in [k for k in measured if not k.startswith("ssim")]:
            mean_gain, low, high = gain(again, key, baseline)
            lines.append(f"- {baseline} {key}: {mean_gain:+.4f} ({low:+.4f} to {high:+.4f})")
            result[f"gain_{baseline}_{key}"] = mean_gain
    lines += ["", *(f"- {k}: {v:.3f}" for k, v in facts.items() if isinstance(v, float))]
    (out / "table.md").write_text("\n".join(lines) + "\n")
    (out / "result.json").write_text(json.dumps(result, indent=1))
    write_table(out / "regrown.csv", [r for rows in again.values() for r in rows])
    write_table(out / "grown.csv", [
        {"task": name, **r} for name, rows in larger.items() for r in rows
    ])
    Console().print("\n".join(lines), markup=False, soft_wrap=True)


def _line(name: str, values: Row) -> str:
    shown = ["-" if v is None else f"{v:.3f}" for v in values.values()]
    return f"| {name} | " + " | ".join(shown) + " |"


if __name__ == "__main__":
    main()
