"""Generate a prepared slice with another tumour, and check the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from mechlearn.checks import same_shape
from mechlearn.diffusion.label_sampling import LabelSamplingSpec, draw_under_labels, window_of
from mechlearn.diffusion.sampler import member_seed
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.scan_guard import ScanVerdict, judge_scan, scan_statistics
from mechlearn.evaluation.slice_guess import first_guess, growing_room
from mechlearn.metrics.realism import drawn_realism
from mechlearn.models.checkpoints import LoadedModel, load_model
from mechlearn.models.label_networks import label_map
from mechlearn.records import AxialSlice
from mechlearn.spatial.first_guess import GuessSpec
from mechlearn.spatial.label_transport import transported_labels
from mechlearn.spatial.mass_effect import pushed
from mechlearn.spatial.resolution import as_blurred, blur_px, noise_to_add

__all__ = [
    "DrawnSlice",
    "DrawnVerdict",
    "GuardLimits",
    "draw_slice",
    "draw_slices",
    "judge_picture",
    "load_drawer",
]


@dataclass(frozen=True)
class GuardLimits:
    """Limits of the check of a generated image; distances are in units of the brain's range.

    darkened: largest share of darkened pixels in the new region, in FLAIR. distance: largest
    distance to the patient's tumour, in FLAIR and T2; the check also fails if the distance is above
    two thirds of that of the unchanged tissue. outside: largest share of the other brain that
    changed by more than a twentieth of the range. own_px: least number of tumour pixels in the
    slice, which show the appearance of the patient's tumour.
    """

    darkened: float = 0.05
    distance: float = 0.15
    outside: float = 0.02
    own_px: int = 30


@dataclass(frozen=True)
class DrawnVerdict:
    """Result of the check of a generated image.

    scan: whether the scan is like the training data; None if this was not checked. figures: scores;
    `asked_mm2` is the target size. problems: failed checks, in plain words.
    """

    scan: ScanVerdict | None
    figures: Row
    problems: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.problems

    @property
    def words(self) -> str:
        """The problems as text for a reader."""
        return "; ".join(self.problems) + "." if self.problems else "No fault was found."


@dataclass(frozen=True)
class DrawnSlice:
    """Image (C, H, W) float32 in [-1, 1], its label map (H, W), and the result of the check."""

    image: np.ndarray
    labels: np.ndarray
    verdict: DrawnVerdict = field(repr=False)


def load_drawer(path: str | Path = "demo", *, key: str = "checkpoints.drawer") -> LoadedModel:
    """Load a denoiser with label conditioning; ValueError, which names `key`, for others."""
    model = load_model(path, demo_kind="ddpm_labels" if str(path) == "demo" else "ddpm")
    if not hasattr(model.module, "label_channels"):
        raise ValueError(
            f"{key}={path}: this denoiser has no label conditioning. Train one with "
            "+experiment=ddpm_labels, take the packaged one (demo), or evaluate it with "
            "sampler=fast."
        )
    model.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def draw_slice(
    scan: AxialSlice,
    target: np.ndarray,
    *,
    model: LoadedModel,
    seed: int = 0,
    spec: LabelSamplingSpec | None = None,
    guess: GuessSpec | None = None,
    limits: GuardLimits | None = None,
) -> DrawnSlice:
    """Generate one slice with a tumour that fills `target`: see `draw_slices`.

    Example:
        >>> model = load_drawer()                                           # doctest: +SKIP
        >>> drawn = draw_slice(scan, forecast_mask, model=model, seed=0)    # doctest: +SKIP
        >>> drawn.verdict.words                                             # doctest: +SKIP
        'No fault was found.'
    """
    return draw_slices(
        scan, [target], model=model, seed=seed, spec=spec, guess=guess, limits=limits
    )[0]


def draw_slices(
    scan: AxialSlice,
    targets: Sequence[np.ndarray],
    *,
    model: LoadedModel,
    seed: int = 0,
    spec: LabelSamplingSpec | None = None,
    guess: GuessSpec | None = None,
    limits: GuardLimits | None = None,
) -> list[DrawnSlice]:
    """Generate one slice with several targets, independently of each other.

    Args:
        scan: prepared slice with labels, on the grid and with the contrasts of the model.
        targets: masks, (H, W) bool, to which `transported_labels` gives labels inside
            `growing_room`; or label maps (H, W) of canonical integers, used unchanged.
        model: from `load_drawer`.
        seed: of the noise, with the slice's name; all targets of a slice have the same noise, so
            that images of different sizes agree where their tumours overlap.
        spec, guess, limits: settings of the sampling, of the first guess and of the check.

    Raises:
        ValueError: another grid or other contrasts than the model's, a target of another shape, no
            tumour in the slice.
    """
    _check(scan, model)
    spec, guess, limits = spec or LabelSamplingSpec(), guess or GuessSpec(), limits or GuardLimits()
    scan_verdict = _scan_verdict(scan, model)
    out = []
    for target in targets:
        same_shape("target", np.asarray(target), "labels", scan.labels)
        labels = _labels(scan, np.asarray(target))
        start = _pushed(scan, labels, spec.mass_effect)
        image = _drawn(start, labels, model, spec, guess, member_seed(seed, scan.slice_id, 0))
        verdict = judge_picture(start, image, labels, scan_verdict, limits)
        out.append(DrawnSlice(image, labels, verdict))
    return out


def _check(scan: AxialSlice, model: LoadedModel) -> None:
    mine = (scan.contrasts, scan.brain.shape, round(scan.spacing_mm[0], 3))
    theirs = (model.contrasts, (model.size, model.size), round(model.pixel_mm, 3))
    if mine != theirs:
        raise ValueError(
            f"slice {scan.slice_id}: contrasts, size and pixels are {mine}, but the model was "
            f"trained on {theirs} ({model.source}). Prepare the scan on the model's grid."
        )


def _scan_verdict(scan: AxialSlice, model: LoadedModel) -> ScanVerdict | None:
    groups = model.card.get("guard")
    if not groups:
        return None
    return judge_scan(scan_statistics(scan, model.epsilon, schedule=model.schedule), groups)


def _labels(scan: AxialSlice, target: np.ndarray) -> np.ndarray:
    if target.dtype == bool:
        return transported_labels(scan.labels, target & growing_room(scan), scan.brain)
    return np.where(scan.brain, target, 0).astype(np.uint8)


def _pushed(scan: AxialSlice, labels: np.ndarray, share: float) -> AxialSlice:
    """The slice with tissue displaced by the target tumour."""
    if share == 0:
        return scan
    image, carried = pushed(
        scan.image, scan.labels, labels, scan.brain, share=share, pixel_mm=scan.spacing_mm[0]
    )
    return replace(scan, image=image.astype(np.float32), labels=carried)


def _drawn(
    scan: AxialSlice, labels: np.ndarray, model: LoadedModel, spec: LabelSamplingSpec,
    guess: GuessSpec, seed: int,
) -> np.ndarray:
    painted, region = first_guess(scan, labels, model=model, spec=guess)
    if not region.any():
        return scan.image.copy()
    images, masks = torch.from_numpy(np.stack([scan.image, painted])), torch.from_numpy(
        np.stack([region, scan.brain])
    )  # fmt: skip
    window = window_of(masks[0], margin_px=spec.margin_px)
    inside = window.of(masks)
    wanted = label_map(window.of(torch.from_numpy(labels.astype(np.int64)))[None],
                       inside[None, 1:].float())
    scans = window.of(images)
    made = draw_under_labels(
        model.module, scans[:1], scans[1:], wanted, inside[:1], inside[1:],
        schedule=model.schedule, spec=spec, seeds=[seed],
    )  # fmt: skip
    change = np.zeros_like(scan.image)
    window.of(torch.from_numpy(change))[:] = made[0] - scans[0]
    blurs = blur_px(scan.image, scan.brain, scan.tumour, contrasts=scan.contrasts)
    noise = np.random.default_rng(seed).standard_normal(change.shape, np.float32)
    lacking = noise_to_add(scan.image, scan.tumour)[:, None, None].astype(np.float32)
    change = as_blurred(change, blurs) + noise * np.where(change != 0, lacking, 0)
    return np.where(scan.brain, (scan.image + change).clip(-1, 1), scan.image)


def judge_picture(
    scan: AxialSlice,
    image: np.ndarray,
    labels: np.ndarray,
    scan_verdict: ScanVerdict | None = None,
    limits: GuardLimits | None = None,
) -> DrawnVerdict:
    """Check an image generated by any method.

    Args:
        scan: the original slice. image: (C, H, W). labels: target labels, (H, W).
        scan_verdict: from `judge_scan`. limits: see `GuardLimits`.
    """
    limits = limits or GuardLimits()
    real = drawn_realism(image, scan.image, scan.labels, labels, scan.brain)
    tumour = (labels > 0) & (labels != 4)
    figures: Row = {"asked_mm2": float(tumour.sum()) * scan.pixel_mm2}
    unfamiliar = scan_verdict is not None and not scan_verdict.is_familiar
    problems = [scan_verdict.reason] if scan_verdict is not None and unfamiliar else []
    own = int(scan.tumour.sum())
    if own < limits.own_px and not np.array_equal(labels > 0, scan.labels > 0):
        problems.append(f"this slice has too little tumour ({own} pixels) to generate more")
    figures["outside_changed"] = real.outside_changed
    if real.outside_changed is not None and real.outside_changed > limits.outside:
        problems.append(f"{real.outside_changed:.0%} of the brain outside the tumour changed")
    for name, number in ((c, i) for i, c in enumerate(scan.contrasts)):
        if real.distance is None or real.untouched is None or real.darkened is None:
            continue
        distance, untouched = real.distance[number], real.untouched[number]
        figures |= {
            f"distance_{name}": distance, f"untouched_{name}": untouched,
            f"darkened_{name}": real.darkened[number],
        }  # fmt: skip
        if name == "t2f" and real.darkened[number] > limits.darkened:
            problems.append(f"{real.darkened[number]:.0%} of the new tumour became darker in FLAIR")
        far = distance > max(limits.distance, 2 / 3 * untouched)
        if name in ("t2w", "t2f") and far:
            problems.append(f"the new tumour does not look like the patient's tumour in {name}")
    return DrawnVerdict(scan_verdict, figures, tuple(problems))
