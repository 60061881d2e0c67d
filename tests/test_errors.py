"""Wrong overrides: one clear line with the key, before anything heavy is built."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import SIGTERMException

from mechlearn.config.errors import UserError, clear_errors, reported, user_text

Command = Callable[..., tuple[int, str]]


def refused(outcome: tuple[int, str], *words: str) -> None:
    """Exit status 1, no stack trace, and one line that holds all the words."""
    status, err = outcome
    assert status == 1
    assert "Traceback" not in err
    assert any(all(word in line for word in words) for line in err.splitlines()), err


@pytest.mark.parametrize("name", ["train", "evaluate", "forecast"])
def test_scale_that_is_no_number(command: Command, name: str) -> None:
    refused(command(name, "sampler.scale=10q"), "sampler.scale='10q'", "50k")


@pytest.mark.parametrize("name", ["train", "evaluate", "forecast"])
def test_noise_level_out_of_range(command: Command, name: str) -> None:
    refused(command(name, "sampler.nl=0"), "sampler.nl=0", "between 1 and 1000")


def test_a_refused_run_says_nothing_but_its_line(command: Command) -> None:
    status, err = command("forecast", "patient=nowhere.csv", "day=+60")
    assert status == 1
    assert err.startswith("forecast: ")
    assert err.count("\n") == 1


def test_noise_level_that_is_no_number(command: Command) -> None:
    status, err = command("evaluate", "sampler.nl=many")
    assert status == 1
    assert "could not be converted to Integer" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "wrong", "meant"),
    [
        ("train", "sampler.stesp=3", "sampler.steps"),
        ("train", "trainer.max_step=3", "trainer.max_steps"),
        ("evaluate", "task.patient=3", "task.patients"),
        ("forecast", "samplr=fast", "sampler"),
        ("forecast", "rt_start_day=30", "what_if.rt_start_day"),
    ],
)
def test_misspelt_key_is_answered_with_the_nearest(
    command: Command, name: str, wrong: str, meant: str
) -> None:
    outcome = command(name, wrong, "seed=1")
    refused(outcome, wrong.split("=")[0], "no such key", f"Did you mean {meant}?")


def test_misspelt_key_in_a_sweep_of_an_experiment(command: Command) -> None:
    outcome = command("evaluate", "-m", "+experiment=grid_search", "sampler.nll=100,200",
                      "sampler.scale=10k,50k")  # fmt: skip
    refused(outcome, "sampler.nll", "Did you mean sampler.nl?")
    assert "sampler.scale:" not in outcome[1]


def test_misspelt_experiment_lists_the_options(command: Command) -> None:
    status, err = command("train", "+experiment=ddpm_brat")
    assert status == 1
    assert "experiment=ddpm_brat: no such recipe" in err
    assert "Choose one of ddpm_brats, ddpm_labels" in err
    assert "Traceback" not in err


def test_missing_data_root(command: Command) -> None:
    refused(command("prepare", "data=brats"), "data.root=null", "data.root=/data/BraTS2023")


def test_data_root_that_does_not_exist(command: Command) -> None:
    refused(command("prepare", "data=brats", "data.root=/no/such/folder"), "data.root=/no/such/")


def test_training_without_a_store_names_the_command(command: Command) -> None:
    outcome = command("train", "+experiment=ddpm_brats", "data.root=/data/BraTS2023")
    refused(
        outcome, "no prepared slices",
        "python -m mechlearn.prepare data=brats data.root=/data/BraTS2023",
    )  # fmt: skip


def test_missing_manifest(command: Command) -> None:
    refused(command("forecast", "patient=visits.csv", "day=120"), "visits.csv: no such file")


def test_an_empty_patient_and_a_reference_without_dicom_are_refused(
    command: Command, tmp_path: Path
) -> None:
    refused(command("forecast", "patient=", "day=120"), "patient=: is empty")
    table = tmp_path / "volumes.csv"
    table.write_text("patient,slice,day,volume_mm3\nP,whole,0,9000\nP,whole,60,9900\n")
    words = (f"patient={table}", "day=120", "dicom_reference=no/such")
    refused(command("forecast", *words), "dicom_reference=no/such", "holds no DICOM")


@pytest.mark.parametrize("override", ["what_if.fractions=30", "what_if.dose_gy=54"])
def test_half_a_dose_is_refused_before_the_manifest_is_looked_for(
    command: Command, override: str
) -> None:
    outcome = command("forecast", "patient=visits.csv", "day=120", override)
    refused(outcome, override, "=null", "Give what_if.")


@pytest.mark.parametrize(
    "override", ["trainer.devices=2", "trainer.devices=[0,1]", "trainer=ddp", "trainer.devices=-1"]
)
def test_several_devices_in_a_multirun(command: Command, override: str) -> None:
    outcome = command("train", "-m", override, "seed=1,2")
    refused(outcome, "trainer.devices", "launcher=joblib")


def test_missing_checkpoint(command: Command) -> None:
    refused(command("evaluate", "checkpoints.guide=no.ckpt", "checkpoints.denoiser=no.ckpt"),
            "no.ckpt", "no such file")


def test_missing_checkpoint_to_resume(command: Command) -> None:
    refused(command("train", "resume=last.ckpt"), "resume=last.ckpt")


def test_steps_beyond_noise_level(command: Command) -> None:
    refused(command("evaluate", "sampler.nl=10", "sampler.steps=20"), "sampler.steps=20")


def test_unknown_law(command: Command) -> None:
    refused(command("evaluate", "growth.law=cubic"), "growth.law='cubic'", "ode")


def test_failed_job_is_named_in_its_folder(command: Command, tmp_path: Path) -> None:
    command("evaluate", "sampler.nl=0", f"hydra.run.dir={tmp_path}/job")
    assert "sampler.nl=0" in (tmp_path / "job" / "failed.json").read_text()
    assert not (tmp_path / "job" / "row.json").exists()


def test_full_trace_on_demand(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match=r"sampler\.nl=0"):
        command("train", "sampler.nl=0")


def test_run_that_was_told_to_stop_is_no_success() -> None:
    """Lightning's exception of SIGTERM carries no exit status, which would be 0."""
    with pytest.raises(SystemExit) as stopped:
        clear_errors(stop_quietly)(OmegaConf.create())
    assert stopped.value.code == 143


def stop_quietly(cfg: DictConfig) -> None:
    raise SIGTERMException


@pytest.mark.parametrize("place", ["file/out", "/proc/out", "/sys/out"])
def test_output_folder_that_cannot_be_made(command: Command, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    outcome = command("forecast", "patient=x.csv", "day=1", f"paths.outputs={place}")
    refused(outcome, place, "cannot be made", "paths.outputs=FOLDER")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/big/a.nii"), "/big/a.nii: No space"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), "a.csv: Permission denied."),
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory (Unable to allocate 9 GiB)"),
        (RuntimeError("CUDA out of memory. Tried 9 GiB"), "not enough memory (CUDA out of"),
        (UserError("any words"), "any words"),
    ],
)
def test_fault_of_the_machine_is_one_line(error: Exception, told: str) -> None:
    assert (user_text(error) or "").startswith(told)


def test_first_of_two_errors_is_told() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "a.pt")
    second = RuntimeError("unexpected pos 64 vs 0")
    second.__context__ = full
    assert (user_text(second) or "").startswith("a.pt: No space left on device")


@pytest.mark.parametrize("error", [TypeError("x"), IndexError("x"), ValueError("of a package")])
def test_fault_of_the_program_keeps_its_trace(error: Exception) -> None:
    assert user_text(error) is None
    with pytest.raises(type(error)), reported("name"):
        raise error


def test_interrupted_command_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, reported("name"):
        raise KeyboardInterrupt
    assert (stopped.value.code, capfd.readouterr().err) == (130, "name: interrupted\n")


def test_a_removed_recipe_names_what_takes_its_place(command: Command) -> None:
    refused(command("evaluate", "sampler=placed"), "placed was removed", "sampler=labels")


@pytest.mark.parametrize(("word", "rule"), [
    ("data.prepare.size=1.5", "data.prepare.size=1.5: Value '1.5' of type 'float'"),
    ("data=nonsense", "data=nonsense: no such recipe. Choose one of bids, brats"),
    ("data.prepare.sise=3", "data.prepare.sise: prepare has no such key. Did you mean"),
])  # fmt: skip
def test_an_override_that_does_not_compose_gives_one_line(word, rule, capsys, monkeypatch):
    from mechlearn.prepare import main

    monkeypatch.setattr("sys.argv", ["prepare", word])
    with pytest.raises(SystemExit):
        main()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"prepare: {rule}")
