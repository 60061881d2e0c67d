"""The public interface: plain functions and results, without Hydra.

    import mechlearn as ml
    patient = ml.Patient.from_csv("visits.csv", "P01")
    result = ml.forecast(patient, day=120)
    result.size.interval(0.95)
    result.growth_map.to_nifti("growth.nii.gz")
    result.report("forecast.html")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mechlearn import records
from mechlearn.checks import one_of
from mechlearn.data import patients
from mechlearn.data.dicom import convert_patient
from mechlearn.data.patients_table import known_patient
from mechlearn.evaluation.forecast_day import days_of
from mechlearn.evaluation.volume_forecast import (
    VolumeForecast,
    forecast_volume,
    tumour_on,
    volume_series,
)
from mechlearn.extras import explained
from mechlearn.growth.learned_forecast import forecast_size
from mechlearn.records import Visit
from mechlearn.results import Forecast, GrowthMap

if TYPE_CHECKING:
    from mechlearn.diffusion.sampler_spec import SamplerSpec
    from mechlearn.evaluation.model_pair import ModelBundle

__all__ = ["Forecast", "GrowthMap", "Patient", "forecast", "load_pretrained", "score"]


@dataclass(frozen=True)
class Patient(records.Patient):
    """A patient's visits, treatments and covariates, read from files.

    Example:
        >>> visit = Visit("a", 0.0, volumes_mm3={"whole": 9100.0})
        >>> Patient.from_visits("P01", [visit]).before(30).visits[0].session
        'a'
    """

    @classmethod
    def _of(cls, patient: records.Patient) -> Patient:
        return cls(**{f.name: getattr(patient, f.name) for f in fields(records.Patient)})

    @classmethod
    def from_csv(
        cls, path: str | Path, name: str | None = None, *,
        patients_table: str | Path | None = None, nifti: str | Path | None = None,
    ) -> Patient:  # fmt: skip
        """Read a patient of a manifest (one row a visit, paths to files) or a table of volumes.

        Args:
            path: CSV file; its columns are in docs/own-data.md.
            name: name of the patient; None if the file has only one.
            patients_table: CSV of covariates and treatments, one row a patient; the size forecast
                uses them.
            nifti: output folder for NIfTI files of DICOM series named in the table.

        Raises:
            FileNotFoundError: no such file.
            ValueError: an invalid row, several patients without a name, an unknown name; as
                `data.dicom.convert_patient`.
        """
        found = patients.one_of_patients(patients.patients_of_table(path), name, str(path))
        found = known_patient(found, patients_table)
        return cls._of(found if nifti is None else convert_patient(found, Path(nifti)).patient)

    @classmethod
    def from_bids(
        cls, root: str | Path, name: str | None = None, *, label_scheme: str, **options: Any
    ) -> Patient:
        """Read a patient of a BIDS folder with segmentations; see `data.adapters.bids.find_bids`.

        Args:
            root: BIDS folder, images co-registered between sessions.
            name: subject, with or without `sub-`; None if there is only one.
            label_scheme: scheme of the segmentation's labels.
            options: `seg`, `masks` and `space` of `find_bids`.

        Raises:
            FileNotFoundError, ValueError: as `find_bids`.
        """
        from mechlearn.data.adapters.bids import find_bids

        listed = find_bids([Path(root)], label_scheme=label_scheme, **options)
        found = patients.patients_of_records(listed, where=str(root))
        if name is not None and not name.startswith("sub-"):
            name = f"sub-{name}"
        return cls._of(patients.one_of_patients(found, name, str(root)))

    @classmethod
    def from_folder(
        cls, folder: str | Path, name: str | None = None, *, label_scheme: str | None = None,
        nifti: str | Path | None = None,
    ) -> Patient:  # fmt: skip
        """Read one visit from a folder with its contrasts and segmentation, as day 0.

        Args:
            folder: NIfTI files with the names of BraTS, UCSF, UPENN or LUMIERE.
            name: name of the patient; None for the folder's name.
            label_scheme: None to recognize it from the labels; see `data.patients`.
            nifti: output folder for NIfTI files, if `folder` has DICOM series.

        Raises:
            FileNotFoundError, ValueError: as `data.patients.patient_of_folder`.
        """
        made = patients.patient_of_folder(
            folder, name, label_scheme=label_scheme, nifti=None if nifti is None else Path(nifti)
        )
        return cls._of(made.patient)

    @classmethod
    def from_visits(cls, name: str, visits: Sequence[Visit], **known: Any) -> Patient:
        """A patient from Python objects; `known`: radiotherapy, treatments, covariates."""
        return cls(name, tuple(visits), **known)


@overload
def forecast(
    patient: records.Patient | str | Path, day: float | str, *, name: str | None = None,
    prior: str | Path | None = "auto", where: str = "auto",
) -> Forecast: ...
@overload
def forecast(
    patient: records.Patient | str | Path, day: list[Any] | tuple[Any, ...], *,
    name: str | None = None, prior: str | Path | None = "auto", where: str = "auto",
) -> list[Forecast]: ...
def forecast(
    patient: records.Patient | str | Path,
    day: float | str | list[Any] | tuple[Any, ...],
    *,
    name: str | None = None,
    prior: str | Path | None = "auto",
    where: str = "auto",
) -> Forecast | list[Forecast]:
    """Forecast how much and where a patient's tumour will grow.

    Args:
        patient: a patient, or the CSV of one.
        day: days since the first visit, "+60" for 60 days after the last visit, or a date such as
            "2026-05-01" if the visits have dates. Several days give a list of forecasts by day,
            all from the visits before the earliest day.
        name: name of a patient of the CSV.
        prior: population prior; "auto" is the packaged prior of real gliomas, otherwise a path.
        where: method of the arrival map; "auto" is the default of `spatial.volume_arrival`.

    Raises:
        FileNotFoundError: no such CSV.
        ValueError: invalid input; the message names the problem and the remedy.

    Example:
        >>> visits = [Visit("a", 0.0, volumes_mm3={"whole": 9100.0}),
        ...           Visit("b", 61.0, volumes_mm3={"whole": 12400.0})]
        >>> result = forecast(Patient.from_visits("P01", visits), day="+60")
        >>> low, high = result.size.interval(0.95)
        >>> low < result.size.median < high
        True
    """
    if not isinstance(patient, records.Patient):
        patient = Patient.from_csv(patient, name)
    several = isinstance(day, list | tuple)
    asked = days_of(day if isinstance(day, list | tuple) else [day], patient)
    made = forecast_volume(patient, asked[0], prior=prior, where=where)
    found = [_with_truth(made, patient)]
    for later in asked[1:]:
        found.append(_with_truth(made.on(forecast_size(made.series, later, prior=prior)), patient))
    return found if several else found[0]


def _with_truth(made: VolumeForecast, patient: records.Patient) -> Forecast:
    """The forecast with the held-out visit on its day, if there is one."""
    there = tuple(v for v in patient.visits if v.day == made.day)
    if not there or (there[0].seg is None and not there[0].volumes_mm3):
        return Forecast(made)
    held_out = replace(patient, visits=there)
    return Forecast(made, volume_series(held_out).visits[0], tumour_on(made, held_out))


def score(pred: str | Path, *, truth: str | Path, last: str | Path, **options: Any) -> Any:
    """Score the NIfTI growth map or mask of any model beside baselines.

    Args:
        pred: probability map or mask.
        truth: segmentation of the later visit.
        last: segmentation of the last visit before the forecast.
        options: keyword arguments of `evaluation.scoring.score`.

    Raises:
        FileNotFoundError, ValueError: as `evaluation.scoring.score`.
    """
    from mechlearn.evaluation.scoring import score as run

    return run(pred, truth=truth, last=last, **options)


def load_pretrained(
    denoiser: str | Path = "demo", guide: str | Path = "demo", *,
    sampler: SamplerSpec | str = "paper", device: str = "cpu",
) -> ModelBundle:
    """Load a denoiser and a guide, and build the sampler.

    Args:
        denoiser, guide: checkpoint, exported folder, `hf://owner/name`, or `demo` for the packaged
            weights.
        sampler: `diffusion.sampler_spec.SamplerSpec`, or a name of `evaluation.presets.SAMPLERS`.
        device: torch device.

    Raises:
        ValueError: no preset of that name; incompatible checkpoints, or checkpoints that
            mechlearn did not write.
        ImportError: the extra `mechlearn[diffusion]` is not installed.
    """
    from mechlearn.evaluation.presets import SAMPLERS

    if isinstance(sampler, str):
        sampler = SAMPLERS[one_of("sampler", sampler, tuple(SAMPLERS))]
    with explained():
        from mechlearn.evaluation.model_pair import load_models

    return load_models(denoiser, guide, spec=sampler, device=device)
