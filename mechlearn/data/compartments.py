"""Compartments of one tumour, whose sizes are measured side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mechlearn.records import SizeSeries

__all__ = ["COMPARTMENT_OF", "with_companions"]

# What a slice of a table of volumes may be called, and the compartment that it is.
COMPARTMENT_OF: Mapping[str, str] = {
    "whole": "whole", "total": "whole", "flair": "flair", "enhancing": "enhancing", "core": "core",
}  # fmt: skip


def with_companions(
    series: Sequence[SizeSeries], others: Sequence[SizeSeries]
) -> tuple[SizeSeries, ...]:
    """The series with the readings of another compartment of the same patient beside them."""
    by_patient: dict[str, dict[str, SizeSeries]] = {}
    for other in others:
        by_patient.setdefault(other.patient, {})[other.compartment] = other
    return tuple(
        dataclasses.replace(s, companions={
            **s.companions,
            **{name: other.visits for name, other in by_patient.get(s.patient, {}).items()
               if name != s.compartment},
        })
        for s in series
    )  # fmt: skip
