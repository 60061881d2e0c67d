"""One training step of the paper's denoiser, ours and written plainly in MONAI, in one run.

    python experiments/benchmarks/train_step/benchmark.py RESULT.json [--steps N] [--batch B] ...

Both hold the same network (113.7 M parameters, 256 x 256, four contrasts) and do a whole step:
noise, forward, loss, backward, Adam, weight averaging. Each lives in a process of its own, and they
step in turn, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from mechlearn.config.hardware import resolve_device, resolve_precision
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.ddpm import DDPMModule
from mechlearn.models.networks import Denoiser

SIZE, CONTRASTS = 256, 4
# Dense bf16, NVIDIA's data sheets, TFLOP/s. Unknown cards get no share of peak.
PEAK_BF16_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
Step = Callable[[Tensor, int], Tensor]


def ours(device: str, autocast: bool) -> tuple[nn.Module, Step]:
    """The module that `+experiment=ddpm_brats` trains, without its trainer."""
    data = {"contrasts": ["t1n", "t1c", "t2w", "t2f"], "size": SIZE, "pixel_mm": 1.0,
            "intensity": {}}  # fmt: skip
    spec = {"_target_": "mechlearn.models.networks.Denoiser", "contrasts": CONTRASTS}
    module = DDPMModule(spec, schedule=NoiseSchedule(), data=data).to(device)
    optimizer = torch.optim.Adam(module.network.parameters(), lr=1e-4, fused=True)
    average = AveragedModel(module.network, multi_avg_fn=get_ema_multi_avg_fn(0.9999))

    def step(x0: Tensor, number: int) -> Tensor:
        n = len(x0)
        batch = {"image": x0, "draw": range(n * number, n * number + n),
                 "fraction": torch.zeros(n, device=device),
                 "present": torch.ones(n, CONTRASTS, device=device)}  # fmt: skip
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
            loss, noised = module._losses(batch)
            total = (loss.total(module.vlb_weight) * noised.weight).mean()
        return _update(total, optimizer, average, module.network)

    return module.network, step


def plain(device: str, autocast: bool) -> tuple[nn.Module, Step]:
    """MONAI's network and scheduler as its tutorials use them: squared error of epsilon alone."""
    unet = DiffusionModelUNet(
        spatial_dims=2, in_channels=CONTRASTS, out_channels=2 * CONTRASTS,
        channels=(128, 128, 256, 256, 512, 512),
        attention_levels=(False, False, False, False, True, False), num_res_blocks=2,
        num_head_channels=(128, 128, 256, 256, 512, 512),
    ).to(device)  # fmt: skip
    scheduler = DDPMScheduler(
        num_train_timesteps=1000, schedule="linear_beta", beta_start=1e-4, beta_end=0.02
    )
    optimizer = torch.optim.Adam(unet.parameters(), lr=1e-4)
    average = AveragedModel(unet, multi_avg_fn=get_ema_multi_avg_fn(0.9999))

    def step(x0: Tensor, number: int) -> Tensor:
        epsilon = torch.randn_like(x0)
        l = torch.randint(0, 1000, (len(x0),), device=device)
        noisy = scheduler.add_noise(x0, epsilon, l)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
            out = unet(noisy, l)
            loss = nn.functional.mse_loss(out[:, :CONTRASTS].float(), epsilon)
        return _update(loss, optimizer, average, unet)

    return unet, step


def _update(
    loss: Tensor, optimizer: torch.optim.Optimizer, average: AveragedModel, network: nn.Module
) -> Tensor:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    average.update_parameters(network)
    return loss.detach()


MODULES = {"ours": ours, "plain": plain}


def worker(name: str, device: str, autocast: bool, batch: int, pipe: Connection) -> None:
    """Step whenever told to; answer seconds, and at the end parameters and peak memory."""
    torch.manual_seed(0)
    network, step = MODULES[name](device, autocast)
    x0 = torch.rand(batch, CONTRASTS, SIZE, SIZE, device=device) * 2 - 1
    number = 0
    while pipe.recv() == "step":
        _synchronise(device)
        begun = time.perf_counter()
        loss = step(x0, number)
        _synchronise(device)
        pipe.send((time.perf_counter() - begun, float(loss)))
        number += 1
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**30
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send({"parameters": sum(p.numel() for p in network.parameters()), "peak_gib": peak})


def _synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def race(device: str, autocast: bool, batch: int, steps: int) -> dict[str, dict[str, Any]]:
    """Seconds of every step after a first one, peak memory and parameters, of both."""
    context = multiprocessing.get_context("spawn")
    pipes, results = {}, {}
    for name in MODULES:
        mine, theirs = context.Pipe()
        context.Process(
            target=worker, args=(name, device, autocast, batch, theirs), daemon=True
        ).start()
        pipes[name], results[name] = mine, {"seconds": []}
    for number in range(steps + 1):
        for name, pipe in pipes.items():
            pipe.send("step")
            seconds, loss = pipe.recv()
            if number:
                results[name]["seconds"].append(seconds)
            Console().print(f"{name} step {number}: {seconds:.3f} s, loss {loss:.4f}")
    for name, pipe in pipes.items():
        pipe.send("stop")
        results[name] |= pipe.recv()
    return results


def forward_gflop() -> float:
    """Multiply-adds counted twice, of one image forward."""
    with torch.device("meta"):
        network = Denoiser()
        x, l = torch.empty(1, CONTRASTS, SIZE, SIZE), torch.zeros(1)
        with FlopCounterMode(display=False) as counter:
            network(x, l)
    return counter.get_total_flops() / 1e9


def largest_batch(device: str, autocast: bool) -> int:
    """The largest multiple of 8 whose step fits the GPU, found by doubling and halving."""
    _, step = ours(device, autocast)
    low, high = 8, None
    while high is None or high - low > 8:
        trial = 2 * low if high is None else (low + high) // 16 * 8
        try:
            step(torch.rand(trial, CONTRASTS, SIZE, SIZE, device=device), 0)
            low = trial
        except torch.cuda.OutOfMemoryError:
            high = trial
        torch.cuda.empty_cache()
    return low


def figures(
    results: dict[str, dict[str, Any]], *, batch: int, gflop: float, device: str
) -> dict[str, Any]:
    """Flat keys of one batch size."""
    seconds = {name: median(r["seconds"]) for name, r in results.items()}
    ratios = [a / b for a, b in zip(*(r["seconds"] for r in results.values()), strict=True)]
    row: dict[str, Any] = {
        "step_ratio_to_plain": median(ratios),
        "memory_ratio_to_plain": results["ours"]["peak_gib"] / results["plain"]["peak_gib"],
    }
    for name, result in results.items():
        # Forward and backward: three times the forward's arithmetic.
        tflops = 3 * gflop * batch / seconds[name] / 1e3
        row |= {
            f"{name}_s_a_step": seconds[name], f"{name}_images_a_s": batch / seconds[name],
            f"{name}_tflops": tflops, f"{name}_peak_gib": result["peak_gib"],
            f"{name}_parameters": result["parameters"],
        }  # fmt: skip
        card = torch.cuda.get_device_name() if device == "cuda" else ""
        for known, peak in PEAK_BF16_TFLOPS.items():
            if known in card:
                row[f"{name}_share_of_peak_bf16"] = tflops / peak
    return row


def main() -> None:
    """Measure and write RESULT.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each")
    parser.add_argument("--batch", type=int, default=None, help="10 on a GPU, 1 elsewhere")
    parser.add_argument("--largest", action="store_true", help="also the largest batch that fits")
    given = parser.parse_args()
    device = resolve_device("auto")
    autocast = resolve_precision("auto") == "bf16-mixed"
    batch = given.batch or (10 if device == "cuda" else 1)
    gflop = forward_gflop()
    row: dict[str, Any] = {
        "forward_gflop_an_image": gflop, "batch": batch, "bf16": int(autocast),
        "threads": torch.get_num_threads(), "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
    }  # fmt: skip
    row |= figures(
        race(device, autocast, batch, given.steps), batch=batch, gflop=gflop, device=device
    )
    if given.largest and device == "cuda":
        most = largest_batch(device, autocast)
        more = figures(
            race(device, autocast, most, given.steps), batch=most, gflop=gflop, device=device
        )
        row |= {"largest_batch": most, **{f"largest_{k}": v for k, v in more.items()}}
    given.result.parent.mkdir(parents=True, exist_ok=True)
    given.result.write_text(json.dumps(row, indent=1) + "\n")
    Console().print_json(data=row)


if __name__ == "__main__":
    main()
