"""Estimated blur and noise of a slice, so that generated tissue can be given the same.

    r = sd(x - G1 x) / sd(G1 x - G3 x)

with G1 and G3 Gaussian means over 1 and 3 pixels along one axis. A blur of a sharp slice by a
Gaussian of s pixels lowers r by a factor that hardly depends on the contrast; s is estimated from
this factor.

The standard deviation n of the noise is estimated from second differences inside a tumour,

    n = median |(1, -2, 1)^T (1, -2, 1) * x| / (6 * 0.6745)

(Immerkaer 1996, with a median in place of the mean).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from mechlearn.checks import same_shape

__all__ = ["ResolutionSpec", "as_blurred", "blur_px", "noise_to_add"]

_FEW = 100  # least number of tissue pixels for an estimate
_DEPTH_PX, _BESIDE_PX = 5, 4  # least distance of tissue to the brain's edge and to the tumour
_FEW_OF_TUMOUR = 30
_SECOND_DIFFERENCE = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / (6 * 0.6745)


@dataclass(frozen=True)
class ResolutionSpec:
    """Medians of r over slices of 1.5 mm pixels of 20 training patients (BraTS 2018).

    Attributes:
        sharp: r of a sharp slice, by contrast.
        blurs, shares: blurs in pixels, and the remaining share of r after each.
        least_share: a slice with at least this share of r counts as sharp, like most training
            slices.
        drawn_noise: noise of a generated region, in units of [-1, 1]; real tumours of validation
            patients have .001 to .034, phantoms .02 to .07.
    """

    sharp: Mapping[str, float] = field(
        default_factory=lambda: {"t1n": 0.51, "t1c": 0.70, "t2w": 0.53, "t2f": 0.70}
    )
    blurs: tuple[float, ...] = (0.0, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0)
    shares: tuple[float, ...] = (1.0, 0.94, 0.76, 0.64, 0.56, 0.46, 0.39, 0.33)
    least_share: float = 0.7
    drawn_noise: float = 0.035


def blur_px(
    image: np.ndarray,
    brain: np.ndarray,
    tumour: np.ndarray,
    *,
    contrasts: Sequence[str],
    spec: ResolutionSpec | None = None,
) -> np.ndarray:
    """Blur of each contrast along rows and columns, in pixels, (C, 2); 0 for a sharp slice.

    Args:
        image: (C, H, W). brain, tumour: (H, W) bool.
        contrasts: names of the C channels; channels not in `spec.sharp` count as sharp.
        spec: reference values; the defaults if None.
    """
    spec = spec or ResolutionSpec()
    same_shape("image slice", image[0], "brain", brain)
    tissue = ndimage.binary_erosion(brain, iterations=_DEPTH_PX)
    if tumour.any():
        tissue &= ~ndimage.binary_dilation(tumour, iterations=_BESIDE_PX)
    out = np.zeros((len(image), 2))
    if tissue.sum() < _FEW:
        return out
    for channel, name in enumerate(contrasts):
        for axis in (0, 1):
            share = _ratio(image[channel], tissue, axis) / spec.sharp.get(name, 1e-9)
            if share < spec.least_share:
                out[channel, axis] = np.interp(share, spec.shares[::-1], spec.blurs[::-1])
    return out


def as_blurred(change: np.ndarray, blurs: np.ndarray) -> np.ndarray:
    """A change of a slice, (C, H, W), blurred by the result (C, 2) of `blur_px`."""
    return np.stack([
        ndimage.gaussian_filter(values, blur) if blur.any() else values
        for values, blur in zip(change, blurs, strict=True)
    ])  # fmt: skip


def noise_to_add(
    image: np.ndarray, tumour: np.ndarray, *, spec: ResolutionSpec | None = None
) -> np.ndarray:
    """Standard deviation of the noise to add to a generated tumour, by contrast, (C,).

    It is the difference (of variances) between the noise of the slice's tumour and that of a
    generated region; 0 except in noisy slices.

    Args:
        image: (C, H, W) in [-1, 1]. tumour: (H, W) bool.
        spec: reference values; the defaults if None.
    """
    spec = spec or ResolutionSpec()
    inside = ndimage.binary_erosion(tumour)
    if inside.sum() < _FEW_OF_TUMOUR:
        return np.zeros(len(image))
    own = np.array([
        np.median(np.abs(ndimage.convolve(v.astype(float), _SECOND_DIFFERENCE))[inside])
        for v in image
    ])
    return np.sqrt(np.maximum(own**2 - spec.drawn_noise**2, 0.0))


def _ratio(values: np.ndarray, tissue: np.ndarray, axis: int) -> float:
    fine, coarse = (ndimage.gaussian_filter1d(values, s, axis=axis) for s in (1.0, 3.0))
    return float((values - fine)[tissue].std() / max((fine - coarse)[tissue].std(), 1e-6))
