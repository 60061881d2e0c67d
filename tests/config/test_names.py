from __future__ import annotations

from mechlearn.config.names import cell_folder


def test_cell_folder_is_readable() -> None:
    words = "sampler.nl=200,sampler.scale=10k"
    assert cell_folder(3, words) == f"3_{words}"


def test_cell_folder_is_one_folder() -> None:
    assert "/" not in cell_folder(0, "data.root=/data/BraTS 2023,seed=1")


def test_cell_folder_fits_a_file_system() -> None:
    assert len(cell_folder(12, "a=" + "x" * 1000)) < 255


def test_cell_without_overrides_is_its_number() -> None:
    assert cell_folder(7, "") == "7"
