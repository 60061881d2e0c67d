"""A growth map by the reference's way and by our samplers of its guidance, in one run.

    python experiments/benchmarks/growth_map/benchmark.py RESULT.json [--slices N] [--lines N] ...

Three parts, each left out by a 0: the race of all ways on one slice (--timed targets of it), our
samplers against full runs on --slices held-out slices, and the option table on --lines of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from agreement import against, mean_row
from arrival import arrival_row
from cases import Case, Models, Recipe, cases, load_pair, nodes_of, recipe, synthetic_case
from lines import LINES, draw
from race import Entry, race
from rich.console import Console
from sampling import ours, sampled_in_full

from mechlearn.config.hardware import resolve_device
from mechlearn.evaluation.rows import write_table
from mechlearn.metrics.distance import dice
from mechlearn.progress import duration

HERE = Path(__file__).resolve().parent
FIRST = ("line", "slices", "denoiser", "gradients", "cpu_seconds", "seconds")
COST = ("seconds", "cpu_seconds", "denoiser", "gradients", "slices")
say = Console().print


def raced(given: argparse.Namespace, recipes: dict[str, Recipe], case: Case) -> dict[str, Any]:
    """The reference's way, and each of ours before and after it, so that all see the machine."""
    weights = (given.denoiser or "", given.guide or "", given.device)
    paper = next(iter(recipes.values()))
    entries = {
        **{name: Entry("ours", case, r.sampler, r.maps, given.timed, *weights, given.rounds)
           for name, r in recipes.items()},
        "reference": Entry("reference", case, paper.sampler, paper.maps, given.timed, *weights, 1),
    }  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in entries}
    for way in (*recipes, "reference", *recipes):
        say(f"race: {way}, {given.timed} targets, nl={given.nl}")
        found[way].append(race(entries[way]))
        say(f"  {duration(found[way][-1]['seconds'])}")
    row: dict[str, Any] = {"timed_targets": given.timed, "timed_slice": case.reference.slice_id}
    for way, results in found.items():
        for key in ("seconds", "cpu_seconds", "denoiser", "gradients", "peak_mib"):
            row[f"{way}_{key}"] = float(np.mean([r[key] for r in results]))
    for name in recipes:
        for key in ("seconds", "cpu_seconds", "denoiser", "gradients"):
            row[f"{name}_ratio_{key}"] = row[f"reference_{key}"] / row[f"{name}_{key}"]
    row |= arrival_row(case)
    for key in ("seconds", "cpu_seconds"):
        row[f"arrival_ratio_{key}"] = row[f"reference_{key}"] / max(row[f"arrival_{key}"], 1e-9)
    if given.size is None:  # random weights draw nothing
        theirs, mine = (found[way][0]["map"] for way in ("reference", next(iter(recipes))))
        row["raced_mad"] = float(np.abs(mine - theirs)[case.reference.brain].mean())
        row["raced_dice"] = dice(mine >= 0.5, theirs >= 0.5)
    return row


def agreed(
    given: argparse.Namespace, models: Models, name: str, chosen: Recipe, found: Sequence[Case]
) -> dict[str, Any]:
    """A sampler against the full run of its guidance on every slice, beside what another forecast
    seed does."""
    rows, others = [], []
    begun = time.monotonic()
    for done, case in enumerate(found, 1):
        full = sampled_in_full(models, case, chosen.sampler, given.kept)
        assert full is not None
        made = ours(models, case.reference, nodes_of(case.targets[0], chosen.maps.nodes),
                    chosen.sampler)  # fmt: skip
        rows.append(against(made, full, case.reference, chosen.maps))
        others.append(against(full.towards(case.targets[1]), full, case.reference, chosen.maps))
        told = ", ".join(f"Dice {_three_places(r['dice_map'])}, mad {r['mad_map']:.4f}"
                         for r in (rows[-1], others[-1]))
        left = (time.monotonic() - begun) / done * (len(found) - done)
        say(f"{name} {case.reference.slice_id}: {told} of another seed "
            f"({done} of {len(found)}, about {duration(left)} to go)")  # fmt: skip
        write_table(given.out / f"slices-{name}.csv", [
            {"slice_id": c.reference.slice_id, "tumour_px": int(c.reference.tumour.sum()), **r,
             **{f"other_seed_{k}": v for k, v in o.items() if k not in COST}}
            for c, r, o in zip(found, rows, others, strict=False)
        ], first=("slice_id",))  # fmt: skip
    return {
        **{f"{name}_{k}": v for k, v in mean_row(rows).items() if k not in COST},
        **{f"{name}_other_seed_{k}": v for k, v in mean_row(others).items() if k not in COST},
        f"{name}_slices": len(found),
    }  # fmt: skip


def _three_places(value: float | None) -> str:
    return "- (both empty)" if value is None else f"{value:.3f}"


def tabled(
    given: argparse.Namespace, models: Models, name: str, chosen: Recipe, found: Sequence[Case]
) -> list[dict[str, Any]]:
    """One row a setting, means over slices; the first two are the full run and the other seed."""
    fulls = [sampled_in_full(models, c, chosen.sampler, given.kept) for c in found]
    pairs = [(c, f) for c, f in zip(found, fulls, strict=True) if f is not None]

    def row(name: str, made: Sequence[Any]) -> dict[str, Any]:
        rows = [against(m, f, c.reference, chosen.maps)
                for m, (c, f) in zip(made, pairs, strict=True)]  # fmt: skip
        out = {"line": name, **mean_row(rows)}
        say(f"{name}: {out['denoiser']:.0f} + {out['gradients']:.0f}, {out['cpu_seconds']:.2f} s, "
            f"mad {out['mad_map']:.4f}, Dice {out['dice_map']:.3f}")  # fmt: skip
        return out

    table = [row("full: 200 steps, 100 targets", [f for _, f in pairs])]
    table.append(row("another forecast seed, nearest", [f.towards(c.targets[1]) for c, f in pairs]))
    if given.seeds:
        again = [(c, sampled_in_full(models, c, chosen.sampler, given.kept, seed=1,
                                     only_kept=i >= given.seeds)) for i, (c, _) in enumerate(pairs)]
        rows = [against(m, f, c.reference, chosen.maps)
                for (c, m), (_, f) in zip(again, pairs, strict=True) if m is not None]  # fmt: skip
        table.append({"line": "another forecast seed, in full", **mean_row(rows)})
    for line in [l for l in LINES if given.only in l.name]:
        made = [draw(line, models, case, chosen, given.device) for case, _ in pairs]
        table.append(row(line.name, made))
        write_table(given.out / f"options-{name}.csv", table, first=FIRST)
    return table


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--slices", type=int, default=2, help="held-out slices of the agreement")
    parser.add_argument("--lines", type=int, default=0, help="slices of the option table")
    parser.add_argument("--only", default="", help="option lines whose name holds this")
    parser.add_argument("--seeds", type=int, default=0, help="slices run in full for a second seed")
    parser.add_argument("--targets", type=int, default=100, help="of a slice")
    parser.add_argument("--timed", type=int, default=4, help="of them in the race")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--size", type=int, default=None,
                        help="of the paper's networks with random weights: 256")  # fmt: skip
    parser.add_argument("--samplers", nargs="+", default=["fast"],
                        help="of conf/sampler; the first one guides as the paper does")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=6, help="of ours in the race")
    parser.add_argument("--nl", type=int, default=200)
    parser.add_argument("--denoiser", default=None, help="checkpoint; without one the small pair")
    parser.add_argument("--guide", default=None)
    parser.add_argument("--kept", type=Path, default=None, help="where full runs are kept")
    parser.add_argument("--set", nargs="*", default=[], help="Hydra's: sampler.steps=10 ...")
    given = parser.parse_args()
    given.out = given.result.parent
    given.kept = given.kept or given.out / "full"
    given.device = resolve_device(given.device)
    if given.size is None:
        given.denoiser = given.denoiser or str(HERE / "weights")
    given.guide = given.guide or given.denoiser
    return given


def main() -> None:
    """Measure and write RESULT.json, slices-NAME.csv and options-NAME.csv beside it."""
    given = parsed()
    trained = given.size is None
    models = load_pair(given.denoiser, given.guide, given.device) if trained else None
    grid = (models.size, models.pixel_mm) if models else (given.size, 256 / given.size)
    recipes = {
        name: recipe([f"sampler={name}", f"sampler.nl={given.nl}", *given.set], size=grid[0],
                     pixel_mm=grid[1]) for name in given.samplers
    }  # fmt: skip
    paper = recipes[given.samplers[0]]
    row: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if given.device == "cuda" else given.device,
        "threads": torch.get_num_threads(), "torch": torch.__version__, "size": grid[0],
        "nl": given.nl, "random_weights": int(not trained),
    }  # fmt: skip
    count = max(given.slices, given.lines, 1)
    found = (cases(paper, count=count, n=given.targets) if trained
             else [synthetic_case(given.size, n=given.targets)])  # fmt: skip
    if given.timed:
        row |= raced(given, recipes, found[0])
    for name, chosen in recipes.items():
        if models and given.slices:
            row |= agreed(given, models, name, chosen, found[: given.slices])
    for name, chosen in recipes.items():
        if models and given.lines:
            tabled(given, models, name, chosen, found[: given.lines])
    given.out.mkdir(parents=True, exist_ok=True)
    given.result.write_text(json.dumps(row, indent=1) + "\n")
    Console().print_json(data=row)


if __name__ == "__main__":
    main()
