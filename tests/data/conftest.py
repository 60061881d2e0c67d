"""Small synthetic cases: an ellipsoid brain with a ball of tumour, in any axis order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.model_grid import reorient_back
from mechlearn.data.preparation import PrepareSpec, SplitSpec, prepare
from mechlearn.data.store import SliceStore

CONTRASTS = ("t1n", "t1c", "t2w", "t2f")
SHAPE = (10, 40, 36)  # z, row, column in canonical order
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Case:
    """Canonical arrays of a synthetic case."""

    volumes: dict[str, np.ndarray]
    labels: np.ndarray
    brain: np.ndarray


def make_case(
    seed: int = 0,
    *,
    radius: float = 5.0,
    shape: tuple[int, int, int] = SHAPE,
    shift: tuple[int, int] = (0, 0),
    scale: float = 1000.0,
) -> Case:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    cz, cy, cx = ((n - 1) / 2 for n in shape)
    cy, cx = cy + shift[0], cx + shift[1]
    brain = ((z - cz) / 5) ** 2 + ((y - cy) / 15) ** 2 + ((x - cx) / 12) ** 2 < 1
    tumour = ((z - cz) ** 2 + (y - cy + 4) ** 2 + (x - cx - 3) ** 2 < radius**2) & brain
    core = ((z - cz) ** 2 + (y - cy + 4) ** 2 + (x - cx - 3) ** 2 < (radius / 2) ** 2) & brain
    labels = np.where(core, 1, np.where(tumour, 2, 0)).astype(np.uint8)
    rng = np.random.default_rng(seed)
    volumes = {}
    for i, name in enumerate(CONTRASTS):
        tissue = 0.4 + 0.2 * np.sin(y / 5 + i) + 0.3 * tumour + 0.02 * rng.standard_normal(shape)
        volumes[name] = np.where(brain, np.clip(tissue, 0.05, None) * scale, 0).astype(np.int16)
    return Case(volumes, labels, brain)


def save(volume: np.ndarray, path: Path, affine: np.ndarray = LPS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(reorient_back(volume, affine), affine), path)
    return path


def write_visit(
    folder: Path,
    case: Case,
    *,
    patient: str = "P1",
    session: str = "s0",
    day: float | None = 0.0,
    affine: np.ndarray = LPS,
    scheme: str = "brats2023",
    **fields: object,
) -> VisitRecord:
    home = folder / patient / session
    images = {c: save(v, home / f"{c}.nii.gz", affine) for c, v in case.volumes.items()}
    seg = save(case.labels, home / "seg.nii.gz", affine)
    return VisitRecord(patient, session, images, seg, scheme, day, **fields)  # type: ignore[arg-type]


@pytest.fixture
def case_of() -> Callable[..., Case]:
    return make_case


@pytest.fixture
def visit_of(tmp_path: Path) -> Callable[..., VisitRecord]:
    def make(case: Case | None = None, **options: object) -> VisitRecord:
        chosen = make_case() if case is None else case
        return write_visit(tmp_path / "source", chosen, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def save_volume() -> Callable[..., Path]:
    return save


@pytest.fixture(scope="session")
def spec() -> PrepareSpec:
    return PrepareSpec(size=48, pixel_mm=1.0, min_brain_mm2=50.0)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, spec: PrepareSpec) -> SliceStore:
    """Four patients of three visits whose tumour radius grows 3, 4, 6 voxels."""
    root = tmp_path_factory.mktemp("cohort")
    records = [
        write_visit(
            root / "source", make_case(10 * p + i, radius=radius), patient=f"P{p}",
            session=f"s{i}", day=30.0 * i, rt_start_day=10.0, rt_end_day=52.0, source="made",
        )
        for p in range(4)
        for i, radius in enumerate((3.0, 4.0, 6.0))
    ]  # fmt: skip
    return prepare(records, root / "store", spec=spec, splits=SplitSpec(val=1, test=1))
