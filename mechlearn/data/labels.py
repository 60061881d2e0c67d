"""Label schemes of the public data sets -> one canonical scheme.

Canonical: 0 none, 1 necrotic / non-enhancing core, 2 oedema, 3 enhancing, 4 resection cavity.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["BACKGROUND_LABEL", "CANONICAL", "CAVITY", "SCHEMES", "to_canonical", "whole_tumour"]

BACKGROUND_LABEL, CORE, OEDEMA, ENHANCING, CAVITY = range(5)
CANONICAL: Mapping[str, int] = {
    "none": BACKGROUND_LABEL,
    "core": CORE,
    "oedema": OEDEMA,
    "enhancing": ENHANCING,
    "cavity": CAVITY,
}

SCHEMES: Mapping[str, Mapping[int, int]] = {
    "brats2021": {1: CORE, 2: OEDEMA, 4: ENHANCING},
    "brats2023": {1: CORE, 2: OEDEMA, 3: ENHANCING},
    "brats2024": {1: CORE, 2: OEDEMA, 3: ENHANCING, 4: CAVITY},
    # 1 enhancing, 2 non-enhancing, 3 cyst (tumour core in the challenge's regions), 4 oedema
    "peds2024": {1: ENHANCING, 2: CORE, 3: CORE, 4: OEDEMA},
    # DeepBraTumIA as LUMIERE ships it; its own measured volumes say so (`data.measured`)
    "lumiere": {1: ENHANCING, 2: CORE, 3: OEDEMA},
    # one target volume, drawn around what takes up contrast, necrosis within it included
    "gtv": {1: ENHANCING},
}


def to_canonical(labels: np.ndarray, scheme: str) -> np.ndarray:
    """Labels of `scheme` (any shape, any number type) -> canonical uint8 of the same shape.

    Raises:
        ValueError: unknown scheme, values that are not integers, or a label that the scheme does
            not have (a sign of the wrong scheme, so nothing is mapped).
    """
    if scheme not in SCHEMES:
        raise ValueError(f"label_scheme={scheme!r}: must be one of {', '.join(SCHEMES)}.")
    odd = int((~np.isfinite(labels)).sum()) if labels.dtype.kind == "f" else 0
    if odd:
        raise ValueError(
            f"{odd:,} voxels of the segmentation are NaN or infinite. Set them to 0 where there is "
            "no tumour."
        )
    whole = np.rint(labels) if labels.dtype.kind == "f" else labels
    # Some segmentations went through a float interpolation: 2.0000001 is a 2, 1.4 is a fault.
    if labels.dtype.kind == "f" and not np.allclose(whole, labels, rtol=0, atol=1e-3):
        raise ValueError(
            "the segmentation holds values that are no integers; it was resampled with "
            "interpolation. Resample it with nearest neighbours."
        )
    mapping = SCHEMES[scheme]
    found = {int(v) for v in np.unique(whole)}
    unknown = sorted(found - {0} - set(mapping))
    if unknown:
        fitting = [s for s, m in SCHEMES.items() if found <= {0, *m}]
        raise ValueError(
            f"labels {unknown} are not in label_scheme={scheme!r} "
            f"(0, {', '.join(map(str, mapping))}); the file holds {sorted(found)}. "
            f"Schemes with these labels: {', '.join(fitting) or 'none'}. "
            "Give the scheme of the data set."
        )
    table = np.zeros(max(mapping) + 1, np.uint8)
    for source, target in mapping.items():
        table[source] = target
    return table[whole.astype(np.uint8)]


def whole_tumour(labels: np.ndarray) -> np.ndarray:
    """Canonical labels -> whole tumour, bool: every label but a resection cavity."""
    return (labels > 0) & (labels != CAVITY)
