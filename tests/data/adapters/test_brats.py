from __future__ import annotations

from pathlib import Path

import pytest

from mechlearn.data.adapters.brats import find_brats


def make_2021(root: Path, number: str = "00006", *, without: str = "") -> Path:
    case = root / f"BraTS2021_{number}"
    case.mkdir(parents=True)
    for suffix in ("t1", "t1ce", "t2", "flair", "seg"):
        if suffix != without:
            (case / f"{case.name}_{suffix}.nii.gz").touch()
    return case


def make_2023(root: Path, name: str = "BraTS-GLI-00000-000") -> Path:
    case = root / name
    case.mkdir(parents=True)
    for suffix in ("t1n", "t1c", "t2w", "t2f", "seg"):
        (case / f"{name}-{suffix}.nii.gz").touch()
    return case


def test_brats2021_contrasts_go_by_their_canonical_names(tmp_path):
    case = make_2021(tmp_path)
    (record,) = find_brats(tmp_path)
    assert record.images["t1c"] == case / "BraTS2021_00006_t1ce.nii.gz"
    assert record.images["t2f"] == case / "BraTS2021_00006_flair.nii.gz"


def test_brats2021_scheme_and_source(tmp_path):
    make_2021(tmp_path)
    (record,) = find_brats(tmp_path)
    assert (record.label_scheme, record.source, record.day) == ("brats2021", "BraTS2021", None)


def test_brats2023_splits_patient_and_time_point(tmp_path):
    make_2023(tmp_path, "BraTS-GLI-00005-001")
    (record,) = find_brats(tmp_path)
    assert (record.patient, record.session) == ("BraTS-GLI-00005", "001")


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("BraTS-GLI-00000-000", "brats2023"),
        ("BraTS-SSA-00002-000", "brats2023"),
        ("BraTS-GLI-00005-100", "brats2024"),
    ],
)
def test_scheme_follows_from_the_name(tmp_path, name, scheme):
    make_2023(tmp_path, name)
    assert find_brats(tmp_path)[0].label_scheme == scheme


def test_paediatric_case_without_a_year_is_refused(tmp_path):
    make_2023(tmp_path, "BraTS-PED-00002-000")
    with pytest.raises(ValueError, match=r"names no year.*data\.label_scheme=brats2023"):
        find_brats(tmp_path)


@pytest.mark.parametrize(("year", "scheme"), [("2023", "brats2023"), ("2024", "peds2024")])
def test_paediatric_scheme_follows_from_the_year_in_the_path(tmp_path, year, scheme):
    make_2023(tmp_path / f"BraTS{year}-PED", "BraTS-PED-00002-000")
    assert find_brats(tmp_path)[0].label_scheme == scheme


@pytest.mark.parametrize("folder", ["downloads-2025", "job-20240112", "BraTS120245"])
def test_year_of_a_download_is_not_that_of_the_release(tmp_path, folder):
    make_2023(tmp_path / folder, "BraTS-PED-00002-000")
    with pytest.raises(ValueError, match="names no year"):
        find_brats(tmp_path)


def test_given_scheme_wins(tmp_path):
    make_2023(tmp_path, "BraTS-PED-00002-000")
    assert find_brats(tmp_path, label_scheme="peds2024")[0].label_scheme == "peds2024"


def test_several_roots_and_deeper_folders_are_joined(tmp_path):
    make_2021(tmp_path / "a" / "training")
    make_2023(tmp_path / "b", "BraTS-SSA-00002-000")
    names = [r.name for r in find_brats([tmp_path / "a", tmp_path / "b"])]
    assert names == ["BraTS-SSA-00002/000", "BraTS2021_00006/000"]


def test_years_of_one_challenge_are_joined_and_a_number_is_one_patient(tmp_path):
    make_2023(tmp_path / "BraTS2023", "BraTS-GLI-00463-000")
    make_2023(tmp_path / "2024", "BraTS-GLI-00463-100")
    records = find_brats([tmp_path / "BraTS2023", tmp_path / "2024"])
    assert {r.patient for r in records} == {"BraTS-GLI-00463"}
    assert [r.label_scheme for r in records] == ["brats2023", "brats2024"]


@pytest.mark.parametrize("later", ["BraTS-GLI-00006-000", "BraTS-GLI-00006-100"])
def test_people_under_two_names_are_refused(tmp_path, later):
    make_2021(tmp_path / "a")
    make_2023(tmp_path / "b", later)
    with pytest.raises(ValueError, match="share patients under other names.*one release alone"):
        find_brats([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize(
    ("name", "group"), [("BraTS-PED-00002-000", "paediatric"), ("BraTS-GLI-00000-000", "adult")]
)
def test_age_group_follows_from_the_challenge(tmp_path, name, group):
    make_2023(tmp_path / "BraTS2023", name)
    assert find_brats(tmp_path)[0].age_group == group


def test_incomplete_case_is_left_out_where_that_was_asked(tmp_path):
    make_2021(tmp_path, "00006")
    make_2021(tmp_path, "00008", without="seg")
    missing: list[str] = []
    assert [r.patient for r in find_brats(tmp_path, missing=missing)] == ["BraTS2021_00006"]
    assert len(missing) == 1
    assert "BraTS2021_00008_seg.nii.gz" in missing[0]


def test_a_case_folder_is_a_root_of_itself(tmp_path):
    assert len(find_brats(make_2021(tmp_path))) == 1


def test_missing_file_is_refused_with_found_and_expected(tmp_path):
    make_2021(tmp_path, without="seg")
    with pytest.raises(ValueError, match=r"BraTS2021_00006_seg\.nii\.gz.*found 0.*_flair"):
        find_brats(tmp_path)


def test_folder_of_another_layout_is_refused(tmp_path):
    make_2021(tmp_path)
    other = tmp_path / "UPENN-GBM-00001_11"
    other.mkdir()
    (other / "UPENN-GBM-00001_11_T1.nii.gz").touch()
    with pytest.raises(ValueError, match=r"UPENN.*found images.*expected case folders"):
        find_brats(tmp_path)


def test_empty_root_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found no BraTS case"):
        find_brats(tmp_path)


def test_missing_root_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        find_brats(tmp_path / "gone")


def test_case_in_two_roots_is_refused(tmp_path):
    make_2021(tmp_path / "a")
    make_2021(tmp_path / "b")
    with pytest.raises(ValueError, match="was found before"):
        find_brats([tmp_path / "a", tmp_path / "b"])


def test_hidden_files_are_overlooked(tmp_path):
    make_2021(tmp_path)
    (tmp_path / "._BraTS2021_00006_t1.nii.gz").touch()
    assert len(find_brats(tmp_path)) == 1


def test_real_cases_are_found(real_brats):
    assert [r.patient[-5:] for r in find_brats(real_brats)] == [
        "01476", "01477", "01478", "01480", "01482", "01484",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "patient", "session", "source"),
    [
        ("Brats17_TCIA_192_1", "Brats17_TCIA_192", "1", "BraTS2017"),
        ("Brats18_2013_11_1", "Brats18_2013_11", "1", "BraTS2018"),
        ("BraTS19_CBICA_ABM_1", "BraTS19_CBICA_ABM", "1", "BraTS2019"),
        ("BraTS20_Training_001", "BraTS20_Training_001", "000", "BraTS2020"),
    ],
)
def test_names_of_2017_to_2020_below_hgg_and_lgg(tmp_path, name, patient, session, source):
    case = tmp_path / "LGG" / name
    case.mkdir(parents=True)
    for suffix in ("t1", "t1ce", "t2", "flair", "seg"):
        (case / f"{name}_{suffix}.nii.gz").touch()
    (record,) = find_brats(tmp_path)
    assert (record.patient, record.session, record.source) == (patient, session, source)
    assert record.label_scheme == "brats2021"
    assert record.images["t2f"] == case / f"{name}_flair.nii.gz"


def test_two_releases_of_adults_are_refused(tmp_path):
    for name in ("Brats18_2013_11_1", "BraTS20_Training_001"):
        (tmp_path / name).mkdir()
        for suffix in ("t1", "t1ce", "t2", "flair", "seg"):
            (tmp_path / name / f"{name}_{suffix}.nii.gz").touch()
    with pytest.raises(ValueError, match="one release alone"):
        find_brats(tmp_path)
