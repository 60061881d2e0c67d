from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mechlearn.data.adapters.bids import find_bids
from mechlearn.data.courses import courses

IMAGES = ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")
SCHEME = "brats2023"


@pytest.fixture
def subject(tmp_path: Path, files) -> Callable[..., Path]:
    def make(
        *sessions: str, images: tuple[str, ...] = IMAGES, derived: tuple[str, ...] = ("dseg",)
    ) -> Path:
        for session in sessions or ("01", "02"):
            below = Path("sub-X") / f"ses-{session}" / "anat"
            stem = f"sub-X_ses-{session}"
            files(tmp_path / below, *(f"{stem}_{i}.nii.gz" for i in images))
            files(
                tmp_path / "derivatives" / "tumour" / below,
                *(f"{stem}_{d}.nii.gz" for d in derived),
            )
        return tmp_path

    return make


def write_sessions(root: Path, *rows: str) -> None:
    (root / "sub-X" / "sub-X_sessions.tsv").write_text("\n".join(rows) + "\n")


def test_contrast_agent_tells_t1c_from_t1n(subject):
    record = find_bids(subject(), label_scheme=SCHEME)[0]
    assert {c: p.name.partition("ses-01_")[2] for c, p in record.images.items()} == {
        "t1n": "T1w.nii.gz", "t1c": "ce-gadolinium_T1w.nii.gz", "t2w": "T2w.nii.gz",
        "t2f": "FLAIR.nii.gz",
    }  # fmt: skip


def test_segmentation_is_found_below_derivatives(subject):
    record = find_bids(subject(), label_scheme=SCHEME)[0]
    assert record.seg.name == "sub-X_ses-01_dseg.nii.gz"
    assert "derivatives" in record.seg.parts


def test_meaning_of_labels_must_be_given(subject):
    with pytest.raises(ValueError, match="data.label_scheme=null: BIDS does not say"):
        find_bids(subject())


def test_dates_become_days_and_sort_the_sessions(subject):
    root = subject("a", "b")
    write_sessions(root, "session_id\tacq_time", "ses-a\t1925-03-02T09:30:00",
                   "ses-b\t1925-01-01T23:00:00")  # fmt: skip
    records = find_bids(root, label_scheme=SCHEME)
    assert [(r.session, r.day) for r in records] == [("ses-b", 0), ("ses-a", 60)]


def test_unreadable_date_is_refused_with_its_place(subject):
    root = subject("a")
    write_sessions(root, "session_id\tacq_time", "ses-a\t2.3.1925")
    with pytest.raises(
        ValueError, match=r"sub-X_sessions.tsv, row 2: acq_time='2.3.1925': must be"
    ):
        find_bids(root, label_scheme=SCHEME)


def test_sessions_without_a_table_have_no_day(subject):
    assert {r.day for r in find_bids(subject(), label_scheme=SCHEME)} == {None}


def test_two_courses_stand_on_two_rows(subject):
    root = subject("1", "2")
    write_sessions(root, "session_id\tday\trt_start_day\trt_end_day\tdose_gy\tfractions",
                   "ses-1\t5\t25\t67\t60\t30", "ses-2\t400\t420\t440\t30\tn/a")  # fmt: skip
    found = courses(find_bids(root, label_scheme=SCHEME), where="test")
    assert [(c.start_day, c.end_day, c.dose_gy, c.fractions) for c in found] == [
        (20, 62, 60, 30), (415, 435, 30, None),
    ]  # fmt: skip


def test_masks_of_single_tissues_are_combined_in_the_order_given(subject):
    root = subject(derived=("label-edema_mask", "label-enhancing_mask", "desc-brain_mask"))
    record = find_bids(root, label_scheme=SCHEME, masks=["edema:2", "enhancing:3"])[0]
    assert list(record.masks) == [2, 3]
    assert record.brain_mask is not None


@pytest.mark.parametrize("masks", [["edema"], ["edema:two"], ["edema:2", "edema:3"]])
def test_masks_must_be_names_with_labels(subject, masks):
    with pytest.raises(
        ValueError, match=r"data\.options\.masks=.*must be NAME:LABEL, each name once"
    ):
        find_bids(subject(), label_scheme=SCHEME, masks=masks)


def test_two_segmentations_are_refused_until_one_is_named(subject):
    root = subject(derived=("desc-tissue_dseg", "desc-tumour_dseg"))
    with pytest.raises(ValueError, match="expected one file that ends in _dseg"):
        find_bids(root, label_scheme=SCHEME)
    record = find_bids(root, label_scheme=SCHEME, seg="desc-tumour_dseg")[0]
    assert record.seg.name.endswith("desc-tumour_dseg.nii.gz")


def test_two_runs_of_a_contrast_are_refused(subject):
    root = subject(images=("run-1_T2w", "run-2_T2w"))
    with pytest.raises(ValueError, match="run-1_T2w.nii.gz', .* for one contrast"):
        find_bids(root, label_scheme=SCHEME)


def test_space_chooses_among_images(subject):
    root = subject(images=("FLAIR", "space-MNI_FLAIR"), derived=("space-MNI_dseg",))
    record = find_bids(root, label_scheme=SCHEME, space="MNI")[0]
    assert record.images["t2f"].name == "sub-X_ses-01_space-MNI_FLAIR.nii.gz"


def test_session_without_segmentation_is_refused(subject):
    with pytest.raises(ValueError, match="segmentation that ends in _dseg.nii.gz beside"):
        find_bids(subject(derived=("desc-brain_mask",)), label_scheme=SCHEME)


@pytest.mark.parametrize(
    ("age", "group"), [("17", "paediatric"), ("18", "adult"), ("89+", "adult"), ("n/a", "")]
)
def test_age_group_follows_from_the_participants(subject, age, group):
    root = subject()
    (root / "participants.tsv").write_text(f"participant_id\tage\nsub-X\t{age}\n")
    assert find_bids(root, label_scheme=SCHEME)[0].age_group == group


def test_folder_without_sessions_is_refused(tmp_path, files):
    files(tmp_path / "sub-X" / "anat", "sub-X_T1w.nii.gz")
    with pytest.raises(ValueError, match=r"expected sub-X/ses-Y/anat.*found \['sub-X'\]"):
        find_bids(tmp_path, label_scheme=SCHEME)


def test_session_with_two_dates_is_refused(subject):
    root = subject("a", "b")
    write_sessions(root, "session_id\tacq_time", "ses-a\t1925-01-01", "ses-b\t1925-02-01",
                   "b\t1925-03-01")  # fmt: skip
    with pytest.raises(ValueError, match=r"sessions\.tsv, row 4: session ses-b stands twice"):
        find_bids(root, label_scheme=SCHEME)
