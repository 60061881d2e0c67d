"""Rules on the files of one visit: values, grids, headers, copies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from nibabel.affines import obliquity, voxel_sizes

from mechlearn.data.nifti_input import spacing_note
from mechlearn.data.validation.findings import Check, Finding
from mechlearn.data.validation.geometry import apart_mm, axis_codes, mirrored_axes
from mechlearn.data.validation.loaded_visit import LoadedVisit, Rule
from mechlearn.data.validation.scan import Scan
from mechlearn.data.volumes import SAME_PLACE_MM

__all__ = ["FILE_RULES", "digests"]

MISSING = Check(
    "missing contrast", "error", "a visit has every contrast of data.prepare.contrasts",
    "Add the file, drop the contrast (data.prepare.contrasts=[...]), or train without it where it "
    "is missing (data.prepare.missing=fill).",
)  # fmt: skip
NOT_FINITE = Check(
    "NaN or infinite", "error", "all voxel values are finite numbers",
    "Export the image again; if only the background is NaN, set it to 0.",
)  # fmt: skip
CONSTANT = Check(
    "constant image", "error", "an image has more than one value",
    "Replace the file: the export or the registration failed.",
)  # fmt: skip
OTHER_GRID = Check(
    "files on different grids", "error",
    f"the files of a visit share shape and affine (corners within {SAME_PLACE_MM} mm)",
    "Co-register and resample the file to its siblings; if only its header is wrong, copy theirs.",
)  # fmt: skip
COPIED = Check(
    "one image as two contrasts", "error", "each contrast must be a different image",
    "Find the file that was copied over and restore it.",
)  # fmt: skip
TWO_FORMS = Check(
    "qform and sform disagree", "warning",
    "both transforms of a header put the voxels in one place (programs differ in which they read)",
    "Write the right one into both (nibabel: set_qform, set_sform).",
)  # fmt: skip
TWO_SIZES = Check(
    "voxel sizes disagree", "warning",
    "affine and pixdim of a header give one voxel size (programs differ in which they read)",
    "Find out which is right and write it into both (nibabel: set_sform, set_qform, set_zooms).",
)  # fmt: skip
NO_FORM = Check(
    "no orientation in the header", "warning", "a header says where its axes point",
    "Convert from DICOM again, or check left and right by eye and write a qform.",
)  # fmt: skip
OBLIQUE = Check(
    "oblique slices", "warning", "axial slices lie within 20 degrees of the world's axial plane",
    "Resample to a template such as SRI24 or MNI, as the training data are.",
)  # fmt: skip
SPACING = Check(
    "unusual voxel spacing", "warning", "voxels measure 0.3 to 6 mm along each side",
    "Check pixdim against the scanner's protocol: areas and volumes are computed from it.",
)  # fmt: skip
MAX_OBLIQUE_DEG = 20.0
SPACING_MM = (0.3, 6.0)


def missing_contrasts(visit: LoadedVisit) -> Iterator[Finding]:
    lacking = [c for c in visit.spec.contrasts if c not in visit.record.images]
    filled = visit.spec.missing == "fill" and len(lacking) < len(visit.spec.contrasts)
    if lacking and not filled:
        has = ", ".join(visit.record.images)
        yield MISSING.at(visit.record, f"no {', '.join(lacking)} (it has {has})")


def finite(visit: LoadedVisit) -> Iterator[Finding]:
    for scan in visit.scans.values():
        if scan.volume.dtype.kind != "f" or scan.key == "brain_mask":
            continue
        bad = ~np.isfinite(scan.volume)
        if scan.key in visit.contrasts and visit.record.brain_mask is not None:
            bad &= visit.brain if visit.brain is not None else True  # the rest is set to 0
        if bad.any():
            where = "z {}, row {}, column {}".format(*np.argwhere(bad)[0])
            found = f"{scan.key}: {int(bad.sum()):,} voxels, the first at {where}"
            yield NOT_FINITE.at(visit.record, found, file=scan.path)


def constant(visit: LoadedVisit) -> Iterator[Finding]:
    for scan in visit.scans.values():
        if not scan.key.startswith("seg") and scan.is_constant:
            found = f"{scan.key}: every voxel is {float(scan.volume.flat[0]):g}"
            yield CONSTANT.at(visit.record, found, file=scan.path)


def one_grid(visit: LoadedVisit) -> Iterator[Finding]:
    first = visit.reference
    for scan in visit.scans.values():
        if first is None or visit.shares_grid(scan):
            continue
        yield OTHER_GRID.at(visit.record, f"{scan.key}: {_difference(scan, first)}", file=scan.path)


def _difference(scan: Scan, first: Scan) -> str:
    shape, other = scan.image.shape, first.image.shape
    if shape != other:
        return f"shape {shape}, {first.key} has {other}"
    one, two = scan.image.affine, first.image.affine
    apart = f"{apart_mm(shape, one, two):.1f} mm apart"
    mirrored = mirrored_axes(one, two)
    if mirrored:
        return f"header mirrored along {' and '.join(mirrored)} against {first.key} ({apart})"
    if axis_codes(one) != axis_codes(two):
        return f"axes {axis_codes(one)}, {first.key} has {axis_codes(two)} ({apart})"
    sizes = [" x ".join(f"{s:.3g}" for s in voxel_sizes(a)) for a in (one, two)]
    if sizes[0] != sizes[1]:
        return f"voxels of {sizes[0]} mm, {first.key} has {sizes[1]} mm ({apart})"
    return f"shifted or turned against {first.key} ({apart})"


def copies(visit: LoadedVisit) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for key, digest in digests(visit).items():
        if key in visit.spec.contrasts and digest in seen:
            found = f"{key} holds the same voxels as {seen[digest]}"
            yield COPIED.at(visit.record, found, file=visit.scans[key].path)
        seen.setdefault(digest, key)


def digests(visit: LoadedVisit) -> dict[str, str]:
    """Contrast or segmentation -> digest; images of one value have none."""
    wanted = (s for s in visit.scans.values() if s.key != "brain_mask")
    return {s.key: s.digest for s in wanted if not s.is_constant}


def headers(visit: LoadedVisit) -> Iterator[Finding]:
    for scan in visit.scans.values():
        header = scan.image.header
        qform, sform = int(header["qform_code"]), int(header["sform_code"])
        if qform == 0 and sform == 0:
            yield NO_FORM.at(
                visit.record, f"{scan.key}: neither qform nor sform is set", file=scan.path
            )
        elif note := spacing_note(scan.image):
            yield TWO_SIZES.at(visit.record, f"{scan.key}: {note}", file=scan.path)
        elif qform and sform:
            apart = _forms_apart(scan)
            if apart is None or apart > SAME_PLACE_MM:
                how = "the qform is no rotation" if apart is None else f"{apart:.1f} mm apart"
                yield TWO_FORMS.at(visit.record, f"{scan.key}: {how}", file=scan.path)


def _forms_apart(scan: Scan) -> float | None:
    try:
        apart = apart_mm(scan.image.shape, scan.image.get_qform(), scan.image.get_sform())
    except ValueError:  # a quaternion longer than 1
        return None
    return apart if np.isfinite(apart) else None


def slices_and_spacing(visit: LoadedVisit) -> Iterator[Finding]:
    if visit.reference is None:
        return
    affine, path = visit.reference.image.affine, visit.reference.path
    degrees = float(np.rad2deg(obliquity(affine).max()))
    if degrees > MAX_OBLIQUE_DEG:
        yield OBLIQUE.at(visit.record, f"turned by {degrees:.0f} degrees", file=path)
    sizes = voxel_sizes(affine)
    if sizes.min() < SPACING_MM[0] or sizes.max() > SPACING_MM[1]:
        found = " x ".join(f"{s:.3g}" for s in sizes) + " mm"
        yield SPACING.at(visit.record, found, file=path)


FILE_RULES: tuple[Rule, ...] = (
    missing_contrasts, finite, constant, one_grid, copies, headers, slices_and_spacing,
)  # fmt: skip
