"""Default precision, devices and loader workers for this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

__all__ = ["cpu_multiplies_bf16", "device_count", "loader_workers", "resolve_device",
           "resolve_devices", "resolve_precision"]

MOST_DEVICES = 1024  # upper limit for one machine
BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


def cpu_multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU has bf16 matrix instructions (AMX or AVX512-BF16); False if unknown.

    Without them bf16 is emulated and much slower than float32.
    """
    if not cpuinfo.is_file():
        return False
    lines = (line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    return bool(BF16_FLAGS & set(next(lines, "").split()))


def resolve_device(accelerator: str = "auto") -> str:
    """`auto` -> the first available of cuda, mps, cpu; `gpu` -> cuda.

    Raises:
        ValueError: a device that this machine does not have.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(),
             "cpu": True}  # fmt: skip
    if accelerator == "auto":
        return next(name for name, found in there.items() if found)
    device = {"gpu": "cuda"}.get(accelerator, accelerator)
    if not there.get(device, True):
        raise ValueError(
            f"accelerator={accelerator}: there is no such device on this machine, or torch was "
            "installed without it. Use accelerator=cpu or auto."
        )
    return device


def resolve_precision(precision: str | int, *, accelerator: str = "auto") -> str:
    """`auto` -> bf16-mixed if the hardware supports bf16, else 32-true; other values unchanged."""
    if precision != "auto":
        return str(precision)
    device = resolve_device(accelerator)
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = device == "cpu" and cpu_multiplies_bf16()
    return "bf16-mixed" if fast else "32-true"


def device_count(devices: Any) -> int | None:
    """Number of devices in `trainer.devices`; None for auto and -1, all devices of the machine.

    Raises:
        ValueError: neither a number, a list of numbers nor auto; more than any machine has.
    """
    wrong = ValueError(f"trainer.devices={devices}: must be auto, -1 for all, a number from 1 to "
                       f"{MOST_DEVICES}, or a list of devices such as [0,1].")  # fmt: skip
    if isinstance(devices, bool) or not isinstance(devices, (str, int, Sequence)) or not devices:
        raise wrong
    if isinstance(devices, str) and devices.strip().isdigit():
        devices = int(devices)
    if isinstance(devices, str):
        parts = [part for part in devices.strip("[] ").split(",") if part.strip()]
        return None if devices.strip() in ("auto", "-1") else len(parts)
    if isinstance(devices, int):
        if devices != -1 and not 1 <= devices <= MOST_DEVICES:
            raise wrong
        return None if devices == -1 else devices
    return len(devices)


def resolve_devices(devices: Any, *, accelerator: str = "auto", strategy: str = "auto") -> Any:
    """`auto` -> all GPUs, or one CPU process (two with `ddp`); other values unchanged."""
    if devices == "auto" and resolve_device(accelerator) == "cpu":
        return 2 if strategy.startswith("ddp") else 1
    return int(devices) if isinstance(devices, str) and devices.strip().isdigit() else devices


def loader_workers(asked: int, *, processes: int = 1) -> int:
    """The smaller of `asked` and the number of CPU cores for each training process.

    More workers than cores make loading slower.

    Args:
        asked: `data.loader.num_workers`; 0 for loading in the training process.
        processes: training processes on this machine.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(asked, max(1, (cores or 1) // max(1, processes)))
