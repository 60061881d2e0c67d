"""The same slices in every format: how each is written, opened and read.

All but today's plain arrays hold one array (S, C + 1, H, W) uint16, contrasts as the bits of
float16 and labels | brain << 7 as the last channel, so that every format is read once a slice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blosc2
import h5py
import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, ZstdCodec

from mechlearn.data.slices import SliceFile, write_slice_file

__all__ = ["FORMATS", "Format", "joined"]

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # images, labels, brain


@dataclass(frozen=True)
class Format:
    """`write(folder, images, labels, brain)`; `open(folder)` -> handle; `read(handle, row)`."""

    name: str
    write: Callable[..., None]
    open: Callable[[Path], Any]
    read: Callable[[Any, int], Arrays]


def joined(images: np.ndarray, labels: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(S, C + 1, H, W) uint16."""
    masks = labels | (brain.astype(np.uint8) << 7)
    return np.concatenate([images.view(np.uint16), masks[:, None].astype(np.uint16)], axis=1)


def parted(stored: np.ndarray) -> Arrays:
    """One stored slice (C + 1, H, W) -> image, labels, brain."""
    return stored[:-1].view(np.float16), *SliceFile.unpack(stored[-1])


def _write_npy(folder: Path, *arrays: np.ndarray) -> None:
    for name, array in zip(("images", "labels", "brain"), arrays, strict=True):
        np.save(folder / f"{name}.npy", array)


def _write_packed(folder: Path, images: np.ndarray, labels: np.ndarray, brain: np.ndarray) -> None:
    np.save(folder / "images.npy", images)
    np.save(folder / "masks.npy", labels | (brain.astype(np.uint8) << 7))


def _mapped(*names: str) -> Callable[[Path], list[np.ndarray]]:
    return lambda folder: [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]


def _read_packed(handle: list[np.ndarray], row: int) -> Arrays:
    return np.array(handle[0][row]), *SliceFile.unpack(handle[1][row])


def _b2nd(name: str, codec: blosc2.Codec, level: int, shuffle: blosc2.Filter) -> Format:
    def write(folder: Path, *arrays: np.ndarray) -> None:
        stored = joined(*arrays)
        blosc2.asarray(
            stored, chunks=(1, *stored.shape[1:]), blocks=(1, 1, *stored.shape[2:]),
            cparams=blosc2.CParams(codec=codec, clevel=level, filters=[shuffle], typesize=2,
                                   nthreads=1),
            urlpath=str(folder / "slices.b2nd"), mode="w", contiguous=True,
        )  # fmt: skip

    def open_(folder: Path) -> blosc2.NDArray:
        return blosc2.open(str(folder / "slices.b2nd"), mode="r", mmap_mode="r",
                           dparams=blosc2.DParams(nthreads=1))  # fmt: skip

    def read(handle: blosc2.NDArray, row: int) -> Arrays:
        out = np.empty(handle.shape[1:], np.uint16)
        handle.schunk.decompress_chunk(row, dst=out)
        return parted(out)

    return Format(name, write, open_, read)


def _zarr(name: str, compressor: Any, *, shard: bool = False) -> Format:
    def write(folder: Path, *arrays: np.ndarray) -> None:
        stored = joined(*arrays)
        shards = {"shards": stored.shape} if shard else {}
        array = zarr.create_array(
            store=str(folder / "slices.zarr"), shape=stored.shape, dtype="uint16",
            chunks=(1, *stored.shape[1:]), compressors=compressor, serializer=BytesCodec(),
            overwrite=True, **shards,
        )  # fmt: skip
        array[:] = stored

    return Format(
        name, write, lambda folder: zarr.open_array(str(folder / "slices.zarr"), mode="r"),
        lambda handle, row: parted(np.asarray(handle[row])),
    )  # fmt: skip


def _hdf5(name: str, **options: Any) -> Format:
    def write(folder: Path, *arrays: np.ndarray) -> None:
        stored = joined(*arrays)
        with h5py.File(folder / "slices.h5", "w") as file:
            file.create_dataset("slices", data=stored, chunks=(1, *stored.shape[1:]), **options)

    return Format(
        name, write, lambda folder: h5py.File(folder / "slices.h5", "r")["slices"],
        lambda handle, row: parted(handle[row]),
    )  # fmt: skip


def _write_npz(folder: Path, *arrays: np.ndarray) -> None:
    for row, stored in enumerate(joined(*arrays)):
        np.savez_compressed(folder / f"{row:03d}.npz", slice=stored)


def _read_npz(folder: Path, row: int) -> Arrays:
    with np.load(folder / f"{row:03d}.npz") as file:
        return parted(file["slice"])


def _read_store(file: SliceFile, row: int) -> Arrays:
    image = np.empty((file.channels, *file.shape), np.float16)
    masks = np.empty(file.shape, np.uint16)
    file.image(row, image)
    file.masks(row, masks)
    return image, *file.unpack(masks)


BYTE, BIT = blosc2.Filter.SHUFFLE, blosc2.Filter.BITSHUFFLE
LZ4, LZ4HC, ZSTD = blosc2.Codec.LZ4, blosc2.Codec.LZ4HC, blosc2.Codec.ZSTD
_BLOSC = BloscCodec(cname="lz4", clevel=9, shuffle="shuffle", typesize=2)
FORMATS = [
    Format("npy", _write_npy, _mapped("images", "labels", "brain"),
           lambda handle, row: tuple(np.array(array[row]) for array in handle)),  # type: ignore[arg-type,return-value]
    Format("npy_packed", _write_packed, _mapped("images", "masks"), _read_packed),
    Format("store", lambda folder, *arrays: write_slice_file(folder / "slices.b2nd", *arrays),
           lambda folder: SliceFile(folder / "slices.b2nd"), _read_store),
    _b2nd("blosc2_lz4_1", LZ4, 1, BYTE),
    _b2nd("blosc2_lz4_9", LZ4, 9, BYTE),
    _b2nd("blosc2_lz4_9_bit", LZ4, 9, BIT),
    _b2nd("blosc2_lz4hc_5", LZ4HC, 5, BYTE),
    _b2nd("blosc2_zstd_1", ZSTD, 1, BYTE),
    _b2nd("blosc2_zstd_1_bit", ZSTD, 1, BIT),
    _b2nd("blosc2_zstd_5", ZSTD, 5, BYTE),
    _zarr("zarr_zstd", ZstdCodec(level=1)),
    _zarr("zarr_blosc", _BLOSC),
    _zarr("zarr_blosc_sharded", _BLOSC, shard=True),
    _hdf5("hdf5_lzf", compression="lzf", shuffle=True),
    _hdf5("hdf5_gzip", compression="gzip", compression_opts=1, shuffle=True),
    Format("npz", _write_npz, lambda folder: folder, _read_npz),
]  # fmt: skip
