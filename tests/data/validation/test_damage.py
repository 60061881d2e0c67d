"""Damaged cases: the doctor names each in one run, and knows all that prepare refuses."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.folders import BAD_CASE
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.preparation import prepare, prepare_visit
from mechlearn.data.store import SliceStore
from mechlearn.data.store_spec import PrepareSpec, SplitSpec
from mechlearn.data.validation.examine import examine
from mechlearn.data.validation.patient_rules import examine_patient

NO_SPLITS = SplitSpec(val=0, test=0)


@dataclass(frozen=True)
class Damage:
    """What is done to a visit, the check that names it, and whether prepare sees it as well."""

    name: str
    check: str
    do: Callable[[VisitRecord], VisitRecord | None]
    file: str = "t2w"
    prepare_sees: bool = True


def edited(key: str, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]):
    def do(record: VisitRecord) -> None:
        path = record.files()[key]
        image = nib.load(path)
        data, affine = change(np.asarray(image.dataobj), image.affine.copy())
        nib.save(nib.Nifti1Image(data, affine), path)

    return do


def written(key: str, change: Callable[[bytes], bytes]):
    def do(record: VisitRecord) -> None:
        path = record.files()[key]
        path.write_bytes(change(path.read_bytes()))

    return do


def poisoned(value: float):
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data = data.astype(np.float32)
        data[tuple(n // 2 for n in data.shape)] = value
        return data, affine

    return change


def header_mirrored(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    affine[1, 3] += affine[1, 1] * (data.shape[1] - 1)
    affine[1, 1] *= -1
    return data, affine


def moved(mm: float):
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine[2, 3] += mm
        return data, affine

    return change


def of(change: Callable[[np.ndarray], np.ndarray]):
    return lambda data, affine: (change(data), affine)


def without(record: VisitRecord) -> VisitRecord:
    return replace(record, images={c: p for c, p in record.images.items() if c != "t2w"})


def copied(record: VisitRecord) -> None:
    record.images["t2w"].write_bytes(record.images["t1n"].read_bytes())


def flat_affine(record: VisitRecord) -> None:
    path = record.images["t2w"]
    image = nib.load(path)
    header = image.header.copy()
    header["srow_z"] = 0
    header["sform_code"], header["qform_code"] = 1, 0
    raw = bytearray(nib.Nifti1Image(np.asarray(image.dataobj), None, header).to_bytes())
    raw[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(raw)))


DAMAGES = [
    Damage("truncated gzip", "truncated or broken file",
           written("t2w", lambda b: b[: len(b) // 2])),
    Damage("truncated tail", "truncated or broken file", written("t2w", lambda b: b[:-6]),
           prepare_sees=False),
    Damage("broken within", "truncated or broken file",
           written("t2w", lambda b: b[: len(b) // 2] + b"\0" * 9 + b[len(b) // 2 + 9 :])),
    Damage("header only", "truncated or broken file",
           lambda r: r.images["t2w"].write_bytes(gz(r.images["t2w"], 352)) and None),
    Damage("missing file", "missing file", lambda r: r.images["t2w"].unlink()),
    Damage("empty file", "truncated or broken file", written("t2w", lambda b: b"")),
    Damage("not NIfTI", "not NIfTI", written("t2w", lambda b: b"no image" * 100)),
    Damage("4D", "not one 3D volume",
           edited("t2w", of(lambda d: np.stack([d, d], -1)))),
    Damage("one slice", "not one 3D volume", edited("t2w", of(lambda d: d[..., 0]))),
    Damage("NaN", "NaN or infinite", edited("t2w", poisoned(np.nan))),
    Damage("infinite", "NaN or infinite", edited("t2w", poisoned(np.inf))),
    Damage("NaN in labels", "NaN or infinite", edited("seg", poisoned(np.nan)), file="seg"),
    Damage("all zero", "constant image", edited("t2w", of(np.zeros_like))),
    Damage("constant brain", "constant contrast",
           edited("t2w", of(lambda d: (d > 0).astype(np.int16)))),
    Damage("missing contrast", "missing contrast", without, file=""),
    Damage("copied contrast", "one image as two contrasts", copied, prepare_sees=False),
    Damage("wrong shape", "files on different grids", edited("t2w", of(lambda d: d[:-1]))),
    Damage("flipped affine", "files on different grids", edited("t2w", header_mirrored)),
    Damage("shifted affine", "files on different grids", edited("seg", moved(4.0)), file="seg"),
    Damage("flat affine", "unusable header", flat_affine),
    Damage("unknown label", "unknown labels",
           edited("seg", of(lambda d: np.where(d == 2, 9, d))), file="seg"),
    Damage("label of another scheme", "unknown labels",
           edited("seg", of(lambda d: np.where(d == 2, 4, d))), file="seg"),
    Damage("interpolated labels", "labels that are no integers",
           edited("seg", of(lambda d: d * np.float32(0.7))), file="seg"),
    Damage("shifted segmentation", "tumour outside the brain",
           edited("seg", of(lambda d: np.roll(d, 20, 0))), file="seg"),
    Damage("empty segmentation", "empty segmentation", edited("seg", of(np.zeros_like)),
           file="seg", prepare_sees=False),
    Damage("negative labels", "unknown labels",
           edited("seg", of(lambda d: -d.astype(np.int16))), file="seg"),
]  # fmt: skip
WARNINGS = {"empty segmentation"}
PARAMS = [pytest.param(d, id=d.name.replace(" ", "-")) for d in DAMAGES]


def gz(path, n: int) -> bytes:
    return gzip.compress(gzip.decompress(path.read_bytes())[:n])


@pytest.fixture
def damaged(visit_of) -> Callable[[Damage], VisitRecord]:
    def make(damage: Damage, patient: str = "P1") -> VisitRecord:
        record = visit_of(patient=patient)
        return damage.do(record) or record

    return make


def prepare_refuses(record: VisitRecord, spec: PrepareSpec, folder) -> bool:
    try:
        prepare([record], folder, spec=spec, splits=NO_SPLITS)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("damage", PARAMS)
def test_damage_is_named_with_visit_and_file(damaged, damage, spec):
    record = damaged(damage)
    findings = examine([record], spec, splits=NO_SPLITS).findings
    (found,) = [f for f in findings if f.check == damage.check]
    assert (found.patient, found.session) == ("P1", "s0")
    assert found.file == (str(record.files()[damage.file]) if damage.file else "")
    assert found.severity == ("warning" if damage.name in WARNINGS else "error")
    assert found.found
    assert found.rule
    assert found.remedy


@pytest.mark.parametrize("damage", PARAMS)
def test_what_prepare_refuses_is_an_error(damaged, damage, spec, tmp_path):
    record = damaged(damage)
    refused = prepare_refuses(record, spec, tmp_path / "store")
    assert refused == damage.prepare_sees
    passed = examine([record], spec, splits=NO_SPLITS).passed
    assert not (refused and passed)


@pytest.mark.parametrize(
    "change",
    [{}, {"min_brain_mm2": 5000.0}, {"size": 16}, {"contrasts": ("t1n", "t2f")},
     {"percentiles": (0.0, 100.0)}],
)  # fmt: skip
def test_doctor_and_prepare_agree_on_a_whole_visit(visit_of, spec, change, tmp_path):
    asked, record = replace(spec, **change), visit_of()
    refused = prepare_refuses(record, asked, tmp_path / "store")
    assert examine([record], asked, splits=NO_SPLITS).passed == (not refused)


def test_what_the_doctor_cannot_explain_is_prepares_own_message(visit_of, spec):
    report = examine([visit_of()], replace(spec, min_brain_mm2=5000.0), splits=NO_SPLITS)
    (found,) = [f for f in report.findings if f.severity == "error"]
    assert found.check == "refused by prepare"
    assert found.found.startswith("no slice has 5000 mm2 of brain")


def test_all_findings_come_in_one_run(damaged, spec, case_of, visit_of):
    records = [damaged(d, f"P{i:02d}") for i, d in enumerate(DAMAGES)]
    records.append(visit_of(case_of(1, radius=4.0), patient="P99"))
    findings = examine(records, spec, splits=NO_SPLITS).findings
    named = {(f.patient, f.check) for f in findings}
    assert named >= {(f"P{i:02d}", d.check) for i, d in enumerate(DAMAGES)}
    assert not [f for f in findings if f.patient == "P99" and f.severity == "error"]


def test_two_damages_of_a_visit_are_both_found(visit_of, spec):
    record = visit_of()
    record.images["t1n"].write_bytes(b"no image")
    edited("seg", of(lambda d: np.where(d == 2, 9, d)))(record)
    report = examine([record], spec, splits=NO_SPLITS)
    assert {"not NIfTI", "unknown labels"} <= {f.check for f in report.findings}


def test_workers_find_what_one_process_finds(damaged, spec):
    records = [damaged(d, f"P{i:02d}") for i, d in enumerate(DAMAGES[:6])]
    one, two = (examine(records, spec, workers=n, splits=NO_SPLITS) for n in (1, 2))
    assert one == two


def test_doctor_writes_nothing(visit_of, spec, tmp_path):
    record = visit_of()
    before = sorted(p for p in tmp_path.rglob("*"))
    examine([record], spec, store=tmp_path / "store")
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_missing_contrasts_may_be_filled(visit_of, spec):
    record = without(visit_of())
    assert examine([record], replace(spec, missing="fill"), splits=NO_SPLITS).passed


def test_truncation_says_how_much_is_there(damaged, spec):
    report = examine([damaged(DAMAGES[3])], spec, splits=NO_SPLITS)
    assert "352 bytes of 29,152 bytes" in report.findings[0].found


def test_random_damage_never_stops_the_doctor_nor_slips_past_it(visit_of, spec):
    """Bytes of a file or of its header at random: what prepare refuses the doctor refuses."""
    record = visit_of()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        path = record.files()[str(rng.choice(list(record.files())))]
        whole = path.read_bytes()
        inside = bytearray(gzip.decompress(whole) if seed % 2 else whole)
        for at in rng.integers(348 if seed % 2 else len(inside), size=3):
            inside[at] = rng.integers(256)
        path.write_bytes(gzip.compress(bytes(inside), 1) if seed % 2 else bytes(inside))
        (examined,) = examine_patient([record], spec)
        try:
            prepare_visit(record, spec)
        except BAD_CASE:
            assert any(f.severity == "error" for f in examined.findings), seed
        path.write_bytes(whole)


def test_no_visit_is_an_error():
    assert not examine([]).passed


def test_an_existing_store_of_another_spec_is_an_error(store: SliceStore, visit_of, spec):
    report = examine([visit_of()], replace(spec, size=64), store=store.root, splits=NO_SPLITS)
    (found,) = [f for f in report.findings if f.check == "store of another spec"]
    assert "size: 48 stored, 64 asked" in found.found


def test_a_folder_that_is_no_store_is_an_error(visit_of, spec, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    report = examine([visit_of()], spec, store=tmp_path / "thesis", splits=NO_SPLITS)
    assert not report.passed


def test_visit_without_any_contrast_asked_for_is_named(visit_of, spec):
    record = visit_of()
    record = replace(record, images={"t2f": record.images["t2f"]})
    report = examine([record], replace(spec, contrasts=("t1c",)))
    assert [f.check for f in report.findings if f.severity == "error"] == ["missing contrast"]
