"""Both ways on one slice, each in a process of its own: seconds, evaluations, memory, map."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from agreement import map_of
from cases import Case, Models, load_pair, nodes_of, random_pair
from sampling import Counter, ours, reference_way

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.spatial.otsu_map import DEFAULT_FLOOR

__all__ = ["Entry", "race"]


@dataclass(frozen=True)
class Entry:
    """What a worker needs to know; empty paths mean random weights."""

    way: str
    case: Case
    sampler: SamplerSpec
    maps: MapSpec
    targets: int
    denoiser: str
    guide: str
    device: str
    rounds: int

    def models(self) -> Models:
        if self.denoiser:
            return load_pair(self.denoiser, self.guide, self.device)
        return random_pair(self.device)

    @property
    def asked(self) -> np.ndarray:
        """Of the case's targets as many as are timed, evenly over their ranks."""
        targets = self.case.targets[0]
        at = ((np.arange(self.targets) + 0.5) * targets.size / self.targets).astype(int)
        return targets[at]


def by_reference(entry: Entry, models: Models) -> dict[str, Any]:
    """The reference's whole map; its floor is a number known beforehand, so that it costs nothing.
    """
    with Counter(models) as counter:
        counted = Models(counter.epsilon, *list(vars(models).values())[1:])
        way = reference_way(counted, entry.sampler, entry.device)
        reference = entry.case.reference
        probability = way.growth_map(
            reference.image, entry.asked.tolist(), brain=reference.brain, floor=DEFAULT_FLOOR
        )
        return {"map": probability, "denoiser": counter.denoised, "gradients": counter.gradients}


def by_ours(entry: Entry, models: Models) -> dict[str, Any]:
    """Our default: its sampler, its nodes, its floor."""
    reference = entry.case.reference
    made = ours(models, reference, nodes_of(entry.asked, entry.maps.nodes), entry.sampler,
                device=entry.device)  # fmt: skip
    probability = map_of(made, reference, entry.maps)
    return {"map": probability, "denoiser": made.cost["denoiser"],
            "gradients": made.cost["gradients"]}  # fmt: skip


WAYS: dict[str, Callable[[Entry, Models], dict[str, Any]]] = {
    "reference": by_reference, "ours": by_ours,
}  # fmt: skip


def _work(entry: Entry, pipe: Connection) -> None:
    """Once as it comes, with `rounds` the later rounds alone; then the answer."""
    models = entry.models()
    seconds, busy, found = [], [], {}
    for _ in range(entry.rounds):
        begun, cpu = time.perf_counter(), time.process_time()
        found = WAYS[entry.way](entry, models)
        seconds.append(time.perf_counter() - begun)
        busy.append(time.process_time() - cpu)
    kept = slice(1, None) if entry.rounds > 1 else slice(None)
    if entry.device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = _peak_rss_mib()
    pipe.send({**found, "seconds": float(np.median(seconds[kept])), "peak_mib": peak,
               "cpu_seconds": float(np.median(busy[kept]))})  # fmt: skip


def _peak_rss_mib() -> float:
    """Of this process alone: what `getrusage` tells holds that of the one it was forked from."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def race(entry: Entry) -> dict[str, Any]:
    """One way's map, seconds on the clock and of the processor, evaluations and peak memory."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_work, args=(entry, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        found: dict[str, Any] = mine.recv()
    except EOFError:
        raise RuntimeError(f"the process of the {entry.way} way ended without an answer") from None
    process.join()
    return found
