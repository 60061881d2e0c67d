"""Phantom cohort: tumours grown in silico on real (MNI152) anatomy, in BraTS layout."""

from __future__ import annotations

from mechlearn.phantom.cohort_files import write_cohort
from mechlearn.phantom.phantom_spec import PhantomSpec

__all__ = ["PhantomSpec", "write_cohort"]
