"""What `data.loader.augment` fills in: which random changes a training slice gets."""

from __future__ import annotations

from dataclasses import dataclass

from mechlearn.checks import in_range

__all__ = ["AugmentationSpec"]


@dataclass
class AugmentationSpec:
    """What is done to a training slice; every default leaves it as it is.

    Attributes:
        crop_px: side of the square that is cut out around a random tumour pixel (a brain pixel
            where there is none); null keeps the whole slice.
        spatial: probability of a rotation, scaling, shear and smooth deformation.
        rotation_deg, scaling, deformation_px: their ranges (of one standard deviation for the
            deformation).
        curves: probability, for each contrast, of a random increasing intensity curve and gain.
        curve_sd: standard deviation of the logarithm of the curve's slopes.
        gain: largest relative change of the brightest value, 0.2 for 0.8 to 1.2.
        bias: probability of a smooth multiplicative field; bias_sd: of its logarithm.
        blur: probability, for each contrast, of a coarser resolution, up to blur_factor pixels.
        noise: probability of noise with a standard deviation up to noise_sd (range of 0 to 1).
    """

    crop_px: int | None = None
    spatial: float = 0.0
    rotation_deg: float = 15.0
    scaling: float = 0.15
    deformation_px: float = 2.0
    curves: float = 0.0
    curve_sd: float = 0.35
    gain: float = 0.2
    bias: float = 0.0
    bias_sd: float = 0.12
    blur: float = 0.0
    blur_factor: float = 2.0
    noise: float = 0.0
    noise_sd: float = 0.04

    def __post_init__(self) -> None:
        for key in ("spatial", "curves", "bias", "blur", "noise"):
            in_range(f"data.loader.augment.{key}", getattr(self, key), 0.0, 1.0)
        for key, (low, high) in _RANGES.items():
            in_range(f"data.loader.augment.{key}", getattr(self, key), low, high)
        if self.crop_px is not None:
            in_range("data.loader.augment.crop_px", self.crop_px, 16, 1024)

    @property
    def is_on(self) -> bool:
        chances = (self.spatial, self.curves, self.bias, self.blur, self.noise)
        return self.crop_px is not None or any(chances)


_RANGES: dict[str, tuple[float, float]] = {
    "rotation_deg": (0.0, 180.0),
    "scaling": (0.0, 0.9),
    "deformation_px": (0.0, 100.0),
    "curve_sd": (0.0, 3.0),
    "gain": (0.0, 0.99),
    "bias_sd": (0.0, 3.0),
    "blur_factor": (1.0, 32.0),
    "noise_sd": (0.0, 1.0),
}
