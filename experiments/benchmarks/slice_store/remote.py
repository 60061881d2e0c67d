"""A slice over HTTP: requests and bytes, counted by a local server that understands ranges."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import blosc2
import fsspec
import h5py
import numpy as np
import zarr

__all__ = ["over_http"]


class Counter(SimpleHTTPRequestHandler):
    """Serves a folder with byte ranges and counts what it sends."""

    requests = 0
    sent = 0
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        Counter.requests += 1
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, asked = path.read_bytes(), self.headers.get("Range")
        part, code = data, 200
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else len(data) - int(last)
            stop = int(last) + 1 if first and last else len(data)
            part, code = data[start:stop], 206
        self.send_response(code)
        if code == 206:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        Counter.sent += len(part)
        self.wfile.write(part)

    def do_HEAD(self) -> None:
        Counter.requests += 1
        super().do_HEAD()


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve `root`; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counter, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def ranged(url: str, start: int, length: int) -> bytes:
    """Bytes of a file by one range request."""
    span = {"Range": f"bytes={start}-{start + length - 1}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=span)) as reply:
        return bytes(reply.read())


def _npy_reader(root: Path, url: str) -> Callable[[int], Any]:
    images = np.load(root / "npy_packed" / "images.npy", mmap_mode="r")
    masks = np.load(root / "npy_packed" / "masks.npy", mmap_mode="r")

    def read(row: int) -> None:
        for name, array in (("images", images), ("masks", masks)):
            size = array[0].nbytes
            ranged(f"{url}/npy_packed/{name}.npy", array.offset + row * size, size)

    return read


def _b2nd_reader(root: Path, url: str) -> Callable[[int], Any]:
    """One request a slice, by the places of the chunks (an index of 16 bytes a slice)."""
    path = root / "store" / "slices.b2nd"
    array, data = blosc2.open(str(path), mode="r"), path.read_bytes()
    chunks = [array.schunk.get_chunk(row) for row in range(array.shape[0])]
    places = [(data.index(chunk), len(chunk)) for chunk in chunks]

    def read(row: int) -> None:
        out = np.empty(array.shape[1:], np.uint16)
        blosc2.decompress2(ranged(f"{url}/store/slices.b2nd", *places[row]), dst=out)
        assert np.array_equal(out, array[row])

    return read


def _zarr_reader(url: str, name: str) -> Callable[[int], Any]:
    store = zarr.storage.FsspecStore.from_url(f"{url}/{name}/slices.zarr", read_only=True)
    array = zarr.open_array(store, mode="r", zarr_format=3)
    return lambda row: np.asarray(array[row])


def _hdf5_reader(url: str) -> Callable[[int], Any]:
    file = fsspec.open(f"{url}/hdf5_lzf/slices.h5", block_size=2**16).open()
    array = h5py.File(file, "r")["slices"]
    return lambda row: array[row]


def over_http(root: Path, rows: Sequence[int]) -> dict[str, float]:
    """Requests and kilobytes to open one visit, and for each random slice after that.

    Args:
        root: holds one visit in folders called after the formats.
        rows: of the slices read.
    """
    found: dict[str, float] = {}
    with served(root) as url:
        readers: dict[str, Callable[[], Callable[[int], Any]]] = {
            "npy_packed": lambda: _npy_reader(root, url),
            "store": lambda: _b2nd_reader(root, url),
            "zarr_blosc": lambda: _zarr_reader(url, "zarr_blosc"),
            "zarr_blosc_sharded": lambda: _zarr_reader(url, "zarr_blosc_sharded"),
            "hdf5_lzf": lambda: _hdf5_reader(url),
            "npz": lambda: lambda row: ranged(f"{url}/npz/{row:03d}.npz", 0, 2**30),
        }
        for name, make in readers.items():
            Counter.requests = Counter.sent = 0
            read = make()
            found[f"{name}_http_open_requests"] = Counter.requests
            Counter.requests = Counter.sent = 0
            for row in rows:
                read(row)
            found[f"{name}_http_requests_per_slice"] = Counter.requests / len(rows)
            found[f"{name}_http_kb_per_slice"] = Counter.sent / len(rows) / 1000
    asyncio.set_event_loop(None)
    return found
