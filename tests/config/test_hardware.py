from __future__ import annotations

import os
from pathlib import Path

import pytest

from mechlearn.config import hardware


def cpuinfo(folder: Path, flags: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\nflags\t\t: fpu sse2 {flags}\n\nprocessor\t: 1\n")
    return path


@pytest.mark.parametrize("flag", ["amx_bf16", "avx512_bf16"])
def test_cpu_with_bf16_instructions_is_recognised(tmp_path: Path, flag: str) -> None:
    assert hardware.cpu_multiplies_bf16(cpuinfo(tmp_path, flag))


def test_cpu_with_plain_avx512_is_not(tmp_path: Path) -> None:
    assert not hardware.cpu_multiplies_bf16(cpuinfo(tmp_path, "avx2 avx512f avx512_vnni"))


def test_unknown_system_counts_as_without(tmp_path: Path) -> None:
    assert not hardware.cpu_multiplies_bf16(tmp_path / "none")


@pytest.mark.parametrize(("fast", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_precision_follows_the_cpu(
    monkeypatch: pytest.MonkeyPatch, fast: bool, expected: str
) -> None:
    monkeypatch.setattr(hardware, "cpu_multiplies_bf16", lambda: fast)
    assert hardware.resolve_precision("auto", accelerator="cpu") == expected


def test_given_precision_is_kept() -> None:
    assert hardware.resolve_precision("16-mixed", accelerator="cpu") == "16-mixed"
    assert hardware.resolve_precision(32, accelerator="cpu") == "32"


@pytest.mark.parametrize(
    ("devices", "number"),
    [(1, 1), ("2", 2), ([0, 1], 2), ("[0,1,2]", 3), ("auto", None), (-1, None), ("-1", None)],
)
def test_number_of_asked_devices(devices: object, number: int | None) -> None:
    assert hardware.device_count(devices) == number


@pytest.mark.parametrize(("strategy", "number"), [("auto", 1), ("ddp", 2)])
def test_processes_on_a_cpu(strategy: str, number: int) -> None:
    assert hardware.resolve_devices("auto", accelerator="cpu", strategy=strategy) == number


def test_given_devices_are_kept() -> None:
    assert hardware.resolve_devices([0, 1], accelerator="cpu") == [0, 1]
    assert hardware.resolve_devices("4", accelerator="cpu", strategy="ddp") == 4


def test_loaders_get_no_more_workers_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert hardware.loader_workers(8) == 4
    assert hardware.loader_workers(8, processes=2) == 2
    assert hardware.loader_workers(8, processes=16) == 1
    assert hardware.loader_workers(0) == 0
