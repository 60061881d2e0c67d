"""The last visit of a patient, the start of a forecast: its scan, or its mask on a template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mechlearn.checks import in_range
from mechlearn.data.aligned_volumes import read_aligned
from mechlearn.data.labels import whole_tumour
from mechlearn.data.model_grid import canonical_affine
from mechlearn.data.patients import record_of
from mechlearn.data.template_tissue import TemplateTissue, inside_template, template_tissue
from mechlearn.data.volumes import SourceVisit, read_labels, read_visit
from mechlearn.extras import missing_extra
from mechlearn.metrics.distance import dice
from mechlearn.records import Patient
from mechlearn.spatial.volume_arrival import FrontSpec

__all__ = ["TEMPLATE", "LastVisit", "last_visit"]

NO_MAP = "{}. There is no growth map: give the images and segmentation of the last visit for one."
TEMPLATE = "template"  # contrast name of the image that replaces a scan
SAME_BRAIN = 0.8  # least Dice with the template; 16 brains of BraTS have .87 to .96
BRIGHTNESS = {"white": 1.0, "grey": 0.7, "csf": 0.2}  # of this image, as in a T1


@dataclass(frozen=True, eq=False)
class LastVisit:
    """The data of the last visit.

    Attributes:
        scan: images, labels and brain; without images the template or the brain mask is the image;
            None where only sizes are known, or the brain is unknown.
        contrasts: names of the images of `scan`.
        speed: (Z, H, W), relative speed of the front; None where it is computed from the images.
        warnings: sentences for the reader.
    """

    scan: SourceVisit | None = None
    contrasts: tuple[str, ...] = ()
    speed: np.ndarray | None = None
    warnings: tuple[str, ...] = ()

    @property
    def images(self) -> dict[str, np.ndarray]:
        """Contrast -> image; without the template."""
        volumes = () if self.scan is None else self.scan.volumes
        pairs = zip(self.contrasts, volumes, strict=True)
        return {name: image for name, image in pairs if name != TEMPLATE}


def last_visit(patient: Patient) -> LastVisit:
    """Read the last visit of a patient.

    Raises:
        ValueError: files that do not match, a segmentation without a tumour.
    """
    visit = patient.visits[-1]
    if visit.seg is None:
        return LastVisit(warnings=(NO_MAP.format("Only sizes are known of the last visit"),))
    record = record_of(patient, visit)
    if visit.images:
        contrasts = tuple(visit.images)
        scan = read_visit(record, contrasts)
        _check_tumour(patient, scan.labels)
        return LastVisit(scan, contrasts)
    labels, affine = read_labels(record)
    _check_tumour(patient, labels)
    brain = None
    if visit.brain_mask is not None:
        read = read_aligned({"seg": visit.seg, "brain_mask": visit.brain_mask})
        brain = read.volumes["brain_mask"] > 0
    return _on_template(labels, affine, brain)


def _on_template(
    labels: np.ndarray, affine: np.ndarray, brain: np.ndarray | None
) -> LastVisit:
    """A mask with the template's tissue, or with its brain mask where it is not in MNI space."""
    try:
        tissue = template_tissue(labels.shape, canonical_affine(affine, labels.shape))
        share = inside_template(whole_tumour(labels), tissue)
        if brain is not None:
            same = dice(brain, tissue.brain) or 0.0
            in_range("Dice of brain_mask and the template's brain", same, SAME_BRAIN, 1.0)
    except (ValueError, ModuleNotFoundError) as error:
        if brain is None:
            why = str(error) if isinstance(error, ValueError) else missing_extra(error)
            words = f"The last visit has no images; {why}".rstrip(".")
            return LastVisit(warnings=(NO_MAP.format(words),))
        scan = SourceVisit(brain[None].astype(np.float32), labels, brain, affine)
        words = ("The last visit has no images, and the template does not match: the tumour grows "
                 "with one speed in the whole brain mask. Give images, which show the tissue.")
        return LastVisit(scan, (TEMPLATE,), None, (words,))
    spec = FrontSpec()
    held = tissue.brain if brain is None else brain
    speed = np.where(tissue.brain, tissue.speed(grey=spec.grey, csf=spec.csf), spec.grey)
    words = (
        f"The last visit has no images: the map uses the tissue of the MNI152 template, and "
        f"{share:.0%} of the tumour lies in its brain. Ventricles and gyri of this patient may "
        "differ. If the file is not registered to MNI152 or SRI24, the map is wrong: give images."
    )
    scan = SourceVisit(_picture(tissue)[None], labels, held, affine)
    return LastVisit(scan, (TEMPLATE,), np.where(held, speed, 0.0), (words,))


def _picture(tissue: TemplateTissue) -> np.ndarray:
    shown = sum(weight * getattr(tissue, name) for name, weight in BRIGHTNESS.items())
    return np.asarray(shown, np.float32)


def _check_tumour(patient: Patient, labels: np.ndarray) -> None:
    visit = patient.visits[-1]
    if not whole_tumour(labels).any():
        raise ValueError(
            f"patient {patient.name}: visit {visit.session} has no tumour (the only labels in "
            f"{visit.seg} are 0 and the cavity), so there is no growth map. Forecast from a visit "
            "with a tumour, or forecast only the size."
        )
