"""Settings of a phantom cohort: numbers of patients, splits, seeds, random parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mechlearn.checks import in_range, one_of

__all__ = ["SERIES", "SPLITS", "Course", "PatientKey", "PhantomSpec", "TumourParameters"]

SPLITS = ("train", "val", "test")  # splits of a written cohort
SERIES = "series"  # patients as in the test split, with sizes but without images
# First numbers far apart, so that the size of a split does not change other numbers.
_FIRST_NUMBER = {"train": 1, "val": 50001, SERIES: 70001, "test": 90001}


@dataclass(frozen=True)
class PatientKey:
    """Name of a phantom patient: `MLP-GLI-00001` (adult, hemispheric) or `MLP-DMG-00005`."""

    kind: str  # "GLI" or "DMG"
    number: int
    split: str

    @property
    def name(self) -> str:
        return f"MLP-{self.kind}-{self.number:05d}"

    def rng(self, seed: int, purpose: int) -> np.random.Generator:
        """A random generator for each patient and purpose, independent of the order of patients."""
        return np.random.default_rng([seed, self.number, int(self.kind == "DMG"), purpose])


@dataclass
class PhantomSpec:
    """Phantom cohort.

    Args:
        n_train, n_val, n_test: number of patients of each split.
        n_series: further patients, with tumour sizes only (`phantom_sizes`).
        dmg_share: share of patients with a pontine (DMG-like) tumour in each split.
        voxel_mm: isotropic voxel size of the written NIfTI, 1 to 4 mm.
        seed: a patient is a function of (seed, patient number).
        train_visits: visits of a training or validation patient.
        test_visits: (fewest, most) visits of a test or series patient.
        keep_density: also store the true tumour density of every visit.
    """

    n_train: int = 120
    n_val: int = 10
    n_test: int = 16
    dmg_share: float = 0.25
    voxel_mm: float = 1.5
    seed: int = 2026
    train_visits: int = 2
    test_visits: tuple[int, int] = (4, 7)
    keep_density: bool = False
    n_series: int = 160

    def __post_init__(self) -> None:
        for split in (*SPLITS, SERIES):
            in_range(f"data.phantom.n_{split}", getattr(self, f"n_{split}"), 0, 9999)
        in_range("data.phantom.dmg_share", self.dmg_share, 0.0, 1.0)
        in_range("data.phantom.voxel_mm", self.voxel_mm, 1.0, 4.0,
                 remedy="The box is 192 x 192 x 156 mm; 1.5 mm is the default.")
        in_range("data.phantom.train_visits", self.train_visits, 1, 100)
        if len(self.test_visits) != 2:
            raise ValueError(
                f"data.phantom.test_visits={list(self.test_visits)}: must be [fewest, most]."
            )
        low, high = self.test_visits
        in_range("data.phantom.test_visits", low, 1, high, remedy="Give [fewest, most].")

    def patients(self, split: str | None = None) -> list[PatientKey]:
        """All patients of a split, or of train, val and test, in order of number.

        Raises:
            ValueError: an unknown split (`series` is also allowed).
        """
        if split is not None:
            one_of("phantom.split", split, (*SPLITS, SERIES))
        keys = []
        for name in SPLITS if split is None else (split,):
            for i in range(getattr(self, f"n_{name}")):
                dmg = int((i + 1) * self.dmg_share + 1e-9) > int(i * self.dmg_share + 1e-9)
                keys.append(PatientKey("DMG" if dmg else "GLI", _FIRST_NUMBER[name] + i, name))
        return keys


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


@dataclass(frozen=True)
class TumourParameters:
    """Biology of one tumour. Times in days, lengths in mm.

    growth_rate, survival_fraction, decay_rate, delay and slope are those of the growth model
    `ode`; they act locally, on cell density, with the spatial spread given here.
    """

    volume_cm3: float  # visible volume (whole tumour) at the first visit
    growth_rate: float  # 1/day
    diffusivity: float  # mm^2/day in white matter
    anisotropy: float  # 0 isotropic .. 1 along tracts only
    heterogeneity: float  # log-spread of proliferation and diffusivity in space
    n_satellites: int  # number of further seeds
    satellite_mm: float  # their typical distance from the first
    late_foci_per_year: float  # new foci after the first visit
    swelling: float  # divergence of the mass-effect displacement in the core
    necrosis: float  # 0 solid .. 1 thin rim
    enhancement: float  # 0 none .. 1 full rim
    oedema_reach: float  # decades of density below the core down to which oedema is visible
    oedema_drift: float  # decades by which this limit varies in space and time
    survival_fraction: float
    decay_rate: float  # 1/day
    delay: float  # days
    slope: float  # 1/day

    @classmethod
    def draw(cls, kind: str, rng: np.random.Generator) -> TumourParameters:
        """Adult: large necrotic rim-enhancing; DMG: diffuse, pontine, rarely enhancing."""
        dmg = kind == "DMG"
        return cls(
            volume_cm3=_log_uniform(rng, 4, 16) if dmg else _log_uniform(rng, 5, 55),
            growth_rate=_log_uniform(rng, 0.005, 0.022),
            diffusivity=_log_uniform(rng, 0.04, 0.20),
            anisotropy=float(rng.uniform(0.4, 0.8)),
            heterogeneity=float(rng.uniform(0.15, 0.45)),
            n_satellites=int(rng.poisson(0.8 if dmg else 1.6)),
            satellite_mm=float(rng.uniform(5, 9)) if dmg else float(rng.uniform(10, 22)),
            late_foci_per_year=float(rng.gamma(2.0, 0.3)),
            swelling=float(rng.uniform(0.9, 1.5)) if dmg else float(rng.uniform(0.6, 1.6)),
            necrosis=float(rng.uniform(0.0, 0.4)) if dmg else float(rng.beta(2.5, 1.5)),
            enhancement=float(rng.choice([0.0, 0.0, 0.35])) if dmg
            else float(rng.choice([0.15, 0.8, 1.0, 1.0], p=[0.12, 0.2, 0.34, 0.34])),
            oedema_reach=float(rng.uniform(0.5, 1.0)) if dmg else float(rng.uniform(0.6, 1.7)),
            oedema_drift=float(rng.uniform(0.2, 0.5)),
            survival_fraction=float(np.clip(rng.lognormal(np.log(0.08), 0.6), 0.01, 0.35)),
            decay_rate=_log_uniform(rng, 0.008, 0.030),
            delay=float(rng.uniform(5, 30)),
            slope=_log_uniform(rng, 0.05, 0.5),
        )


@dataclass(frozen=True)
class Course:
    """Visit days since the first visit and one course of radiotherapy, or None."""

    days: tuple[int, ...]
    rt_start_day: int | None
    rt_end_day: int | None = None
    dose_gy: float | None = None
    fractions: int | None = None

    @classmethod
    def draw(cls, kind: str, visits: int, rng: np.random.Generator) -> Course:
        """Random visits at intervals of 30 to 140 days, before, during or after radiotherapy."""
        gaps = rng.integers(30, 141, size=visits - 1)
        days = (0, *(int(d) for d in np.cumsum(gaps)))
        start: int | None = int(rng.integers(10, 61))
        if visits <= 3 and rng.random() < 0.5:
            start = None  # half of the patients with two or three visits have no radiotherapy
        if start is None:
            return cls(days, None)
        dose, fractions = (54.0, 30) if kind == "DMG" else (60.0, 30)
        return cls(days, start, start + 42, dose, fractions)
