"""Detection of scans that differ from the training data, by ranges of image statistics.

Each statistic of a slice is compared with its range (1st to 99th percentile) over training slices.
Its excess is the distance to this range, in widths of the range. A scan differs from the training
data if the largest excess is above a limit, which was chosen on validation patients. Three rules
need no range: a contrast has more than one value, oedema is brighter than the brain in FLAIR, and
CSF is brighter in T2 than in FLAIR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import add_noise
from mechlearn.records import AxialSlice

__all__ = ["GUARD_LEVELS", "ScanVerdict", "fit_ranges", "judge_scan", "scan_statistics"]

GUARD_LEVELS = (100, 300)  # noise levels of the denoising error
EMPTY = 0.02  # a contrast with a smaller spread, in [-1, 1], is empty
FEW_PX = 20  # least number of pixels of oedema or CSF for its brightness
FLUID_PERCENT = 5.0  # darkest part of the healthy brain on T1, which is CSF
DARK_PERCENT = 15.0  # darkest part of the healthy brain on T1: CSF and its partial volumes
RIM_PX = 3  # width of the outermost brain region, where skull and scalp are bright
_WORDS = {
    "median": "the usual brightness of {0}",
    "spread": "the spread of brightness of {0}",
    "rim": "the brightness at the rim of the brain in {0} (skull left on?)",
    "detail": "the fine detail of {0}",
    "error": "the denoising error of {0}",
    "lesion": "the brightness of the oedema in {0} (swapped contrasts?)",
    "fluid": "the brightness of CSF in {0} (swapped or inverted contrasts?)",
    "csf": "CSF in {0} (exchanged?)",
    "like": "the correlation of {0} (swapped or inverted contrasts?)",
}


@dataclass(frozen=True)
class ScanVerdict:
    """Whether a scan is like the training data; `excess` of the statistic with the largest excess.

    reason: in plain words; empty for a scan like the training data.
    """

    is_familiar: bool
    excess: float
    statistic: str
    reason: str = ""


def scan_statistics(
    scan: AxialSlice,
    epsilon: Callable[[Tensor, Tensor], Tensor],
    *,
    schedule: NoiseSchedule,
    seed: int = 0,
) -> dict[str, float]:
    """Statistics of the brain outside the tumour, by name.

    Args:
        scan: prepared slice.
        epsilon: unconditional predicted noise of (x_l, l).
        schedule: of the denoiser.
        seed: of the noise at `GUARD_LEVELS`.
    """
    healthy = scan.brain & ~scan.tumour
    healthy = healthy if healthy.sum() > 100 else scan.brain
    oedema = scan.brain & (scan.labels == 2)
    fluid = np.zeros_like(healthy)
    if "t1n" in scan.contrasts:
        t1n = scan.image[scan.contrasts.index("t1n")]
        fluid = healthy & (t1n <= np.percentile(t1n[healthy], FLUID_PERCENT))
    rim = scan.brain & ~ndimage.binary_erosion(scan.brain, iterations=RIM_PX)
    errors = _denoising_errors(scan, epsilon, schedule, seed)
    out: dict[str, float] = {}
    for number, name in enumerate(scan.contrasts):
        values = scan.image[number]
        low, middle, high = np.percentile(values[healthy], (5, 50, 95))
        fine = values - ndimage.gaussian_filter(values, 1.0)
        out[f"median {name}"] = float(middle)
        out[f"spread {name}"] = float(high - low)
        out[f"rim {name}"] = float(np.median(values[rim]) - middle)
        width = max(float(high - low), EMPTY)
        for kind, region in (("lesion", oedema), ("fluid", fluid)):
            if region.sum() >= FEW_PX:
                out[f"{kind} {name}"] = float(np.median(values[region]) - middle) / width
        out[f"detail {name}"] = float(fine[healthy].std())
        for level, error in zip(GUARD_LEVELS, errors, strict=True):
            out[f"error {name} {level}"] = float(error[number])
        for other in range(number):
            pair = np.stack([scan.image[other][healthy], values[healthy]])
            flat = pair.std(1).min() < 1e-4
            likeness = 0.0 if flat else float(np.corrcoef(pair)[0, 1])
            out[f"like {scan.contrasts[other]}-{name}"] = likeness
    if {"t1n", "t2w", "t2f"} <= set(scan.contrasts):
        out["csf t2w-t2f"] = _csf_contrast(scan, healthy)
    return out


def _csf_contrast(scan: AxialSlice, healthy: np.ndarray) -> float:
    """Skewness of T2 - FLAIR, positive if CSF is brighter in T2; negative if both are exchanged.

    Each contrast is standardised by its median and its range from the 5th to the 95th percentile.
    The skewness is the upper tail minus the lower tail of the difference, over the brain and over
    its darkest part on T1; the result is the larger one.
    """
    t1n, t2w, t2f = (scan.image[scan.contrasts.index(c)] for c in ("t1n", "t2w", "t2f"))
    low, middle, high = np.percentile(np.stack([t2w, t2f])[:, healthy], (5, 50, 95), axis=1)
    unit = np.stack([t2w, t2f])[:, healthy] - middle[:, None]
    t2_beside = np.subtract(*(unit / np.maximum(high - low, EMPTY)[:, None]))
    dark = t2_beside[t1n[healthy] <= np.percentile(t1n[healthy], DARK_PERCENT)]
    least, usual, most = np.percentile(t2_beside, (1, 50, 99))
    return float(max(most + least - 2 * usual, np.percentile(dark, (5, 95)).sum()))


@torch.inference_mode()
def _denoising_errors(
    scan: AxialSlice, epsilon: Callable[[Tensor, Tensor], Tensor], schedule: NoiseSchedule,
    seed: int,
) -> np.ndarray:
    """Root mean square error of the predicted noise over the brain, (levels, C)."""
    clean = torch.from_numpy(scan.image)[None].expand(len(GUARD_LEVELS), -1, -1, -1)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(scan.image.shape, generator=generator)[None].expand_as(clean)
    l = torch.tensor(GUARD_LEVELS)
    x_l = add_noise(clean, noise, alpha_bar=schedule.alpha_bar(l))
    wrong = epsilon(x_l.contiguous(memory_format=torch.channels_last), l).float() - noise
    return np.asarray(wrong[:, :, torch.from_numpy(scan.brain)].square().mean(2).sqrt())


def fit_ranges(
    statistics: Sequence[Mapping[str, float]], held_out: Sequence[Mapping[str, float]],
    *, pass_share: float = 0.95,
) -> dict[str, Any]:
    """Ranges of training slices, and the limit that a share `pass_share` of held-out slices passes.

    Returns:
        {"ranges": {name: [low, high]}, "limit": excess}, builtin values for a model's card.
    """
    names = dict.fromkeys(name for s in statistics for name in s)
    ranges = {
        name: [float(v) for v in np.percentile([s[name] for s in statistics if name in s], (1, 99))]
        for name in names
    }
    excess = [_excess(s, ranges)[0] for s in held_out]
    return {"ranges": ranges, "limit": float(np.quantile(excess, pass_share))}


def judge_scan(statistics: Mapping[str, float], groups: Mapping[str, Any]) -> ScanVerdict:
    """Compare a scan with each group of training data; it must be like at least one of them.

    Args:
        statistics: from `scan_statistics`.
        groups: name -> result of `fit_ranges`, from the model's card.

    Raises:
        ValueError: no groups.
    """
    empty = [n for n, v in statistics.items() if n.startswith("spread ") and v < EMPTY]
    if empty:
        words = f"This scan has no {empty[0].split()[1]}: all its values are equal"
        return ScanVerdict(False, float("inf"), empty[0], words)
    if statistics.get("lesion t2f", 1.0) < 0:
        words = "The oedema is darker than the brain in FLAIR (swapped or inverted contrasts?)"
        return ScanVerdict(False, float("inf"), "lesion t2f", words)
    if statistics.get("csf t2w-t2f", 1.0) <= 0:
        words = "CSF is not brighter in T2 than in FLAIR (exchanged contrasts?)"
        return ScanVerdict(False, float("inf"), "csf t2w-t2f", words)
    best: ScanVerdict | None = None
    for group in groups.values():
        excess, name = _excess(statistics, group["ranges"])
        familiar = excess <= group["limit"]
        verdict = ScanVerdict(familiar, excess, name, "" if familiar else _reason(name))
        if best is None or (verdict.is_familiar, -excess) > (best.is_familiar, -best.excess):
            best = verdict
    if best is None:
        raise ValueError("groups: the model's card has no ranges. Use a model that has them.")
    return best


def _excess(
    statistics: Mapping[str, float], ranges: Mapping[str, Sequence[float]]
) -> tuple[float, str]:
    found = []
    for name, (low, high) in ranges.items():
        if name not in statistics:  # a slice without oedema has no statistics of oedema
            continue
        value = statistics[name]
        beyond = max(low - value, value - high, 0.0) / max(high - low, 1e-6)
        found.append((beyond if np.isfinite(beyond) else float("inf"), name))
    return max(found)


def _reason(name: str) -> str:
    kind, what = name.split()[:2]
    about = _WORDS[kind].format(what.replace("-", " and "))
    return f"This scan differs from the training data of the models: {about} is out of range"
