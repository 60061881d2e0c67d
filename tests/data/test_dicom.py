"""DICOM in and out: what dcm2niix and highdicom make lies where the DICOM lies."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import mechlearn as ml
from mechlearn.data.dicom import convert_folder, convert_patient, convert_series
from mechlearn.data.dicom_seg import write_contours
from mechlearn.data.model_grid import reorient
from mechlearn.data.patients import patients_of_table

pydicom = pytest.importorskip("pydicom")
hd = pytest.importorskip("highdicom")
pytest.importorskip("dcm2niix")
SHAPE = (24, 20, 12)
SPACING = (1.0, 1.0, 5.0)
TURN = 0.2
NAMES = {"t1n": "T1 MPRAGE", "t1c": "T1 MPRAGE post Gd", "t2w": "T2 TSE", "t2f": "T2 FLAIR tra"}
MR = "1.2.840.10008.5.1.4.1.1.4"


def oblique() -> np.ndarray:
    """Sagittal slices, 1 x 1 x 5 mm, turned about the vertical axis; RAS."""
    c, s = np.cos(TURN), np.sin(TURN)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[s, 0, c], [-c, 0, s], [0, -1, 0]]) * SPACING
    affine[:3, 3] = (-30, 14, 9)
    return affine


def write_series(folder: Path, volume: np.ndarray, affine: np.ndarray, description: str,
                 frame: str) -> Path:  # fmt: skip
    """One MR series; the first axis runs along rows, the third over slices."""
    folder.mkdir(parents=True)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    series = pydicom.uid.generate_uid()
    study = pydicom.uid.generate_uid(entropy_srcs=[frame])
    for k in range(volume.shape[2]):
        d = pydicom.Dataset()
        d.SOPClassUID, d.SOPInstanceUID = MR, pydicom.uid.generate_uid()
        d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "P^01", "P01", "", ""
        d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = study, series, frame
        d.StudyID, d.StudyDate, d.StudyTime, d.AccessionNumber = "1", "20260101", "120000", ""
        d.ReferringPhysicianName, d.Manufacturer, d.Modality = "", "test", "MR"
        d.SeriesNumber, d.InstanceNumber, d.SeriesDescription = list(NAMES.values()).index(
            description) + 1, k + 1, description  # fmt: skip
        d.ProtocolName, d.ImageType = description, ["ORIGINAL", "PRIMARY"]
        d.ImagePositionPatient = [f"{v:.6f}" for v in (lps @ [0, 0, k, 1])[:3]]
        d.ImageOrientationPatient = [f"{v:.8f}" for v in
                                     (*(lps[:3, 0] / SPACING[0]), *(lps[:3, 1] / SPACING[1]))]
        d.PixelSpacing, d.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
        d.Rows, d.Columns = volume.shape[1], volume.shape[0]
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
        d.BitsAllocated, d.BitsStored, d.HighBit = 16, 16, 15
        d.PixelData = np.ascontiguousarray(volume[:, :, k].T, np.uint16).tobytes()
        d.file_meta = pydicom.dataset.FileMetaDataset()
        d.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        d.save_as(folder / f"{k:03}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four series with a skull-stripped block brain; its tumour is bright in one corner."""
    root = tmp_path_factory.mktemp("dicom") / "study"
    rng = np.random.default_rng(0)
    brain = np.zeros(SHAPE, bool)
    brain[3:-3, 3:-3, 2:-2] = True
    frame = pydicom.uid.generate_uid()
    for name in NAMES.values():
        volume = np.where(brain, rng.integers(200, 400, SHAPE), 0)
        volume[6:10, 5:9, 3:6] = 900
        write_series(root / name.replace(" ", "_"), volume, oblique(), name, frame)
    return root


def bright(image: nib.Nifti1Image, threshold: float = 800) -> np.ndarray:
    """World coordinates of the tumour's voxels, sorted."""
    voxels = np.argwhere(np.asarray(image.dataobj) > threshold)
    found = nib.affines.apply_affine(image.affine, voxels)
    return found[np.lexsort(np.round(found, 2).T)]


TRUE = np.array([(i, j, k) for i in range(6, 10) for j in range(5, 9) for k in range(3, 6)])


def truth() -> np.ndarray:
    found = nib.affines.apply_affine(oblique(), TRUE)
    return found[np.lexsort(np.round(found, 2).T)]


def with_seg(study: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(visits.csv with folders of DICOM as cells, segmentation)."""
    flair = study / "T2_FLAIR_tra"
    made = convert_patient(
        ml.Patient.from_visits("P", [ml.records.Visit("v", 0.0, {"t2f": flair})]), tmp_path / "a"
    )
    scan = nib.load(made.patient.visits[0].images["t2f"])
    labels = (np.asarray(scan.dataobj) > 800).astype(np.uint8) * 2
    seg = tmp_path / "seg.nii.gz"
    nib.save(nib.Nifti1Image(labels, scan.affine), seg)
    cells = ",".join(str(study / name.replace(" ", "_")) for name in NAMES.values())
    table = tmp_path / "visits.csv"
    table.write_text(f"patient,session,day,{','.join(NAMES)},seg,label_scheme\n"
                     f"P01,v1,0,{cells},{seg},brats2023\n")  # fmt: skip
    return table, seg


def test_world_coordinates_stay(study: Path, tmp_path: Path) -> None:
    table, _ = with_seg(study, tmp_path)
    done = convert_patient(patients_of_table(table)[0], tmp_path / "nifti")
    for contrast, path in done.patient.visits[0].images.items():
        np.testing.assert_allclose(bright(nib.load(path)), truth(), atol=1e-3)
        assert done.series[path].name == NAMES[contrast].replace(" ", "_")


def test_python_reads_the_same_table(study: Path, tmp_path: Path) -> None:
    table, _ = with_seg(study, tmp_path)
    patient = ml.Patient.from_csv(table, nifti=tmp_path / "nifti")
    for path in patient.visits[0].images.values():
        np.testing.assert_allclose(bright(nib.load(path)), truth(), atol=1e-3)
    with pytest.raises(ValueError, match=r"from_csv\(\.\.\., nifti="):
        ml.forecast(table, day=60)


def test_a_mask_in_another_axis_order_is_put_in_that_of_the_scan(
    study: Path, tmp_path: Path
) -> None:
    table, seg = with_seg(study, tmp_path)
    image = nib.load(seg)
    nib.save(image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), seg)
    visit = convert_patient(patients_of_table(table)[0], tmp_path / "nifti").patient.visits[0]
    assert visit.seg is not None
    np.testing.assert_allclose(nib.load(visit.seg).affine, image.affine, atol=1e-3)
    np.testing.assert_allclose(bright(nib.load(visit.seg), 0.5), truth(), atol=1e-3)


def test_contours_come_back_from_dicom(study: Path, tmp_path: Path) -> None:
    """A forecast from DICOM: masks as NIfTI, and the same ones as DICOM SEG."""
    table, _ = with_seg(study, tmp_path)
    done = convert_patient(patients_of_table(table)[0], tmp_path / "nifti")
    result = ml.forecast(done.patient, day=60)
    scan = result.details.scan
    assert scan is not None
    path = write_contours(result.growth_map.probability, scan.affine, study / "T2_FLAIR_tra",
                          tmp_path / "out.dcm", levels=(0.25, 0.5))  # fmt: skip
    segmentation = hd.seg.segread(path)
    assert segmentation.SeriesDescription == "mechlearn forecast, research only"
    paths = result.to_nifti(tmp_path / "out", levels=(0.25, 0.5))
    for number, level in ((1, 0.25), (2, 0.5)):
        volume = segmentation.get_volume(segment_numbers=[number], combine_segments=True)
        image = volume.astype(np.uint8).to_nibabel()
        mask = nib.load(next(p for p in paths if f"p{100 * level:.0f}" in p.name))
        assert np.asarray(mask.dataobj).any()
        np.testing.assert_allclose(bright(image, 0.5), bright(mask, 0.5), atol=1e-2)


def test_a_dicom_segmentation_gives_labels(study: Path, tmp_path: Path) -> None:
    """Also a folder of all series: contrasts by their descriptions."""
    _, seg = with_seg(study, tmp_path)
    image = nib.load(seg)
    labels = reorient(np.asarray(image.dataobj), image.affine)
    folder = tmp_path / "all"
    folder.symlink_to(study)
    write_contours(labels / 2.0, image.affine, study / "T2_FLAIR_tra", tmp_path / "s" / "seg.dcm",
                   levels=(0.5,))  # fmt: skip
    both = tmp_path / "both"
    both.mkdir()
    for source in (*study.iterdir(), tmp_path / "s"):
        (both / source.name).mkdir()
        for file in source.iterdir():
            (both / source.name / file.name).write_bytes(file.read_bytes())
    patient = ml.Patient.from_folder(both, nifti=tmp_path / "converted")
    assert {p.name for p in patient.visits[0].images.values()} == {f"{c}.nii.gz" for c in NAMES}
    back = nib.load(tmp_path / "converted" / "seg.nii.gz")
    np.testing.assert_allclose(bright(back, 0.5), truth(), atol=1e-2)


def test_a_contrast_that_is_not_there_is_named(study: Path, tmp_path: Path) -> None:
    partly = tmp_path / "partly"
    partly.mkdir()
    for source in study.iterdir():
        if "FLAIR" not in source.name:
            (partly / source.name).mkdir()
            for file in source.iterdir():
                (partly / source.name / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match="one series a contrast is needed, found for t2f: none"):
        convert_folder(partly, tmp_path / "out")


def test_a_cell_with_several_series_is_refused(study: Path, tmp_path: Path) -> None:
    visit = ml.records.Visit("v", 0.0, {"t2f": study})
    with pytest.raises(ValueError, match="holds 4 DICOM series or parts .*T2 FLAIR tra"):
        convert_patient(ml.Patient.from_visits("P", [visit]), tmp_path)


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    visit = ml.records.Visit("v", 0.0, {"t2f": tmp_path / "empty"})
    with pytest.raises(ValueError, match="dcm2niix found no image series"):
        convert_patient(ml.Patient.from_visits("P", [visit]), tmp_path / "out")


@pytest.fixture
def flair(study: Path, tmp_path: Path) -> Callable[..., Path]:
    """flair(change) -> a copy of the series; change(dataset, k) of each file, None: no file."""

    def made(change: Callable[[Any, int], Any], folder: Path = tmp_path / "series") -> Path:
        folder.mkdir(parents=True)
        for k, file in enumerate(sorted((study / "T2_FLAIR_tra").iterdir())):
            if (dataset := change(pydicom.dcmread(file), k)) is not None:
                dataset.save_as(folder / file.name)
        return folder

    return made


def set_to(**values: Any) -> Callable[[Any, int], Any]:
    """A change of attributes; a tuple has a value a file, None deletes."""

    def change(dataset: Any, k: int) -> Any:
        for name, value in values.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value[k] if isinstance(value, tuple) else value)
        return dataset

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda d, k: d.compress(pydicom.uid.RLELossless) or d,
        set_to(InstanceNumber=(5, 2, 9, 1, 12, 3, 7, 4, 11, 6, 8, 10)),
        set_to(InstanceNumber=1),
        set_to(RescaleSlope="1", RescaleIntercept="-3"),
    ],
    ids=["compressed", "numbers in another order", "numbers all equal", "rescaled"],
)
def test_slices_of_any_make_lie_where_the_dicom_lies(
    flair: Callable[..., Path], tmp_path: Path, change: Callable[[Any, int], Any]
) -> None:
    folder = flair(change)
    (folder / "README.txt").write_text("not DICOM")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(50))
    made = convert_series(folder, tmp_path / "made.nii.gz")
    np.testing.assert_allclose(bright(nib.load(made)), truth(), atol=1e-3)


def planes_of_a_localizer(dataset: Any, k: int) -> Any:
    dataset.ImageOrientationPatient = [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]][k % 2]
    return dataset


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d, k: None if k == 5 else d, "its slices are 5.0 to 10.0 mm apart"),
        (planes_of_a_localizer, "its slices are not parallel"),
        (set_to(Modality="CT"), "its modality is CT, not MR"),
        (set_to(ImagePositionPatient=None, ImageOrientationPatient=None), ".* no place"),
        (lambda d, k: d if k == 0 else None, "it has one slice"),
    ],
    ids=["missing slice", "localizer", "CT", "screen shot", "one slice"],
)
def test_what_is_no_mr_volume_is_refused(
    flair: Callable[..., Path], tmp_path: Path, change: Callable[[Any, int], Any], why: str
) -> None:
    with pytest.raises(ValueError, match=f"series (T2 FLAIR tra|4_.*): {why}"):
        convert_series(flair(change), tmp_path / "made.nii.gz")


def test_several_images_of_each_slice_are_refused(
    flair: Callable[..., Path], tmp_path: Path
) -> None:
    folder = flair(set_to(EchoTime=10))

    def second(dataset: Any, k: int) -> Any:
        dataset.EchoTime, dataset.EchoNumbers, dataset.InstanceNumber = 90, 2, 13 + k
        dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        return dataset

    flair(second, folder / "second")
    with pytest.raises(ValueError, match="2 images of each slice"):
        convert_series(folder, tmp_path / "made.nii.gz")


def test_a_damaged_file_is_named(flair: Callable[..., Path], tmp_path: Path) -> None:
    folder = flair(set_to())
    file = folder / "005.dcm"
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(ValueError, match=r"not large enough .*005\.dcm"):
        convert_series(folder, tmp_path / "made.nii.gz")


def test_contours_need_no_pixels_of_their_series(flair: Callable[..., Path], study: Path,
                                                 tmp_path: Path) -> None:  # fmt: skip
    """A folder of several series, compressed in a way that nothing here can decode."""

    def packed(dataset: Any, _: int) -> Any:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        dataset.PixelData = pydicom.encaps.encapsulate([b"unknown"])
        return dataset

    folder = tmp_path / "visit"
    flair(set_to(ImagePositionPatient=tuple([0, 0, 5 * k] for k in range(SHAPE[2])),
                 SeriesInstanceUID=pydicom.uid.generate_uid()), folder / "elsewhere")
    reference = flair(packed, folder / "flair")
    masks = np.zeros(SHAPE)
    masks[6:10, 5:9, 3:6] = 1.0
    path = write_contours(reorient(masks, oblique()), oblique(), folder, tmp_path / "out.dcm",
                          levels=(0.5,))  # fmt: skip
    made = hd.seg.segread(path)
    uid = pydicom.dcmread(reference / "000.dcm", stop_before_pixels=True).SeriesInstanceUID
    assert {s.SeriesInstanceUID for s in made.ReferencedSeriesSequence} == {uid}
    volume = made.get_volume(combine_segments=True).astype(np.uint8).to_nibabel()
    np.testing.assert_allclose(bright(volume, 0.5), truth(), atol=1e-2)


def test_a_multi_frame_scan_of_a_real_scanner(tmp_path: Path) -> None:
    """Philips' enhanced MR from nibabel's own tests, its pixels zero: grid in and contours out."""
    source = Path(nib.__file__).parent / "nicom/tests/data/philips_mprage.dcm.gz"
    if not source.is_file():
        pytest.skip("this nibabel came without the files of its tests")
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "scan.dcm").write_bytes(gzip.decompress(source.read_bytes()))
    scan = nib.load(convert_series(folder, tmp_path / "scan.nii.gz"))
    mask = np.zeros(scan.shape)
    mask[20:24, 100:103, 50:52] = 1.0
    path = write_contours(reorient(mask, scan.affine), scan.affine, folder, tmp_path / "out.dcm",
                          levels=(0.5,))  # fmt: skip
    made = hd.seg.segread(path).get_volume(combine_segments=True).astype(np.uint8).to_nibabel()
    expected = nib.Nifti1Image(mask.astype(np.uint8), scan.affine)
    np.testing.assert_allclose(bright(made, 0.5), bright(expected, 0.5), atol=1e-2)
