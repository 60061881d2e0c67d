"""Data classes that all packages share: frozen, validated, without I/O.

Days count from the patient's first visit. Areas are in mm2, volumes in mm3. A tumour fraction is
tumour area over brain area of one axial slice.
"""

from mechlearn.records.images import (
    CONTRASTS,
    AxialSlice,
    Generation,
    GuidanceTarget,
    Surroundings,
)
from mechlearn.records.longitudinal_slice import LongitudinalSlice
from mechlearn.records.maps import ArrivalMap, GrowthMap, PlaceSpread
from mechlearn.records.patient import TREATMENTS, Patient, Radiotherapy, Treatment, Visit
from mechlearn.records.sizes import (
    COMPARTMENTS,
    UNITS,
    Counterfactual,
    SizeForecast,
    SizeReading,
    SizeSeries,
)

__all__ = [
    "COMPARTMENTS",
    "CONTRASTS",
    "TREATMENTS",
    "UNITS",
    "ArrivalMap",
    "AxialSlice",
    "Counterfactual",
    "Generation",
    "GrowthMap",
    "GuidanceTarget",
    "LongitudinalSlice",
    "Patient",
    "PlaceSpread",
    "Radiotherapy",
    "SizeForecast",
    "SizeReading",
    "SizeSeries",
    "Surroundings",
    "Treatment",
    "Visit",
]
