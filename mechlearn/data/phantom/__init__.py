"""Phantom cohort: tumours grown in silico on real (MNI152) anatomy, in BraTS layout."""

from __future__ import annotations

from mechlearn.data.phantom.cohort import write_cohort
from mechlearn.data.phantom.spec import PhantomSpec

__all__ = ["PhantomSpec", "write_cohort"]
