"""A first picture of a changed tumour, which the denoiser makes into a scan.

Each contrast of a tumour fades towards its outline: at depth d (pixels from the outline inwards) a
pixel shows the share

    s(d) = 1 - edge exp(-(d - 1) / fade_px)    in the tumour, 0 outside

of the way from the tissue around to the depth of the tumour. A pixel whose depth changes is moved
by the change of that share towards the tumour's own intensities of its label, continued smoothly,
with the texture of the tumour mirrored at the old border and, weaker than before, the anatomy that
lay there: gyri are seen through oedema.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mechlearn.checks import in_range, positive
from mechlearn.spatial.tissue import without_tumour
from mechlearn.spatial.travel import blurred_inside

__all__ = ["GuessSpec", "first_guess", "nearest_texture", "random_values"]

_SEEN = 0.05  # a smaller change of the share s(d) is left alone
_REACHED = 0.03  # of the largest weight that a Gaussian finds of known tissue


@dataclass
class GuessSpec:
    """How a changed tumour is first painted.

    Attributes:
        edge: of the share s(d), one number, or one a contrast (t1n, t1c, t2w, t2f). Chosen with
            fade_px (1.5 mm pixels) by bands grown again on training patients.
        texture: weight of the mirrored texture beside the smooth continuation.
        anatomy: weight of what lay there, less its Gaussian mean over anatomy_px; one number, or
            one a contrast. Detail of 1 to 3 pixels is .42, .54, .59 and 1.2 times as strong in
            oedema as in the rest of the brain (medians of training patients); in FLAIR it is the
            oedema's own.
        deep_px: intensities are taken from so deep in the label, where enough of it is left.
        smooth_px: narrowest Gaussian of the continuation.
    """

    edge: float | tuple[float, ...] = (0.5, 0.45, 0.45, 0.34)
    fade_px: float = 1.5
    texture: float = 0.5
    anatomy: float | tuple[float, ...] = (0.25, 0.35, 0.4, 0.2)
    anatomy_px: float = 3.0
    deep_px: int = 2
    smooth_px: float = 1.5

    def __post_init__(self) -> None:
        for value in np.ravel(self.edge):
            in_range("sampler.labels.guess.edge", float(value), 0.0, 1.0)
        for value in np.ravel(self.anatomy):
            in_range("sampler.labels.guess.anatomy", float(value), 0.0, 1.0)
        in_range("sampler.labels.guess.texture", self.texture, 0.0, 2.0)
        in_range("sampler.labels.guess.deep_px", self.deep_px, 0, 50)
        positive("sampler.labels.guess.fade_px", self.fade_px)
        positive("sampler.labels.guess.anatomy_px", self.anatomy_px)
        positive("sampler.labels.guess.smooth_px", self.smooth_px)

    def share(self, tumour: np.ndarray, contrasts: int) -> np.ndarray:
        """s(d) of a tumour, (H, W) bool -> (C, H, W)."""
        fading = np.exp((1 - ndimage.distance_transform_edt(tumour)) / self.fade_px)
        return np.where(tumour, 1 - _by_contrast(self.edge, contrasts) * fading, 0.0)


def first_guess(
    image: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    brain: np.ndarray,
    *,
    spec: GuessSpec | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The slice under other labels, and where it differs.

    Args:
        image: (C, H, W) in [-1, 1]. before, after: canonical labels, (H, W). brain: (H, W) bool.

    Returns:
        (C, H, W) float32, and the region that changes, (H, W) bool: pixels of another label, and
        those of the old border that now lie deeper.
    """
    spec = spec or GuessSpec()
    leaves = (before > 0) & (after == 0)
    guess = np.array(image, np.float32)
    if leaves.any():
        guess[:, leaves] = without_tumour(image, before > 0, brain)[:, leaves]
    old, new = (spec.share(labels > 0, len(image)) for labels in (before, after))
    gain = np.clip((new - old) / np.maximum(1 - old, 1e-6), 0, 1)
    relabelled = (after != before) & (after > 0)
    gain = np.where(new - old > _SEEN, gain, 0.0)  # the depth of a tumour keeps its own texture
    gain = np.where((before > 0) & relabelled, 1.0, gain)
    changed = (gain > 0).any(0) & brain
    seen = _anatomy(image, (before == 0) & brain, spec)
    for label in np.unique(after[changed]):
        own, here = before == label, changed & (after == label)
        if own.any():
            painted = _painted(image, own, here, spec) + seen
            guess[:, here] += (gain * (painted - guess))[:, here]
    return guess, leaves | relabelled | changed


def _by_contrast(values: float | tuple[float, ...], contrasts: int) -> np.ndarray:
    """(C, 1, 1) of one number, or of one a contrast; their mean for other contrasts than four."""
    given = np.ravel(values)
    if given.size not in (1, contrasts):
        given = given.mean(keepdims=True)
    return np.broadcast_to(given, (contrasts,))[:, None, None]


def _anatomy(image: np.ndarray, tissue: np.ndarray, spec: GuessSpec) -> np.ndarray:
    """Detail of the tissue as it is seen through a tumour, (C, H, W), 0 elsewhere."""
    fine = np.stack([v - blurred_inside(v, tissue, spec.anatomy_px, (1, 1)) for v in image])
    return np.where(tissue, _by_contrast(spec.anatomy, len(image)) * fine, 0.0)


def _painted(
    image: np.ndarray, own: np.ndarray, here: np.ndarray, spec: GuessSpec
) -> np.ndarray:
    """Intensities of a label, continued from its depth to `here`, with texture, (C, H, W)."""
    source = _deep(own, spec.deep_px)
    smooth = _continued(image, source, here, spec.smooth_px)
    if spec.texture == 0:
        return smooth
    mirrored = np.array(image, np.float32)
    _mirror(mirrored, image, source, here)
    both = source | here
    for channel, values in enumerate(mirrored):
        fine = values - blurred_inside(values, both, spec.smooth_px, (1, 1))
        smooth[channel] += spec.texture * fine
    return smooth


def _deep(own: np.ndarray, depth_px: int) -> np.ndarray:
    """The label without its border, as much of it as leaves a third of its pixels."""
    for depth in range(depth_px, 0, -1):
        inner: np.ndarray = ndimage.binary_erosion(own, iterations=depth)
        if 3 * inner.sum() >= own.sum():
            return inner
    return own


def _continued(
    image: np.ndarray, known: np.ndarray, where: np.ndarray, sigma: float
) -> np.ndarray:
    """Known pixels continued by the narrowest Gaussian that reaches them, (C, H, W)."""
    out, left = np.array(image, np.float32), where.copy()
    while left.any():
        weight = ndimage.gaussian_filter(known.astype(np.float32), sigma)
        reached = left & (weight > _REACHED * weight.max())
        if reached.any():
            for channel, values in enumerate(image):
                summed = ndimage.gaussian_filter(np.where(known, values, 0.0), sigma)
                out[channel, reached] = (summed / np.maximum(weight, 1e-12))[reached]
        left &= ~reached
        sigma *= 1.5
    return out


def _mirror(out: np.ndarray, image: np.ndarray, source: np.ndarray, here: np.ndarray) -> None:
    """Fill `here` from the mirror image beyond the nearest source pixel, or from that pixel."""
    near = ndimage.distance_transform_edt(~source, return_distances=False, return_indices=True)
    places = np.indices(source.shape)
    mirror = [np.clip(2 * n - p, 0, s - 1)
              for n, p, s in zip(near, places, source.shape, strict=True)]
    good = source[tuple(mirror)]
    rows, columns = (np.where(good, m, n)[here] for m, n in zip(mirror, near, strict=True))
    out[:, here] = image[:, rows, columns]


def nearest_texture(image: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """`image` with each newly labelled pixel copied from the nearest pixel of its label."""
    out = np.array(image, np.float32)
    for own, new in _new_pixels(before, after):
        near = ndimage.distance_transform_edt(~own, return_distances=False, return_indices=True)
        out[:, new] = image[(slice(None), *(n[new] for n in near))]
    return out


def random_values(
    image: np.ndarray, before: np.ndarray, after: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """`image` with each newly labelled pixel copied from a random pixel of its label."""
    out = np.array(image, np.float32)
    for own, new in _new_pixels(before, after):
        values = image[:, own]
        out[:, new] = values[:, rng.integers(values.shape[1], size=int(new.sum()))]
    return out


def _new_pixels(before: np.ndarray, after: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(pixels of a label before, pixels that become it), for each label that has both."""
    pairs = []
    for label in np.unique(after[(after != before) & (after > 0)]):
        own, new = before == label, (after == label) & (before != label)
        if own.any():
            pairs.append((own, new))
    return pairs
