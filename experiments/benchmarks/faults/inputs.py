"""Bad inputs, each read as the commands read it: is the error one clear line?

    python experiments/benchmarks/faults/inputs.py FOLDER [--table inputs.csv]

An input is *clear* if it is refused in at most two sentences a person can act on (one line, naming
the file or the key), a *traceback* if the error is none of `config.errors.user_text`, and
*accepted* if nothing is said.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from wrong_values import CELLS, PERSON, SIZES, TEXTS, VISIT, WRONG_SPECS

from mechlearn.config.errors import user_text

OPTIONAL = ("about", "held_out", "ceiling", "error_quantiles", "n_patients", "alpha_beta_gy")
LONGEST = 700  # characters of a message


@dataclass(frozen=True)
class BadInput:
    """What is wrong, the word that the message must hold, and how it is read."""

    kind: str
    name: str
    word: str
    read: Callable[[], object]


def _table(folder: Path, row: dict[str, str], *, marks: str = ",") -> Path:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(row), delimiter=marks)
    writer.writeheader()
    writer.writerow(row)
    path = Path(tempfile.mkdtemp(dir=folder)) / "t.csv"
    for name in ("a.nii", "seg.nii"):
        path.with_name(name).touch()
    path.write_text(buffer.getvalue(), encoding="utf-8")
    return path


def tables(folder: Path) -> Iterator[BadInput]:
    """Cells, headers and encodings of the tables that people write."""
    from mechlearn.data.manifest import read_manifest
    from mechlearn.data.patients_table import read_patients
    from mechlearn.data.size_table import read_series

    read: dict[str, tuple[dict[str, str], Callable[[Path], object]]] = {
        "series": (SIZES, read_series), "manifest": (VISIT, read_manifest),
        "patients table": (PERSON, read_patients),
    }  # fmt: skip
    for what, (row, reader) in read.items():
        for column, values in CELLS[what].items():
            for value in values:
                path = _table(folder, row | {column: value})
                yield BadInput(what, f"{column}={value!r}", "t.csv", lambda p=path, r=reader: r(p))
        header, cells = ",".join(row), ",".join(row.values())
        columns = list(row)
        files = {
            "no such file": None, "a folder": "folder",
            "UTF-16": f"{header}\n{cells}".encode("utf-16"),
            "latin-1": f"{header}\n{cells},Zürich".encode("latin-1"), "a workbook": TEXTS["a zip"],
            "binary": bytes(range(256)), "too many cells": f"{header}\n{cells},9\n".encode(),
            "an open quote": f'{header}\n"{cells}\n{cells}\n'.encode(),
            "a column twice": f"{header},{columns[0]}\n{cells},P1\n".encode(),
            "no first column": f"{','.join(columns[1:])}\n{cells}\n".encode(),
        }  # fmt: skip
        if what != "patients table":
            files |= {"empty": b"", "header alone": f"{header}\n".encode(),
                      "an unknown column": f"{header},weight\n{cells},7\n".encode()}  # fmt: skip
        for name, content in files.items():
            path = Path(tempfile.mkdtemp(dir=folder)) / "t.csv"
            if content == "folder":
                path.mkdir()
            elif content is not None:
                path.write_bytes(content)
            yield BadInput(what, name, "t.csv", lambda p=path, r=reader: r(p))


def json_files(folder: Path) -> Iterator[BadInput]:
    """Populations, priors, splits, rows and cards that are something else."""
    from mechlearn.data.splits import read_splits
    from mechlearn.data.store import SliceStore
    from mechlearn.data.stored_visit import StoredVisit
    from mechlearn.evaluation.rows import read_row
    from mechlearn.growth.learned_forecast import load_size_prior
    from mechlearn.growth.population_file import load_ensemble
    from mechlearn.models.exports.folder import read_manifest

    readers: dict[str, tuple[str, Callable[[Path], object]]] = {
        "population": ("p.json", load_ensemble), "prior": ("p.json", load_size_prior),
        "splits": ("splits.json", read_splits), "row": ("row.json", read_row),
        "export": ("config.json", lambda p: read_manifest(p.parent)),
        "store": ("store.json", lambda p: SliceStore(p.parent)),
        "stored visit": ("visit.json", lambda p: StoredVisit.open(p.parent)),
    }  # fmt: skip
    fine = {("splits", "an empty object"), ("row", "an empty object"), ("row", "another's")}
    for what, (name, reader) in readers.items():
        for words, content in TEXTS.items():
            if (what, words) in fine:
                continue
            path = Path(tempfile.mkdtemp(dir=folder)) / name
            path.write_bytes(content)
            yield BadInput(what, words, path.parent.name, lambda p=path, r=reader: r(p))
    good = json.loads(Path(load_ensemble.__globals__["__file__"]).with_name(
        "populations").joinpath("phantom.json").read_text())  # fmt: skip
    for key in good:
        for value in (None, -1, "x", [], {}, math.nan):
            if good[key] == value or (value in (None, {}) and key in OPTIONAL):
                continue
            path = Path(tempfile.mkdtemp(dir=folder)) / "p.json"
            path.write_text(json.dumps({**good, key: value}))
            yield BadInput("population", f"{key}={value!r}", "p.json",
                           lambda p=path: load_ensemble(p))  # fmt: skip


def checkpoints(folder: Path) -> Iterator[BadInput]:
    """Weights that are damaged, of another program, or hostile."""
    import torch

    from mechlearn.models.checkpoint_files import packaged
    from mechlearn.models.checkpoints import load_model

    whole = packaged("segmenter").read_bytes()
    contents = TEXTS | {
        f"cut at {share:.0%}": whole[: int(len(whole) * share)] for share in (0.01, 0.5, 0.99)
    } | {f"bit flipped at {share:.0%}": _flipped(whole, share) for share in (0.2, 0.4, 0.6, 0.8)}
    objects = {"a tensor": torch.zeros(3), "a list": [1], "no card": {"state_dict": {}},
               "a path": {"x": Path("y")}, "a card of text": {"mechlearn": "x", "state_dict": {}},
               "a card of nothing": {"mechlearn": {}, "state_dict": {}}}  # fmt: skip
    for name, held in objects.items():
        buffer = io.BytesIO()
        torch.save(held, buffer)
        contents[name] = buffer.getvalue()
    for name, content in contents.items():
        path = Path(tempfile.mkdtemp(dir=folder)) / "w.pt"
        path.write_bytes(content)
        yield BadInput("checkpoint", name, "w.pt",
                       lambda p=path: load_model(p, demo_kind="segmenter"))  # fmt: skip


def _flipped(content: bytes, share: float) -> bytes:
    damaged = bytearray(content)
    damaged[int(len(content) * share)] ^= 16
    return bytes(damaged)


def volumes(folder: Path) -> Iterator[BadInput]:
    """NIfTI files of one visit, as an image and as its segmentation."""
    from mechlearn.data.manifest import VisitRecord
    from mechlearn.data.store_spec import PrepareSpec
    from mechlearn.data.validation.told import warnings_of

    grid = np.indices((24, 24, 12)) - np.array([11.5, 11.5, 5.5])[:, None, None, None]
    brain = (grid**2 / np.array([100, 100, 25])[:, None, None, None]).sum(0) < 1
    image = np.where(brain, 100 + 10 * np.sin(grid[0]), 0).astype(np.float32)
    seg = (brain & ((grid - 2) ** 2).sum(0).__lt__(9)).astype(np.uint8) * 2
    affine = np.diag([7.0, 7.0, 9.0, 1.0])

    def saved(data: np.ndarray, matrix: np.ndarray = affine) -> bytes:
        return nib.Nifti1Image(data, matrix).to_bytes()

    def nan(data: np.ndarray) -> np.ndarray:
        return np.where(data == 0, np.nan, data).astype(np.float32)

    moved = affine.copy()
    moved[0, 3] = 12.0
    for key, data in (("t2f", image), ("seg", seg)):
        bad: dict[str, bytes | None] = {
            "missing": None, "two volumes": saved(np.stack([data, data], -1)),
            "one slice": saved(data[..., 0]), "NaN background": saved(nan(data)),
            "infinite": saved(np.where(data > 0, np.inf, 0).astype(np.float32)),
            "complex": saved(data.astype(np.complex64)), "another shape": saved(data[:-2]),
            "shifted": saved(data, moved), "mirrored header": saved(data, affine * [-1, 1, 1, 1]),
            "cut": saved(data)[:5000], "header alone": saved(data)[:352],
            "no header": saved(data)[:9],
            **{name: TEXTS[name] for name in ("empty", "a line", "zeros", "a zip", "Git LFS")},
        }  # fmt: skip
        if key == "seg":
            bad |= {
                "interpolated": saved(data * np.float32(0.7)),
                "negative": saved(-data.astype(np.int16)), "unknown label": saved(data * 4),
                "shifted tumour": saved(np.roll(data, 11, 0)),
                "huge label": saved(data.astype(np.int32) * 70_000),
            }  # fmt: skip
        else:
            bad |= {"constant": saved(np.zeros_like(data)), "a mask": saved((data > 0).astype(
                np.uint8))}  # fmt: skip
        for name, content in bad.items():
            place = Path(tempfile.mkdtemp(dir=folder))
            files = {k: place / f"{k}.nii" for k in ("t1n", "t2f", "seg")}
            for k, plain in (("t1n", image * 0.8 + 5 * brain), ("t2f", image), ("seg", seg)):
                files[k].write_bytes(saved(plain))
            files[key].unlink() if content is None else files[key].write_bytes(content)
            record = VisitRecord("P1", "s0", {k: files[k] for k in ("t1n", "t2f")}, files["seg"],
                                 "brats2023", day=0.0)  # fmt: skip
            spec = PrepareSpec(contrasts=("t1n", "t2f"))
            yield BadInput("NIfTI", f"{key}: {name}", f"{key}.nii",
                           lambda r=record, s=spec: warnings_of([r], s))  # fmt: skip


def settings(folder: Path) -> Iterator[BadInput]:
    """Numbers and choices of the recipes, beyond their ranges."""
    from omegaconf import OmegaConf

    from mechlearn.config.ranges import CHOICES, RANGES, check_names, check_ranges

    for pattern, allowed in RANGES.items():
        key = pattern.replace("*", "x")
        below = allowed.low if allowed.above else allowed.low - 1
        for value in (below, allowed.high * 2 + 1, math.nan):
            if value not in allowed.also:
                cfg = OmegaConf.create()
                OmegaConf.update(cfg, key, value)
                yield BadInput("setting", f"{key}={value:g}", key, lambda c=cfg: check_ranges(c))
    for pattern in CHOICES:
        key = pattern.replace("*", "x")
        cfg = OmegaConf.create()
        OmegaConf.update(cfg, key, "quantum")
        yield BadInput("setting", f"{key}=quantum", key, lambda c=cfg: check_ranges(c))
    for word in ("name=../../x", "name=a/b", "name=.x", "data.name=/x", "model.kind=../x"):
        key = word.partition("=")[0]
        yield BadInput("setting", word, key, lambda w=word: check_names([w]))
    yield from specs()


def specs() -> Iterator[BadInput]:
    """The library's own specs: sampler, growth, maps, preparation, splits, phantoms, what-if."""
    from mechlearn.data.store_spec import PrepareSpec, SplitSpec
    from mechlearn.diffusion.sampler_spec import SamplerSpec
    from mechlearn.evaluation.map_spec import MapSpec
    from mechlearn.evaluation.treatment_change import CourseChange
    from mechlearn.growth.growth_spec import GrowthSpec
    from mechlearn.phantom.phantom_spec import PhantomSpec

    wrong = dict(zip((SamplerSpec, GrowthSpec, MapSpec, PrepareSpec, SplitSpec, PhantomSpec,
                      CourseChange), WRONG_SPECS.values(), strict=True))  # fmt: skip
    usual = {"dose_gy": 60.0, "fractions": 30}
    for spec, keys in wrong.items():
        for key, values in keys.items():
            for value in values:
                given = {**(usual if spec is CourseChange else {}), key: value}
                yield BadInput(spec.__name__, f"{key}={value!r}", key,
                               lambda s=spec, g=given: s(**g))  # fmt: skip


GROUPS = (tables, json_files, checkpoints, volumes, settings)


def judged(bad: BadInput) -> tuple[str, str]:
    """(verdict, message): clear, traceback, unclear or accepted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bad.read()
    except Exception as error:  # noqa: BLE001  what comes out is what is measured
        text = user_text(error)
        if text is None:
            return "traceback", f"{type(error).__name__}: {error}"
        clear = bad.word in text and "\n" not in text.strip() and len(text) < LONGEST
        return "clear" if clear else "unclear", text
    return "accepted", ""


def rows(folder: Path) -> list[dict[str, str]]:
    """All bad inputs, read in turn: kind, input, verdict, message."""
    found = []
    for group in GROUPS:
        for bad in group(folder):
            verdict, message = judged(bad)
            shown = message.replace(str(folder), "FOLDER")
            found.append({"kind": bad.kind, "input": bad.name, "verdict": verdict,
                          "message": " ".join(shown.split())})  # fmt: skip
    return found


def write(found: list[dict[str, str]], path: Path) -> None:
    """The table as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def main() -> None:
    """Read all inputs, print those that are not clear, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        found = rows(Path(scratch))
    write(found, args.table or args.folder / "inputs.csv")
    for row in found:
        if row["verdict"] != "clear":
            print(*row.values(), sep=" | ")  # noqa: T201
    print({v: sum(r["verdict"] == v for r in found) for v in {r["verdict"] for r in found}})  # noqa: T201


if __name__ == "__main__":
    main()
