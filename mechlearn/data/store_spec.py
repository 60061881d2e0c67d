"""What a slice store is made with: values, compared and stored beside the slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechlearn.checks import in_range, one_of, positive
from mechlearn.file_entries import FileEntries
from mechlearn.files import read_json
from mechlearn.records import CONTRASTS
from mechlearn.spatial.percentiles import DEFAULT_PERCENTILES, check_percentiles

if TYPE_CHECKING:
    from mechlearn.data.model_grid import SliceGrid

__all__ = ["FORMAT", "PrepareSpec", "SplitSpec", "check_grid"]

MISSING = ("refuse", "fill")
FORMAT = 2  # of a store; one of format 1 is prepared again
REMEDY = "Prepare again under another data.name, or remove this folder first."


def check_grid(size: int, pixel_mm: float) -> None:
    """ValueError unless a slice has at least 8 x 8 pixels of a positive size."""
    positive("data.prepare.pixel_mm", pixel_mm)
    if size < 8:
        raise ValueError(f"data.prepare.size={size}: a grid has at least 8 x 8 pixels.")


@dataclass
class PrepareSpec:
    """How volumes become slices.

    Attributes:
        size: pixels along each side of a slice.
        pixel_mm: their spacing; 256 x 1.0 mm is the paper's grid, 128 x 1.5 mm the demo's.
        percentiles: of the brain voxels of a volume and contrast, mapped to -1 and 1.
        min_brain_mm2: slices with less brain are left out. 2000 keeps about 125 slices of a
            BraTS volume; the paper's 140,000 slices of 1,230 patients (114 each) match 4000.
        contrasts: in the order of the image channels.
        missing: what becomes of a visit that lacks some of them: `refuse`, or `fill` them with
            background everywhere and remember that they are not there.
    """

    size: int = 256
    pixel_mm: float = 1.0
    percentiles: tuple[float, float] = DEFAULT_PERCENTILES
    min_brain_mm2: float = 2000.0
    contrasts: tuple[str, ...] = CONTRASTS
    missing: str = "refuse"

    def __post_init__(self) -> None:
        check_grid(self.size, self.pixel_mm)
        self.percentiles = check_percentiles(self.percentiles)
        in_range("data.prepare.min_brain_mm2", self.min_brain_mm2, 0.0, 1e6)
        self.contrasts = checked_contrasts("data.prepare.contrasts", self.contrasts, CONTRASTS)
        one_of("data.prepare.missing", self.missing, MISSING)

    @classmethod
    def read(cls, path: Path) -> PrepareSpec:
        """That of a store.json; ValueError naming the file and the entry that is wrong."""
        card = FileEntries.of(read_json(path, digest=True, remedy=REMEDY), str(path), REMEDY)
        if (held := card.held.get("format")) not in (1, FORMAT):
            raise card.wrong("format", held, f"this version reads format {FORMAT}")
        spec = card.section("spec")
        names = [f.name for f in fields(cls)]
        spec.only(*names)
        contrasts = spec.words("contrasts")
        if not contrasts or not {*contrasts} <= {*CONTRASTS}:
            raise spec.wrong("contrasts", contrasts, f"must be some of {', '.join(CONTRASTS)}")
        low, high = spec.numbers("percentiles", (2,), 0, 100, ascending=True)
        return cls(
            int(spec.number("size", 8, 65_536)), spec.number("pixel_mm", 0, 1000, above=True),
            (float(low), float(high)), spec.number("min_brain_mm2", 0, 1e6), contrasts,
            spec.choice("missing", MISSING) if "missing" in spec.held else "refuse",
        )  # fmt: skip

    @property
    def grid(self) -> SliceGrid:
        from mechlearn.data.model_grid import SliceGrid  # nibabel and scipy: not for a schema

        return SliceGrid(self.size, self.pixel_mm)

    def as_dict(self) -> dict[str, Any]:
        """Plain builtins as JSON gives them back (lists, no tuples)."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass
class SplitSpec:
    """Patients for validation and test: a share (< 1) or a number (>= 1) of them; the rest trains.

    Attributes:
        val, test: of all patients, drawn in proportion from each age group and data set; of adults
            alone where the paediatric number is given. A patient of unknown age counts as adult.
        val_paediatric, test_paediatric: of paediatric patients; None to draw them with the others.
        seed: of the draw.
    """

    val: float = 0.1
    test: float = 0.1
    seed: int = 0
    val_paediatric: float | None = None
    test_paediatric: float | None = None

    def __post_init__(self) -> None:
        for key in ("val", "test", "val_paediatric", "test_paediatric"):
            if getattr(self, key) is None and key.endswith("_paediatric"):
                continue
            value = float(getattr(self, key))
            in_range(f"data.splits.{key}", value, 0.0, 1e9)
            if value >= 1 and value != int(value):
                raise ValueError(
                    f"data.splits.{key}={value:g}: must be a share below 1 or a whole number."
                )


def checked_contrasts(
    key: str, contrasts: Sequence[str], available: Sequence[str]
) -> tuple[str, ...]:
    """`contrasts` as a tuple; ValueError naming `key` if empty, doubled or not among `available`.
    """
    names = tuple(contrasts)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{key}={names}: name each contrast once, at least one.")
    for name in names:
        one_of(key, name, tuple(available), remedy="Prepare the data with it or drop it.")
    return names
