"""Synthetic patients and a sampler that grows the tumour in the picture as it is told."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from mechlearn.data.adapters.brats import find_brats
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.volumes import prepare_visit
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.task_spec import TaskSpec
from mechlearn.records import AxialSlice, Generation, LongitudinalSlice, Radiotherapy

SIZE, PIXEL_MM = 48, 3.0


def disc(row, column, radius):
    i, j = np.mgrid[:SIZE, :SIZE]
    return (i - row) ** 2 + (j - column) ** 2 <= radius**2


BRAIN = disc(24, 24, 20)


def paint(tumour, *, seed=0):
    """Four contrasts: brain at -0.3 with a little noise, tumour at 0.6."""
    noise = np.random.default_rng(seed).normal(0, 0.02, (4, SIZE, SIZE))
    image = np.where(tumour, 0.6, -0.3) + noise
    return np.where(BRAIN, np.clip(image, -1, 1), -1.0).astype(np.float32)


def make_slice(day, radius, *, patient="P01", z=60, centre=(20, 28)):
    tumour = disc(*centre, radius) & BRAIN if radius > 0 else np.zeros_like(BRAIN)
    return AxialSlice(patient, f"d{int(day):03d}", float(day), z, paint(tumour),
                      (2 * tumour).astype(np.uint8), BRAIN, (PIXEL_MM, PIXEL_MM))


def make_series(*, patient="P01", z=60, days=(0, 40, 80, 120, 160), growth=1.009, radius=4.0):
    """A tumour whose area grows by `growth` a day."""
    slices = [make_slice(d, radius * growth ** (d / 2), patient=patient, z=z) for d in days]
    return LongitudinalSlice(tuple(slices), (Radiotherapy(30.0, 72.0),))


def resized(tumour, pixels):
    """The tumour grown or shrunk to a number of pixels, nearest first."""
    distance = distance_transform_edt(~tumour) - distance_transform_edt(tumour)
    order = np.argsort(np.where(BRAIN, distance, np.inf), axis=None, kind="stable")
    out = np.zeros(tumour.size, bool)
    out[order[:pixels]] = True
    return out.reshape(tumour.shape)


class FakeSampler:
    """Paints a tumour of the requested size; `obedience` 0 leaves the picture as it is."""

    def __init__(self, *, obedience=1.0, encode="invert"):
        self.spec = SamplerSpec(nl=100, scale="50k", encode=encode, steps=10)
        self.effective_scale, self.obedience, self.calls = 1234.0, obedience, 0

    def sample(self, x0, targets, *, brain, seed=0, slice_id="", **given):
        self.calls += 1
        initial, inside = x0[3].numpy() > 0.2, int(brain.sum())
        before = float(initial.sum()) / inside
        out = []
        for member, target in enumerate(targets):
            wanted = before + self.obedience * (target.tumour_fraction - before)
            grown = resized(initial, round(wanted * inside))
            out.append(Generation(torch.from_numpy(paint(grown)), target, before,
                                  target.tumour_fraction, 100, 5e4, 1234.0, seed + member))
        return out

    def reconstruct(self, x0, *, brain, seed=0, slice_id=""):
        return x0.clone()


@pytest.fixture
def sampler():
    return FakeSampler()


@pytest.fixture
def synthetic():
    """The makers above, for tests that need other sizes."""
    return SimpleNamespace(make_slice=make_slice, make_series=make_series, FakeSampler=FakeSampler,
                           resized=resized, BRAIN=BRAIN, PIXEL_MM=PIXEL_MM)


@pytest.fixture
def job(tmp_path, sampler):
    """job(multiples=[1.5]) -> a job of the fake sampler with these task keys, in tmp_path."""
    def made(*, drawer=sampler, growth=None, out_dir=tmp_path, **task):
        spec = {} if growth is None else {"growth": growth}
        return Job(TaskSpec(**{"name": "test", **task}), out_dir, drawer=drawer, **spec)
    return made


@pytest.fixture(scope="session")
def largest_real_slice(real_brats):
    """The end of a real case's name -> its slice with the largest tumour, on the packaged grid."""

    def read(case):
        (record,) = (r for r in find_brats(real_brats) if r.patient.endswith(case))
        visit = prepare_visit(record, PrepareSpec(size=128, pixel_mm=1.5))
        row = int((visit.labels > 0).sum((1, 2)).argmax())
        image = visit.images[row].astype(np.float32)
        return AxialSlice(record.patient, "0", 0.0, visit.zs[row], image, visit.labels[row],
                          visit.brain[row], (1.5, 1.5))

    return read
