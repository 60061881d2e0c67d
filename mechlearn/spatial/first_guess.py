"""First guess of an image with a changed tumour, from which the denoiser generates a scan.

`continued_tumour`: in every contrast the intensity of a tumour changes gradually at its outline. At
depth d (pixels inside the outline) a pixel has the share

    s(d) = 1 - edge exp(-(d - 1) / fade_px)    in the tumour, 0 outside

of the difference between the surrounding tissue and the deep tumour. Where the depth changes, the
pixel moves by the change of this share towards the painted intensity: the intensities of its label
continued smoothly, plus the texture of the tumour mirrored at the old border, plus the damped
anatomical detail of the old tissue (gyri are visible through oedema).

An inpainter (`models.label_networks`) paints what `spatial.hidden_tumour` leaves open. It is nearer
to the truth on scans like its training scans, the continuation on others, and their mean is nearer
than both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mechlearn.checks import in_range, positive
from mechlearn.spatial.tissue import without_tumour
from mechlearn.spatial.travel import blurred_inside

__all__ = [
    "GuessSpec",
    "continued_tumour",
    "nearest_texture",
    "random_values",
    "seen_anatomy",
]

_SEEN = 0.05  # smaller changes of the share s(d) are ignored
_REACHED = 0.03  # least weight of known pixels in the Gaussian, as a share of the largest


@dataclass
class GuessSpec:
    """Settings of the first guess.

    Attributes:
        edge: of the share s(d), one number, or one a contrast (t1n, t1c, t2w, t2f). Chosen, like
            fade_px, on training patients (1.5 mm pixels), by removing and repainting a band of
            their tumours.
        texture: weight of the mirrored texture.
        anatomy: weight of the old image less its Gaussian mean over anatomy_px; one number, or one
            a contrast. In oedema, detail of 1 to 3 pixels is .42, .54, .59 and 1.2 times as strong
            as in the rest of the brain (medians of training patients); in FLAIR it is detail of the
            oedema.
        deep_px: depth in the label from which its intensities are taken, if enough of it is left.
        smooth_px: standard deviation of the narrowest Gaussian of the continuation.
        inpainted: weight of the inpainter's image; the rest is that of the continuation.
        faint_share: the border of the old tumour is inpainted as deep as it has less than this
            share of the difference between the tumour's inside and the tissue around.
        outer_px: width of the margin around the new tumour that is inpainted with it where the
            border of the old one is faint, because pixels at such a border are partly tumour.
    """

    edge: float | tuple[float, ...] = (0.5, 0.45, 0.45, 0.34)
    fade_px: float = 1.5
    texture: float = 0.5
    anatomy: float | tuple[float, ...] = (0.25, 0.35, 0.4, 0.2)
    anatomy_px: float = 3.0
    deep_px: int = 2
    smooth_px: float = 1.5
    inpainted: float = 0.5
    outer_px: float = 1.0
    faint_share: float = 0.65

    def __post_init__(self) -> None:
        for value in np.ravel(self.edge):
            in_range("sampler.labels.guess.edge", float(value), 0.0, 1.0)
        for value in np.ravel(self.anatomy):
            in_range("sampler.labels.guess.anatomy", float(value), 0.0, 1.0)
        in_range("sampler.labels.guess.texture", self.texture, 0.0, 2.0)
        in_range("sampler.labels.guess.inpainted", self.inpainted, 0.0, 1.0)
        in_range("sampler.labels.guess.outer_px", self.outer_px, 0.0, 10.0)
        in_range("sampler.labels.guess.faint_share", self.faint_share, 0.0, 1.0)
        in_range("sampler.labels.guess.deep_px", self.deep_px, 0, 50)
        positive("sampler.labels.guess.fade_px", self.fade_px)
        positive("sampler.labels.guess.anatomy_px", self.anatomy_px)
        positive("sampler.labels.guess.smooth_px", self.smooth_px)

    def share(self, tumour: np.ndarray, contrasts: int) -> np.ndarray:
        """s(d) of a tumour, (H, W) bool -> (C, H, W)."""
        fading = np.exp((1 - ndimage.distance_transform_edt(tumour)) / self.fade_px)
        return np.where(tumour, 1 - _by_contrast(self.edge, contrasts) * fading, 0.0)


def continued_tumour(
    image: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    brain: np.ndarray,
    *,
    spec: GuessSpec | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The image with other labels, and the region that changes.

    Args:
        image: (C, H, W) in [-1, 1]. before, after: canonical labels, (H, W). brain: (H, W) bool.
        spec: settings; the defaults if None.

    Returns:
        (C, H, W) float32, and the region that changes, (H, W) bool: pixels with another label, and
        pixels of the old border that are now deeper.
    """
    spec = spec or GuessSpec()
    leaves = (before > 0) & (after == 0)
    guess = np.array(image, np.float32)
    if leaves.any():
        guess[:, leaves] = without_tumour(image, before > 0, brain)[:, leaves]
    old, new = (spec.share(labels > 0, len(image)) for labels in (before, after))
    gain = np.clip((new - old) / np.maximum(1 - old, 1e-6), 0, 1)
    relabelled = (after != before) & (after > 0)
    gain = np.where(new - old > _SEEN, gain, 0.0)  # the deep tumour does not change
    gain = np.where((before > 0) & relabelled, 1.0, gain)
    changed = (gain > 0).any(0) & brain
    seen = seen_anatomy(image, (before == 0) & brain, spec)
    for label in np.unique(after[changed]):
        own, here = before == label, changed & (after == label)
        if own.any():
            painted = _painted(image, own, here, spec) + seen
            guess[:, here] += (gain * (painted - guess))[:, here]
    return guess, leaves | relabelled | changed


def _by_contrast(values: float | tuple[float, ...], contrasts: int) -> np.ndarray:
    """(C, 1, 1) from one number, or one a contrast; their mean for another number of contrasts."""
    given = np.ravel(values)
    if given.size not in (1, contrasts):
        given = given.mean(keepdims=True)
    return np.broadcast_to(given, (contrasts,))[:, None, None]


def seen_anatomy(image: np.ndarray, tissue: np.ndarray, spec: GuessSpec) -> np.ndarray:
    """Weighted fine detail of the tissue, (C, H, W), 0 elsewhere."""
    fine = np.stack([v - blurred_inside(v, tissue, spec.anatomy_px, (1, 1)) for v in image])
    return np.where(tissue, _by_contrast(spec.anatomy, len(image)) * fine, 0.0)


def _painted(
    image: np.ndarray, own: np.ndarray, here: np.ndarray, spec: GuessSpec
) -> np.ndarray:
    """Intensities of a label, continued from its deep part to `here`, with texture, (C, H, W)."""
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
    """The label eroded by up to `depth_px`, with at least a third of its pixels."""
    for depth in range(depth_px, 0, -1):
        inner: np.ndarray = ndimage.binary_erosion(own, iterations=depth)
        if 3 * inner.sum() >= own.sum():
            return inner
    return own


def _continued(
    image: np.ndarray, known: np.ndarray, where: np.ndarray, sigma: float
) -> np.ndarray:
    """Known pixels continued by Gaussian means of growing width, (C, H, W)."""
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
    """Fill `here` with pixels mirrored at the nearest source pixel, or with this pixel."""
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
    """(old pixels of a label, new pixels of this label), for each label that has both."""
    pairs = []
    for label in np.unique(after[(after != before) & (after > 0)]):
        own, new = before == label, (after == label) & (before != label)
        if own.any():
            pairs.append((own, new))
    return pairs
