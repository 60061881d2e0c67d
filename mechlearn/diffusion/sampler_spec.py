"""Settings of a sampler: encoding, guidance and denoising of a scan."""

from __future__ import annotations

from dataclasses import InitVar, dataclass

import numpy as np

from mechlearn.checks import in_range, one_of

__all__ = ["REFERENCE_SCALE", "SOLVERS", "SamplerSpec", "parse_scale"]

REFERENCE_SCALE = 50_000.0  # s_ct recommended by the paper: strength 1
SOLVERS = ("ddim", "dpmpp_2m")


def parse_scale(text: str | float) -> float:
    """'50k' -> 50000.0, '1.5M' -> 1500000.0, '20000' -> 20000.0; ValueError otherwise."""
    word = str(text).strip()
    factor = {"k": 1e3, "M": 1e6}.get(word[-1:], 1.0)
    try:
        value = float(word if factor == 1.0 else word[:-1]) * factor
    except ValueError:
        value = float("nan")
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(
            f"sampler.scale={text!r}: must be a number, 0 or more, such as 50000, 50k or 1.5M."
        )
    return value


@dataclass
class SamplerSpec:
    """Settings of a sampler. The defaults are those of the paper, unless noted.

    Attributes:
        nl: noise level of the encoded scan, 1..L (the paper: 200).
        scale: guidance scale s_ct on the paper's scale: 10k is weak, 50k (strength 1) is
            recommended, 500k is too strong; 0 for no guidance. For `labels` the strength is the
            weight of classifier-free guidance by the label map; 1 is the denoiser as trained.
        encode: `invert` (deterministic DDIM inversion) or `noise` (forward noise, as in the text).
        steps: number of visited levels, None for all `nl`.
        solver: `ddim`, or `dpmpp_2m` of second order (for the inversion only with
            invert_iterations=0; otherwise it uses `ddim`).
        invert_iterations: fixed-point iterations of an inversion step, which make it the exact
            inverse of the DDIM step; 0 uses the noise predicted before the step, as in the
            reference code and in MONAI's `reversed_step`.
        anchor: add to each step the error of an unguided step (Ju et al. 2023, Direct Inversion),
            so that sampling without guidance returns the image exactly.
        guidance: `paper`, eq. (2) towards a target size (`guidance_paper`); `labels`, a denoiser
            with label conditioning (`evaluation.label_sampler`).
        order: arrival order of `labels`: `phantom`, the packaged prior; `travel`, travel time
            through the tissue, without fitted weights; or the JSON of a prior fitted to a cohort.
        mass_effect: of `labels`: share of new core and enhancing tumour that displaces tissue
            (`spatial.mass_effect`); 0 for none.
        dynamic: s_dyn = target - R (signed); False: s_dyn = 1 (only `paper`).
        clip_x0: clip the predicted x0 to [-1, 1] at each step, as in the reference code.
        smooth_px: standard deviation of the smoothing of the guide's gradient; 0 as in the paper.
        target_boost: relative increase of the target above level 20 (reference code: 0.15).
        keep_background: set pixels outside the brain mask to -1 at the end.
        precision: of the denoiser, `float32` or `bf16`; the guide's gradient is always float32.
        batch_size: generations sampled at once on a GPU. A CPU uses batches of four, so that
            results do not depend on this setting.
    """

    nl: int = 200
    scale: str = "50k"
    encode: str = "invert"
    steps: int | None = None
    solver: str = "ddim"
    invert_iterations: int = 3
    anchor: bool = False
    guidance: str = "paper"
    order: str = "phantom"
    mass_effect: float = 0.0
    dynamic: bool = True
    clip_x0: bool = False
    smooth_px: float = 0.0
    target_boost: float = 0.0
    keep_background: bool = True
    precision: str = "float32"
    batch_size: int = 8
    spacing: InitVar[str] = "uniform"  # this and the next key are in exports of earlier versions
    guide_above: InitVar[int] = 0

    def __post_init__(self, spacing: str, guide_above: int) -> None:
        in_range("sampler.nl", self.nl, 1, 1000, remedy="It counts noise levels; the paper: 200.")
        parse_scale(self.scale)
        for key, words in _CHOICES.items():
            one_of(f"sampler.{key}", getattr(self, key), words, remedy=_REMEDIES.get(key, ""))
        if (spacing, guide_above) != ("uniform", 0):
            raise ValueError(
                f"sampler.spacing={spacing}, sampler.guide_above={guide_above}: these settings "
                "were removed. Leave them out, or export the pair again."
            )
        if self.steps is not None:
            in_range("sampler.steps", self.steps, 1, self.nl,
                     remedy="Give at most sampler.nl, or null for all levels.")
        for key, (low, high) in _RANGES.items():
            in_range(f"sampler.{key}", getattr(self, key), low, high)
        if not self.dynamic and self.guidance != "paper":
            raise ValueError(
                f"sampler.dynamic=false, sampler.guidance={self.guidance}: only the paper's "
                "guidance has a static scale. Use sampler=fast, or sampler.dynamic=true."
            )

    @property
    def strength(self) -> float:
        """Scale over the scale recommended by the paper."""
        return self.scale_value / REFERENCE_SCALE

    @property
    def scale_value(self) -> float:
        """s_ct as a number."""
        return parse_scale(self.scale)


_CHOICES: dict[str, tuple[str, ...]] = {
    "encode": ("invert", "noise"),
    "solver": SOLVERS,
    "guidance": ("paper", "labels"),
    "precision": ("float32", "bf16"),
}
_REMEDIES = {
    "guidance": "placed, an earlier default, was removed: sampler=labels asks for size and place."
}
_RANGES: dict[str, tuple[float, float]] = {
    "invert_iterations": (0, 50),
    "mass_effect": (0.0, 2.0),
    "smooth_px": (0.0, 20.0),
    "target_boost": (0.0, 10.0),
    "batch_size": (1, 4096),
}
