"""One visit in memory, for the rules: files read once, what they share derived when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from mechlearn.data.labels import to_canonical
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.masks import combine, support
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.validation.findings import Finding
from mechlearn.data.validation.geometry import apart_mm
from mechlearn.data.validation.scan import Scan, Unreadable, read_scan
from mechlearn.data.volumes import SAME_PLACE_MM, SourceVisit, read_visit
from mechlearn.spatial.intensity import brain_mask

__all__ = ["LoadedVisit", "Rule", "load"]


@dataclass(eq=False)
class LoadedVisit:
    """What could be read of a visit.

    Attributes:
        scans: contrast, `seg` (or `seg=LABEL`) or `brain_mask` -> file; unreadable ones are absent.
    """

    record: VisitRecord
    spec: PrepareSpec
    scans: dict[str, Scan]

    @cached_property
    def reference(self) -> Scan | None:
        """The contrast that the others are compared with."""
        return next((self.scans[c] for c in self.spec.contrasts if c in self.scans), None)

    def shares_grid(self, scan: Scan) -> bool:
        """Whether a file lies where the reference lies."""
        first = self.reference
        if first is None or scan.image.shape != first.image.shape:
            return False
        affines = scan.image.affine, first.image.affine
        return apart_mm(scan.image.shape, *affines) <= SAME_PLACE_MM

    @cached_property
    def contrasts(self) -> dict[str, Scan]:
        """Contrasts that lie on the reference's grid."""
        wanted = (c for c in self.spec.contrasts if c in self.scans)
        return {c: self.scans[c] for c in wanted if self.shares_grid(self.scans[c])}

    @cached_property
    def source(self) -> SourceVisit | str:
        """The visit as `prepare` reads it, from memory; or why it refuses to."""
        wanted = [c for c in self.spec.contrasts if c in self.record.images]
        if set(self.scans) != set(wanted) | set(self.record.files()) - set(self.record.images):
            return "a file cannot be read"
        if not wanted:
            return f"has none of {', '.join(self.spec.contrasts)}"
        try:
            return read_visit(self.record, wanted, open_image=self.open_image)
        except (ValueError, OSError) as error:
            return str(error)

    @cached_property
    def brain(self) -> np.ndarray | None:
        """(Z, H, W) bool; None if it cannot be determined."""
        if isinstance(self.source, SourceVisit):
            return self.source.brain
        mask = self.scans.get("brain_mask")
        if mask is not None and self.shares_grid(mask):
            found = support(mask.volume)
            return found if found.any() else None
        if self.record.brain_mask is not None or not self.contrasts:
            return None
        try:
            return brain_mask(np.stack([s.volume for s in self.contrasts.values()]))
        except ValueError:
            return None

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along (z, row, column); of the reference."""
        assert self.reference is not None
        affine = self.reference.image.affine
        world = np.abs(affine[:3, :3]).argmax(0)
        by_world = dict(zip(world.tolist(), voxel_sizes(affine).tolist(), strict=True))
        return by_world.get(2, 1.0), by_world.get(1, 1.0), by_world.get(0, 1.0)

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0

    @cached_property
    def seg(self) -> np.ndarray | None:
        """Labels as in the file (Z, H, W); None if unreadable, elsewhere or no clean masks."""
        if not self.record.masks:
            scan = self.scans.get("seg")
            return scan.volume if scan is not None and self.shares_grid(scan) else None
        by_path = {s.path: s for key, s in self.scans.items() if key.startswith("seg")}
        if any(p not in by_path or not self.shares_grid(by_path[p])
               for p in self.record.masks.values()):  # fmt: skip
            return None
        try:
            return combine(self.record.masks, lambda path: by_path[path].volume)
        except ValueError:
            return None

    @cached_property
    def labels(self) -> np.ndarray | None:
        """Canonical labels (Z, H, W); None if the file's break their scheme."""
        if isinstance(self.source, SourceVisit):
            return self.source.labels
        if self.seg is None:
            return None
        try:
            return to_canonical(self.seg, self.record.label_scheme)
        except ValueError:
            return None

    def open_image(self, path: Path) -> Any:
        """The file at `path` as it is in memory, in place of nibabel.load."""
        return next(s.image for s in self.scans.values() if s.path == path)


Rule = Callable[[LoadedVisit], Iterator[Finding]]


def load(record: VisitRecord, spec: PrepareSpec) -> tuple[LoadedVisit, list[Finding]]:
    """Read a visit's files, each once; what cannot be read is a finding."""
    scans: dict[str, Scan] = {}
    findings = []
    for key, path in record.files().items():
        if key in record.images and key not in spec.contrasts:
            continue
        try:
            scans[key] = read_scan(key, path)
        except Unreadable as bad:
            findings.append(bad.check.at(record, bad.found, file=path))
    return LoadedVisit(record, spec, scans), findings
