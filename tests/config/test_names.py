from __future__ import annotations

from pathlib import Path

from mechlearn.config.names import cell_folder, unshared_folder


def test_cell_folder_is_readable() -> None:
    words = "sampler.nl=200,sampler.scale=10k"
    assert cell_folder(3, words) == words


def test_cell_folder_does_not_move_with_the_number_of_cells() -> None:
    assert cell_folder(3, "sampler.nl=200") == cell_folder(5, "sampler.nl=200")


def test_cells_of_several_experiments_have_folders_of_their_own() -> None:
    assert cell_folder(0, "+experiment=sizes,seed=1") == "sizes,seed=1"


def test_cell_folder_is_one_folder() -> None:
    assert "/" not in cell_folder(0, "data.root=/data/BraTS 2023,seed=1")


def test_long_cell_folders_fit_a_file_system_and_differ() -> None:
    one, two = (cell_folder(12, "a=" + "x" * 1000 + f",seed={seed}") for seed in (1, 2))
    assert len(one) < 255
    assert one != two


def test_cell_without_overrides_is_its_number() -> None:
    assert cell_folder(7, "") == "7"


def test_two_commands_of_one_second_get_two_folders(tmp_path: Path) -> None:
    """As two processes of an array job would: each with its own memory of what it has made."""
    wanted = str(tmp_path / "forecast" / "2026-01-01_00-00-00")
    taken = []
    for _ in range(3):
        unshared_folder.cache_clear()
        taken.append(unshared_folder(wanted))
        assert unshared_folder(wanted) == taken[-1]  # asked again it is the same
    assert taken == [wanted, f"{wanted}-2", f"{wanted}-3"]
    assert all(Path(name).is_dir() for name in taken)
