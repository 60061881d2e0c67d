"""The rows of all guides and encodings -> one table, table.md and result.json: gather.py FOLDER."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import torch

from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.evaluation.baseline_comparison import beside, interval
from mechlearn.evaluation.rows import Row, read_row, read_table
from mechlearn.records import GuidanceTarget

BASELINES = ("no_change", "dilation", "growth_order")
MASKS = ("generation", "generation_at_size", *BASELINES)
PICTURE = ("ssim_outside", "hyperintense_fraction", "changed_outside_brain_fraction",
           "requested_share", "seconds_per_generation")  # fmt: skip
SIZES = ("relative_error_abs_median", "relative_error_median", "spearman_within_slice_median",
         "achieved_ratio_at_1.5x", "guide_ratio_at_1.5x", "ssim_outside", "ssim_outside_worst",
         "hyperintense_fraction", "changed_outside_brain_fraction")  # fmt: skip


def name_of(row: Row) -> str:
    """What sets a row apart, from its own settings."""
    if row["guidance"] == "labels":
        return "labels"
    words = ["unguided" if row["scale"] == 0 else str(row["guide"])]
    words += ["anchored"] * bool(row["anchor"])
    words += ["noise"] * (row["encode"] == "noise")
    return ", ".join(words)


class Blind:
    """Models that say nothing: a sampler of them counts its calls."""

    def __call__(self, x_l: torch.Tensor, l: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x_l)

    def fraction(self, x_l: torch.Tensor, l: torch.Tensor, brain: torch.Tensor) -> torch.Tensor:
        return (0 * x_l).sum((1, 2, 3))


def evaluations(row: Row) -> str:
    """Denoiser calls + guide gradients of one generation, counted with this row's settings."""
    if row["guidance"] == "labels":
        return f"{2 * row['steps']} + 0"  # drawn, corrected and drawn again, in a window
    settings = {f.name: row[f.name] for f in fields(SamplerSpec) if f.name in row}
    spec = SamplerSpec(**{**settings, "nl": row["noise_level"], "scale": str(row["scale"])})
    blind = Blind()
    sampler = GuidedSampler(blind, blind, schedule=NoiseSchedule(), spec=spec)
    sampler.sample(torch.zeros(1, 4, 4), [GuidanceTarget(0.1)], brain=torch.ones(4, 4))
    return f"{sampler.evaluations['denoiser']} + {sampler.evaluations['gradients']}"


def figures(row: Row, pairs: Sequence[Row]) -> Row:
    """One row's figures: sizes as medians over the pairs, masks as `beside` compares them."""
    own = [p["guide_fraction"] / p["target_fraction"] - 1 for p in pairs]
    grown = [
        (p["guide_fraction"] / p["initial_fraction"] - 1) / (p["ratio_requested"] - 1)
        for p in pairs
    ]
    measured = [p["relative_error"] for p in pairs if p["relative_error"] is not None]
    return {
        "size_error": median(map(abs, measured)), "size_bias": median(measured),
        "guide_size_error": median(map(abs, own)), "guide_size_bias": median(own),
        "guide_requested_share": median(grown),
        **{key: row[key] for key in PICTURE},
        **beside([{k: v for k, v in p.items() if masked(k)} for p in pairs]),
    }  # fmt: skip


def masked(key: str) -> bool:
    """Whether a column of `pairs.csv` is about masks, as `beside` wants it."""
    return key == "patient" or key.startswith(("hd95_", *(f"dice_{m}" for m in MASKS)))


def shown(value: Any, digits: int = 3) -> str:
    if isinstance(value, (int, float)):
        return f"{value:.{digits}f}"
    return "-" if value is None else str(value)


def percent(value: float, *, signed: bool = False) -> str:
    return f"{100 * value:+.0f}%" if signed else f"{100 * value:.1f}%"


def guide_line(name: str, row: Row, found: Row) -> list[str]:
    dice, hd95 = "dice_generation_at_size", "hd95_generation_at_size_mm"
    return [
        name, f"{percent(found['size_error'])} ({percent(found['size_bias'], signed=True)})",
        f"{percent(found['guide_size_error'])} ({percent(found['guide_size_bias'], signed=True)})",
        f"{shown(found['requested_share'], 2)} / {shown(found['guide_requested_share'], 2)}",
        shown(found["ssim_outside"]), percent(found["hyperintense_fraction"]),
        percent(found["changed_outside_brain_fraction"]), shown(found["dice_generation_mean"]),
        shown(found[f"{dice}_mean"]), interval(found, dice, 3),
        shown(found[f"{hd95}_mean"], 1), interval(found, hd95, 1),
        shown(found["seconds_per_generation"], 1), evaluations(row),
    ]  # fmt: skip


def baseline_line(name: str, found: Row, pairs: Sequence[Row]) -> list[str]:
    error = median(p["relative_error_no_change_abs"] for p in pairs) if name == "no_change" else 0.0
    dice, hd95 = f"dice_{name}", f"hd95_{name}_mm"
    return [
        name.replace("_", " "), percent(error), *["-"] * 5, shown(found[f"{dice}_mean"]),
        shown(found[f"{dice}_mean"]), interval(found, dice, 3), shown(found[f"{hd95}_mean"], 1),
        interval(found, hd95, 1), "-", "0",
    ]  # fmt: skip


HEAD = [
    "", "size error, measured (bias)", "predicted by the guide (bias)",
    "share of the change that came, measured / predicted", "SSIM outside",
    "brighter than the input", "changed outside the brain", "Dice, outline", "Dice at size",
    "gain on dilation (95%)", "HD95 at size, mm", "nearer than dilation, mm (95%)",
    "s a generation", "denoiser + gradients",
]  # fmt: skip


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


def guides(folder: Path, result: Row) -> str:
    """The table of pairs; fills `result`."""
    lines, baselines, slices = [], [], None
    for path in sorted((folder / "pairs").rglob("row.json")):
        row = read_row(path)
        pairs = [p for p in read_table(path.parent / "pairs.csv") if not p.get("skipped")]
        seen = [(p["slice_id"], p["target_fraction"]) for p in pairs]
        if slices not in (None, seen):
            raise ValueError(f"{path.parent}/pairs.csv: other slices than in the other rows. "
                             f"Delete {folder} and run again.")
        found, name = figures(row, pairs), name_of(row)
        if slices is None:
            baselines = [baseline_line(baseline, found, pairs) for baseline in BASELINES]
            result |= {k: v for k, v in found.items() if k.startswith("n_")}
            result |= {k: v for k, v in found.items() if any(f"_{r}_" in k for r in BASELINES)}
            result["precision_bf16"] = int(row["precision"] == "bf16")
        slices = seen
        lines.append(guide_line(name, row, found))
        slug = name.replace(", ", "_").replace(" ", "_")
        result |= {f"{slug}_{k}": v for k, v in found.items()
                   if not k.startswith("n_") and not any(f"_{r}_" in k for r in BASELINES)}
    result["n_rows"] = len(lines)
    return markdown(HEAD, baselines + lines)


def sizes(folder: Path, result: Row) -> str:
    """The table of requested multiples; fills `result`."""
    lines = []
    for path in sorted((folder / "sizes").rglob("row.json")):
        row = read_row(path)
        name = name_of(row)
        lines.append([name, str(row["n_generations"]), *(shown(row.get(key)) for key in SIZES)])
        slug = name.replace(", ", "_").replace(" ", "_")
        result |= {f"sizes_{slug}_{key}": row.get(key) for key in SIZES}
    return markdown(["requests of 0.5 to 2 times", "generations", *SIZES], lines)


def main(folder: Path) -> None:
    result: Row = {}
    text = f"{guides(folder, result)}\n\n{sizes(folder, result)}\n"
    (folder / "table.md").write_text(text)
    (folder / "result.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
