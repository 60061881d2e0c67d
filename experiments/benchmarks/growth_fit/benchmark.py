"""Fits a second: lmfit with odeint, lmfit with the exact solution, and all slices in one batch.

    python experiments/benchmarks/growth_fit/benchmark.py OUT.json --odeint 20 --lmfit 60 \
        --slices 60 --checked 10 --largest 1000 --patients 40

Simulated slices (phantom): the `ode` law at seven visits with 10% noise. Every engine minimises the
same sum of squares; the peers get one start a fit, the batch its usual two, and its time holds the
search from 24 starts for every slice as well.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lmfit
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.integrate import odeint

from mechlearn.evaluation.population_fit import CrossFit, cross_fitted, in_order
from mechlearn.growth import GROWTH_MODELS, GrowthSpec
from mechlearn.growth.bootstrap import bootstrap, bootstraps, perturb
from mechlearn.growth.fit import fit_problem
from mechlearn.growth.fit_problems import Batch, FitProblem, Objective, Tasks
from mechlearn.growth.size_forecast import forecasts
from mechlearn.growth.solvers import solve_batched, solve_lmfit
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

LAW = GROWTH_MODELS["ode"]
NAMES = LAW.names
SPEC = GrowthSpec(law="ode", n_bootstrap=100)


def simulated(count: int, seed: int = 0, visits: int = 7) -> list[SizeSeries]:
    """Slices of seven visits 30 to 140 days apart, one course of radiotherapy, 10% noise; more
    visits are weeks apart."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(count):
        gaps = rng.integers(30, 141, visits - 1) if visits <= 7 else np.full(visits - 1, 7)
        days = np.concatenate([[0.0], np.cumsum(gaps)])
        course = Radiotherapy(float(rng.integers(10, 61)))
        truth = {
            "initial_area": rng.uniform(200, 2000), "growth_rate": rng.uniform(0.003, 0.012),
            "survival_fraction": rng.uniform(0.02, 0.2), "decay_rate": rng.uniform(0.01, 0.05),
            "delay": rng.uniform(5, 40), "slope": rng.uniform(0.05, 0.3),
        }  # fmt: skip
        areas = LAW.area(days, truth, (course,)) * (1 + 0.1 * rng.normal(size=visits)).clip(0.1)
        areas = np.minimum(areas, 3e4)
        readings = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
        out.append(SizeSeries(f"S{i:05d}/z000", f"S{i:05d}", readings, (course,)))
    return out


def odeint_area(days: np.ndarray, p: dict[str, float], rt_day: float) -> np.ndarray:
    """Both compartments through odeint, as the paper did; days ascending from 0."""

    def slope(state: np.ndarray, day: float) -> list[float]:
        tau = day - rt_day
        rate = p["decay_rate"] * np.tanh(p["slope"] * (tau - p["delay"]))
        return [p["growth_rate"] * state[0], -rate * state[1]]

    before = days[days < rt_day]
    grown = odeint(lambda a, day: p["growth_rate"] * a, p["initial_area"], [*before, rt_day])[:, 0]
    living = p["survival_fraction"] * grown[-1]
    after = odeint(slope, [living, grown[-1] - living], [rt_day, *days[days >= rt_day]])[1:]
    return np.concatenate([grown[:-1], after.sum(axis=1)])


def fit_odeint(problem: FitProblem, batch: Batch, areas: np.ndarray) -> float:
    """One fit as the paper's code makes it, less its faults: lmfit.minimize on the natural
    parameters, the law integrated, residuals unsquared, a start inside the bounds; its cost."""
    pull, centre = np.diag(batch.objective.pull), batch.objective.centre
    tasks = Tasks(np.zeros(1, int), areas[None], centre[None], centre[None, None])
    low, high = (batch.values(ends[0]) for ends in batch.limits(tasks))
    params = lmfit.Parameters()
    for name, value, lo, hi in zip(NAMES, batch.values(centre), low, high, strict=True):
        params.add(name, value=float(np.clip(value, 1.01 * lo, 0.99 * hi)), min=lo, max=hi)
    rt_day = float(problem.courses.starts[0])

    def residual(given: lmfit.Parameters) -> np.ndarray:
        natural = {name: given[name].value for name in NAMES}
        fitted = odeint_area(problem.days, natural, rt_day)
        x = batch.coordinates(np.array(list(natural.values())))
        return np.concatenate([fitted - areas, pull * (x - centre)])

    found = lmfit.minimize(residual, params, ftol=1e-5, xtol=1e-5)
    return float(np.sum(found.residual**2))


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = job()
    return time.perf_counter() - start, found


def tasks_of(batch: Batch, areas: np.ndarray, starts: np.ndarray) -> Tasks:
    """Fits of one series to areas (N, V) from the same starts (K, P)."""
    n, p = areas.shape[0], starts.shape[1]
    centres = np.broadcast_to(batch.objective.centre, (n, p))
    return Tasks(np.zeros(n, int), areas, centres, np.broadcast_to(starts, (n, *starts.shape)))


def peers(series: list[SizeSeries], n_odeint: int, n_lmfit: int) -> dict[str, float]:
    """Seconds a fit of the two peers, over refits of several slices."""
    rng = np.random.default_rng(1)
    problems = [FitProblem.of(t, LAW) for t in series]
    batches = [fit_problem(p, ridge=SPEC.ridge, residuals="area") for p in problems]
    noisy = [perturb(p.areas, SPEC, rng)[0] for p in problems]
    pick = [i % len(series) for i in range(max(n_odeint, n_lmfit))]
    with np.errstate(all="ignore"):
        slow = [timed(lambda i=i: fit_odeint(problems[i], batches[i], noisy[i]))[0]
                for i in track(pick[:n_odeint], "lmfit, odeint")]  # fmt: skip
    exact = [
        timed(lambda i=i: solve_lmfit(batches[i], tasks_of(
            batches[i], noisy[i][None], batches[i].objective.centre[None]), 1e-5))[0]
        for i in track(pick[:n_lmfit], "lmfit, exact solution")
    ]  # fmt: skip
    return {"lmfit_odeint_s_per_fit": float(np.mean(slow)),
            "lmfit_exact_s_per_fit": float(np.mean(exact))}  # fmt: skip


def batched(series: list[SizeSeries]) -> dict[str, float]:
    """One slice's bootstrap, and the whole of it: slices x 2 setups x 100 refits."""
    rng = np.random.default_rng(2)
    bootstrap(series[0], SPEC, rng=rng)  # warm caches
    one = [timed(lambda t=t: bootstrap(t, SPEC, rng=rng))[0] for t in series[:10]]
    both = [*series, *(t.hold_out_last()[0] for t in series)]
    rngs = [np.random.default_rng([2, i]) for i in range(len(both))]
    seconds, made = timed(lambda: bootstraps(both, SPEC, rngs=rngs))
    fits = SPEC.n_bootstrap * len(both)
    return {
        "bootstrap_100_s_median": float(np.median(one)), "n_fits": fits, "fits_s": seconds,
        "batched_s_per_fit": seconds / fits,
        "failed_share": sum(b.n_failed for b in made) / fits,
    }  # fmt: skip


def agreement(series: list[SizeSeries], starts: int = 20) -> dict[str, float]:
    """Share of slices whose batched cost is at most 0.1% above lmfit's best of many starts."""
    rng = np.random.default_rng(3)
    widths = np.array([p.width for p in LAW.parameters])
    excess = []
    for timeline in track(series, f"lmfit, best of {starts}"):
        problem = FitProblem.of(timeline, LAW)
        batch = fit_problem(problem, ridge=SPEC.ridge, residuals="area")
        first = batch.objective.centre
        many = first + rng.normal(size=(starts, first.size)) * widths
        best = solve_lmfit(batch, tasks_of(batch, batch.areas, many), 1e-8).cost[0]
        mine = bootstrap(timeline, SPEC, rng=np.random.default_rng(4)).point.cost
        excess.append(mine / best - 1)
    return {"n_checked": len(series), "share_within_0.1_percent": float(np.mean(
        np.array(excess) <= 1e-3)), "worst_excess": float(np.max(excess))}  # fmt: skip


def growth_with_size(largest: int) -> dict[str, float]:
    """Seconds a fit for 1, 10, ... series fitted in one call, three starts each."""
    out, count = {}, 1
    while count <= largest:
        problems = [FitProblem.of(t, LAW) for t in simulated(count, seed=5)]
        widths = np.array([p.width for p in LAW.parameters])
        centre = fit_problem(problems[0], ridge=SPEC.ridge, residuals="area").objective.centre
        batch = Batch.of(problems, Objective(centre, np.diag(SPEC.ridge / widths)))
        rng = np.random.default_rng(6)
        starts = centre + rng.normal(size=(count, 3, centre.size)) * widths
        centres = np.broadcast_to(centre, (count, centre.size))
        tasks = Tasks(np.arange(count), batch.areas, centres, starts)
        seconds, _ = timed(lambda b=batch, t=tasks: solve_batched(b, t, 1e-5))
        out[f"batch_of_{count}_ms_per_series"] = 1000 * seconds / count
        count *= 10
    return out


def populations(patients: int) -> dict[str, float]:
    """Seconds of a cross-fit over five folds (six growth models each), and of forecasts of two
    long series under the packaged population."""
    cohort = in_order(simulated(patients, seed=7, visits=4))
    with TemporaryDirectory() as folder:
        seconds, _ = timed(
            lambda: cross_fitted(cohort, CrossFit(), unit="mm2", folder=Path(folder))
        )
    out = {"n_patients": float(patients), "cross_fit_s": seconds}
    pooled = GrowthSpec(law="pooled", population="phantom")
    for visits in (100, 300):
        series = simulated(2, seed=8, visits=visits)
        days = [s.visits[-1].day + 60 for s in series]
        for name, spec in (("pooled", pooled), ("ode", SPEC)):
            seconds, made = timed(lambda s=spec, d=days, t=series: forecasts(t, d, spec=s))
            if any(isinstance(m, Exception) for m in made):
                raise RuntimeError(f"a series of {visits} visits was refused: {made}")
            out[f"two_series_of_{visits}_visits_{name}_s"] = seconds
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    for name, value in (("odeint", 20), ("lmfit", 60), ("slices", 60), ("checked", 10),
                        ("largest", 1000), ("patients", 40)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    series = simulated(args.slices)
    result: dict[str, float] = {"cores": float(len(os.sched_getaffinity(0)))}
    result |= batched(series) | peers(series, args.odeint, args.lmfit)
    result |= agreement(series[: args.checked]) | growth_with_size(args.largest)
    result |= populations(args.patients)
    for peer in ("lmfit_odeint", "lmfit_exact"):
        result[f"ratio_to_{peer}"] = result[f"{peer}_s_per_fit"] / result["batched_s_per_fit"]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    table = Table("what", "value", title="growth fits")
    for key, value in result.items():
        table.add_row(key, f"{value:.4g}")
    Console().print(table)


if __name__ == "__main__":
    main()
