"""The slices of a visit in one file: a blosc2 array, a slice a chunk, a channel a block.

slices.b2nd holds (S, C + 1, H, W) uint16, S slices of C contrasts: first the contrasts as the bits
of float16, then labels | brain << 7. A random slice is one read of about an eighth of its bytes,
and a contrast costs its own share of that. Anyone reads it without this library:

    stored = blosc2.open("slices.b2nd")[12]
    images, labels, brain = stored[:-1].view("float16"), stored[-1] & 127, stored[-1] >> 7

Beside the array (vlmeta "xxh3") stand digests, 8 bytes each: of the array's layout, then of every
compressed slice. A slice is compared when it is first read after the file was opened.

Why this and not Zarr, HDF5 or plain arrays: experiments/benchmarks/slice_store.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import blosc2
import numpy as np
import xxhash

__all__ = ["NAME", "OpenFiles", "SliceFile", "write_slice_file"]

NAME = "slices.b2nd"
BRAIN_BIT = 7
LABEL_BITS = (1 << BRAIN_BIT) - 1
DIGESTS = "xxh3"
DIGEST_BYTES = 8
MOST_OPEN = 256  # files; far below the usual limit of 1024 of a process


def write_slice_file(path: Path, images: np.ndarray, labels: np.ndarray, brain: np.ndarray) -> None:
    """Write one visit; the same arrays give the same bytes.

    Args:
        path: of the new file.
        images: (S, C, H, W) float16; every bit is kept.
        labels: (S, H, W) uint8, below 128.
        brain: (S, H, W) bool.
    """
    count, channels, height, width = images.shape
    stored = np.empty((count, channels + 1, height, width), np.uint16)
    stored[:, :-1] = images.view(np.uint16)
    stored[:, -1] = labels | (brain.astype(np.uint8) << BRAIN_BIT)
    array = blosc2.asarray(
        stored,
        chunks=(1, *stored.shape[1:]),
        blocks=(1, 1, height, width),
        # One thread: worker processes are the parallelism, and a pool of threads dies in a fork.
        cparams=blosc2.CParams(
            codec=blosc2.Codec.LZ4HC,  # slow to write, small, and the fastest to read
            clevel=5,
            filters=[blosc2.Filter.SHUFFLE],
            typesize=2,
            nthreads=1,
        ),
        contiguous=True,
    )
    chunks = (array.schunk.get_chunk(row) for row in range(count))
    digests = (_layout(*_keys(array)), *map(xxhash.xxh3_64_digest, chunks))
    array.schunk.vlmeta[DIGESTS] = b"".join(digests)
    path.write_bytes(array.to_cframe())  # blosc2's own error of a full disk does not say so


def _keys(array: blosc2.NDArray) -> tuple[Any, ...]:
    return array.shape, array.chunks, array.blocks, array.dtype


@cache
def _layout(shape: Any, chunks: Any, blocks: Any, dtype: np.dtype) -> bytes:
    """Digest of a layout; the visits of a store have few."""
    return xxhash.xxh3_64_digest(repr((shape, chunks, blocks, str(dtype))).encode())


class SliceFile:
    """A visit's file, mapped into memory for reading.

    Raises:
        ValueError: no file of this kind at `path`; it names the path and the remedy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # The array owns its chunks: it must live as long as they are read.
            self._array = blosc2.open(
                str(path), mode="r", mmap_mode="r", dparams=blosc2.DParams(nthreads=1)
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise self._broken(error) from error
        self._chunks = self._array.schunk
        if len(self._array.shape) != 4:
            raise self._broken(ValueError(f"an array of shape {self._array.shape}"))
        self.count, stored, height, width = self._array.shape
        self._digests = self._read_digests()
        self._compared = bytearray(self.count)
        self.channels = stored - 1
        self.shape = (height, width)

    def _read_digests(self) -> bytes:
        """Of the layout and the slices; nothing in a file of version 0.1, which has none."""
        try:
            found: bytes = self._chunks.vlmeta[DIGESTS]
        except KeyError:
            return b""
        except (RuntimeError, ValueError, TypeError) as error:
            raise self._broken(error) from error
        right = _layout(*_keys(self._array)) == found[:DIGEST_BYTES]
        if not right or len(found) != DIGEST_BYTES * (self.count + 1):
            raise self._broken(ValueError("damaged: its layout is not the one that was written"))
        return found

    def _compare(self, row: int) -> None:
        at = DIGEST_BYTES * (row + 1)
        wanted = self._digests[at : at + DIGEST_BYTES]
        try:
            right = not wanted or xxhash.xxh3_64_digest(self._chunks.get_chunk(row)) == wanted
        except RuntimeError as error:
            raise self._broken(error) from error
        if not right:
            raise self._broken(ValueError(f"damaged: slice {row} is not the one that was written"))
        self._compared[row] = 1

    def _broken(self, error: Exception) -> ValueError:
        return ValueError(
            f"{self.path}: cannot be read ({error}). Remove the visit's folder and prepare again."
        )

    def _blocks(self, row: int, first: int, out: np.ndarray) -> None:
        """Decode the stored channels of slice `row` from `first` on into contiguous `out`."""
        if not 0 <= row < self.count:  # blosc2 would leave `out` as it is
            raise ValueError(
                f"{self.path}: has {self.count} slices and no row {row}; the visit was prepared "
                "again after the store was opened. Open the store anew."
            )
        if not self._compared[row]:
            self._compare(row)
        pixels = self.shape[0] * self.shape[1]
        start = (row * (self.channels + 1) + first) * pixels
        try:
            self._chunks.get_slice(start, start + out.size, out=out)
        except RuntimeError as error:
            raise self._broken(error) from error

    def image(self, row: int, out: np.ndarray, channels: Sequence[int] | None = None) -> None:
        """Fill `out` (C, H, W) float16 with slice `row`: all contrasts, or those at `channels`."""
        bits = out.view(np.uint16)
        if channels is None:
            self._blocks(row, 0, bits)
            return
        for plane, channel in zip(bits, channels, strict=True):
            self._blocks(row, channel, plane)

    def masks(self, row: int, out: np.ndarray) -> None:
        """Fill `out` (H, W) uint16 with labels | brain << 7 of slice `row`; see `unpack`."""
        self._blocks(row, self.channels, out)

    @staticmethod
    def unpack(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """labels | brain << 7 -> (labels uint8, brain bool)."""
        return (masks & LABEL_BITS).astype(np.uint8), (masks >> BRAIN_BIT).astype(bool)


File = TypeVar("File")


class OpenFiles(Generic[File]):
    """The files used last, each opened once a process.

    Forked and spawned workers begin with none: a handle is never shared between processes, and
    the object can be pickled.

    Args:
        open_file: opens one; called at first use.
        most: as many stay open, the one used longest ago is let go.
    """

    def __init__(self, open_file: Callable[[Path], File], *, most: int = MOST_OPEN) -> None:
        self._open_file = open_file
        self._most = most
        self._pid = os.getpid()
        self._files: OrderedDict[Path, File] = OrderedDict()

    def __call__(self, path: Path) -> File:
        if self._pid != os.getpid():
            self._pid, self._files = os.getpid(), OrderedDict()
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        file = self._files[path] = self._open_file(path)
        if len(self._files) > self._most:
            self._files.popitem(last=False)
        return file

    def __len__(self) -> int:
        return len(self._files)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}
