"""Files that a stranger may have made to run code, reach the network or write elsewhere.

    python experiments/benchmarks/faults/hostile.py FOLDER

Every sample is read in a process of its own, in an empty folder, under an audit hook. Counted are
*executions* (a program or a payload was started), *downloads* (a socket or an address was asked
for), *outside* (a file opened for writing, made, moved or removed outside the sample's folder) and
*injections* (text of the sample that comes out as markup, as a command of the terminal or as a
formula of a spreadsheet).
"""

from __future__ import annotations

import builtins
import io
import json
import logging
import os
import pickle
import re
import sys
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

__all__ = ["KINDS", "Sample", "count", "samples"]

KINDS = ("executions", "downloads", "outside", "injections")
FORK = get_context("fork")
STARTS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn",
          "webbrowser.open", "code.__new__", "ctypes.dlopen")  # fmt: skip
CALLS = ("socket.connect", "socket.getaddrinfo", "urllib.Request", "http.client.connect",
         "ftplib.connect", "smtplib.connect")  # fmt: skip
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
           "shutil.rmtree", "shutil.move", "os.truncate")  # fmt: skip
LONGEST_S = 20.0  # a sample that takes longer hangs
PAYLOAD = "touch executed"
CALLABLES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "os.system": (os.system, (PAYLOAD,)), "os.popen": (os.popen, (PAYLOAD,)),
    "subprocess.run": (import_module("subprocess").run, (["touch", "executed"],)),
    "subprocess.Popen": (import_module("subprocess").Popen, (["touch", "executed"],)),
    "builtins.exec": (builtins.exec, (f"import os; os.system('{PAYLOAD}')",)),
    "builtins.eval": (builtins.eval, (f"__import__('os').system('{PAYLOAD}')",)),
    "builtins.open": (builtins.open, ("executed", "w")),
    "builtins.__import__": (builtins.__import__, ("antigravity",)),
    "pathlib.Path.touch": (Path.touch, (Path("executed"),)),
    "importlib.import_module": (import_module, ("antigravity",)),
    "runpy.run_path": (import_module("runpy").run_path, ("/etc/hostname",)),
    "shutil.rmtree": (import_module("shutil").rmtree, ("/nonexistent/x",)),
    "urllib.request.urlopen": (import_module("urllib.request").urlopen, ("http://127.0.0.1:9",)),
    "socket.create_connection": (import_module("socket").create_connection, (("127.0.0.1", 9),)),
    "torch.hub.load": (torch.hub.load, ("x/y", "z")), "numpy.load": (np.load, ("executed",)),
}  # fmt: skip
TEXTS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title><script>alert(1)//",
    "<svg/onload=alert(1)>", "'-alert(1)-'", "{{7*7}}", "{% import os %}{{os.system('x')}}",
    "<iframe src=http://127.0.0.1:9>", "<style>@import 'http://127.0.0.1:9'</style>", "<!--",
    "</script><script>alert(1)</script>", "[red]x[/]", "[link=http://127.0.0.1:9]x[/link]", "[/",
    "\x1b[2J", "\x1b]8;;http://127.0.0.1:9\x1b\\x", "\x1b]0;title\x07", "\x9b31m", r"$\frac{$",
    r"$\input{/etc/passwd}$", "$" * 9, "\u202egnp.exe", "=HYPERLINK(\"http://127.0.0.1:9\")",
    "=cmd|' /C calc'!A0", "@SUM(1)", "+1+cmd", "-2+cmd", "\t=1+1",
)  # fmt: skip
PATHS = ("../../escaped", "/tmp/escaped", "..\\..\\escaped", "a/../../escaped", "..", ".", "~/x",
         "$HOME/x", "C:\\x", "a\0b", "x" * 5000, "file:///etc/passwd", "//host/share", "nul", "*",
         "`touch executed`", "$(touch executed)", "; touch executed",
         "| touch executed")  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """What it tries, and how it is read; a returned text is looked at for injections."""

    kind: str
    name: str
    read: Callable[[], str | None]


class Pickled:
    """Unpickled, it calls."""

    def __init__(self, name: str) -> None:
        self.call = CALLABLES[name]

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def _files(kind: str, content: bytes | dict[str, bytes], name: str, read: Callable[[Path], Any],
           what: str) -> Sample:  # fmt: skip
    def run() -> None:
        for inside, data in (content if isinstance(content, dict) else {name: content}).items():
            Path(inside).parent.mkdir(parents=True, exist_ok=True)
            Path(inside).write_bytes(data)
        read(Path(name))

    return Sample(kind, what, run)


def pickles() -> Iterator[Sample]:
    """Payloads in every file that a pickle could hide in."""
    from mechlearn.evaluation.map_cases import read_cases
    from mechlearn.models.checkpoints import load_model
    from mechlearn.models.lineage import run_in_checkpoint

    for name in CALLABLES:
        raw = pickle.dumps(Pickled(name))
        buffer, arrays = io.BytesIO(), io.BytesIO()
        torch.save({"state_dict": Pickled(name), "mechlearn": {}}, buffer)
        np.savez(arrays, name=np.array([Pickled(name)], dtype=object))
        yield _files("pickle", raw, "w.pt", load_model, f"w.pt: {name}")
        yield _files("pickle", buffer.getvalue(), "w.ckpt", load_model, f"w.ckpt: {name}")
        yield _files("pickle", buffer.getvalue(), "last.ckpt", run_in_checkpoint,
                     f"resume: {name}")  # fmt: skip
        yield _files("pickle", {"cases/a.npz": arrays.getvalue()}, "cases/a.npz",
                     lambda p: list(read_cases(p.parents[1])), f"case: {name}")  # fmt: skip


def targets() -> Iterator[Sample]:
    """`_target_` of cards, bundles and recipes; dotted paths in populations and priors."""
    from mechlearn.growth.learned_forecast import load_size_prior
    from mechlearn.growth.population_file import load_ensemble
    from mechlearn.models.checkpoints import load_model
    from mechlearn.models.network_targets import build_network

    population = json.loads(Path(load_ensemble.__globals__["__file__"]).with_name(
        "populations").joinpath("phantom.json").read_text())  # fmt: skip
    for name in CALLABLES:
        network = {"_target_": name, "command": PAYLOAD, "_args_": [PAYLOAD]}
        yield Sample("_target_", f"network: {name}", lambda n=network: build_network(n))
        buffer = io.BytesIO()
        torch.save({"state_dict": {}, "mechlearn": {"kind": "ddpm", "network": network,
                                                    "schedule": {}, "data": {}}}, buffer)
        yield _files("_target_", buffer.getvalue(), "w.pt", load_model, f"card: {name}")
        bundle = {"network_def": {"_target_": name, "_args_": [PAYLOAD]},
                  "run": [f"$__import__('os').system('{PAYLOAD}')"], "models": network}  # fmt: skip
        for file in ("config.json", "configs/inference.json"):
            yield _files("_target_", {file: json.dumps(bundle).encode()}, ".", load_model,
                         f"{file}: {name}")  # fmt: skip
        for reader, what in ((load_ensemble, "population"), (load_size_prior, "prior")):
            content = json.dumps(population | {"format": name, "laws": {name: network}}).encode()
            yield _files("dotted path", content, "p.json", reader, f"{what}: {name}")
        yield Sample("_target_", f"recipe: {name}", lambda n=name: _recipe(n))


def _recipe(name: str) -> None:
    word = f"logger={{_target_:{name},_args_:['{PAYLOAD}']}}"
    sys.argv = ["train.py", "data=phantom", f"+logger.x={name}", f"logger._target_={name}",
                f"+logger._args_=['{PAYLOAD}']", word, "hydra.run.dir=out"]  # fmt: skip
    import_module("mechlearn.train").main()


def tables() -> Iterator[Sample]:
    """Cells and names: YAML tags, places, shell words; splits, archives and links."""
    from mechlearn.data.manifest import read_manifest
    from mechlearn.data.size_table import read_series
    from mechlearn.data.splits import read_splits

    tag = f"!!python/object/apply:os.system ['{PAYLOAD}']"
    columns = ("patient", "session", "day", "t2f", "seg", "label_scheme", "dose_gy")
    usual = ("P1", "s0", "0", "a.nii", "seg.nii", "brats2023", "60")
    for k, column in enumerate(columns):
        row = [*usual[:k], f'"{tag}"', *usual[k + 1 :]]
        text = f"{','.join(columns)}\n{','.join(row)}\n".encode()
        yield _files("YAML tag", text, "v.csv", read_manifest, f"{column}: {tag}")
    yield _files("YAML tag", f"- {tag}\n".encode(), "v.csv", read_manifest, "the whole manifest")
    for path in PATHS:
        for column in ("patient", "session"):
            row = [path if c == column else v for c, v in zip(columns, usual, strict=True)]
            text = f"{','.join(columns)}\n{','.join(row)}\n".encode()
            yield _files("place", text, "v.csv", read_manifest, f"{column}: {path[:30]!r}")
        text = f"patient,slice,day,area_mm2\n{path},{path},0,5\n".encode()
        yield _files("place", text, "s.csv", read_series, f"series: {path[:30]!r}")
        yield _files("place", json.dumps({path: "train"}).encode(), "splits.json", read_splits,
                     f"split: {path[:30]!r}")  # fmt: skip
        yield Sample("place", f"name={path[:30]!r}", lambda p=path: _named(p))
    for inside in ("../../escaped", "/tmp/escaped", "data.pkl"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(inside, pickle.dumps(Pickled("os.system")))
        for name, read in (("w.pt", _loaded), ("a.npz", np.load), ("t.xlsx", read_series)):
            yield _files("archive", buffer.getvalue(), name, read, f"{name}: {inside}")
    yield Sample("link", "output folder", _through_link)


def _loaded(path: Path) -> None:
    from mechlearn.models.checkpoints import load_model

    load_model(path)


def _named(name: str) -> None:
    sys.argv = ["evaluate.py", f"name='{name}'", "task=growth_fits", "task.patients=1",
                "data=phantom", "rerun=maybe"]  # fmt: skip
    import_module("mechlearn.evaluate").main()


def _through_link() -> None:
    """Results replace a link that lies in their place; its target stays."""
    from mechlearn.files import write_arrays, write_text

    target = Path("../target.txt")
    target.write_text("kept")
    for write, name in ((write_text, "row.json"), (write_arrays, "a.npz")):
        Path(name).symlink_to(target)
        write(Path(name), "x" if write is write_text else {"x": np.ones(3)})  # type: ignore[operator]
    if target.read_text() != "kept":
        raise RuntimeError("ESCAPED")


def texts() -> Iterator[Sample]:
    """Names and notes as pages, terminals, figures and tables show them."""
    for text in TEXTS:
        for what, show in (("page", _page), ("terminal", _terminal), ("figure", _figure),
                           ("table", _table)):  # fmt: skip
            yield Sample("text", f"{what}: {text!r}", lambda s=show, t=text: s(t))


class Tags(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.update([tag, *(f"{tag}.{k}" for k, _ in attrs)])


def _tags(text: str) -> Counter[str]:
    from mechlearn.report.page import Section, write_page

    page = write_page(Path("p.html"), title=text, sections=[Section(text, [text], [])], model=text,
                      settings={text: text}, commands=[text])  # fmt: skip
    parsed = Tags()
    parsed.feed(page.read_text())
    return parsed.found


def _page(text: str) -> str | None:
    return None if _tags(text) == _tags("plain") else "INJECTION"


def _terminal(text: str) -> str | None:
    """A patient of a table, as the terminal shows it: refused, or without a command."""
    from mechlearn.data.size_table import read_series
    from mechlearn.report.row_table import row_table

    cell = text.replace('"', '""')
    path = Path("s.csv")
    path.write_text(f'patient,slice,day,area_mm2\n"{cell}",z1,0,5\n"{cell}",z1,9,6\n')
    (series,) = read_series(path).timelines
    stream = io.StringIO()
    Console(file=stream, width=300, force_terminal=True, color_system=None).print(
        row_table({"job": series.patient, "law": series.patient, "x": series.patient}))
    shown = re.sub("\x1b\\[[\\d;]*m", "", stream.getvalue())  # italics and bold of our own
    escapes = any(unicodedata.category(c) in ("Cc", "Cf") for c in shown.replace("\n", ""))
    return "INJECTION" if escapes or series.patient not in shown else None


def _figure(text: str) -> None:
    from mechlearn.report.style import label_axes, new_figure, png

    figure = new_figure(3, 2)
    label_axes(figure.subplots(), x=text, y=text, title=text)
    png(figure)


def _table(text: str) -> str | None:
    """A cell of a table as a spreadsheet opens it."""
    import csv

    from mechlearn.evaluation.rows import write_table

    path = write_table(Path("t.csv"), [{"patient": text, "dice": -0.5}])
    with path.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    return "INJECTION" if row["patient"][:1] in tuple("=+-@\t\r") else None


def samples(every: int = 1) -> Iterator[Sample]:
    """All of them, or every third (say) of each kind and reader, the first always."""
    seen: Counter[tuple[str, str]] = Counter()
    for group in (pickles, targets, tables, texts):
        for sample in group():
            alike = (sample.kind, re.split("[:=]", sample.name)[0])
            if seen[alike] % every == 0:
                yield sample
            seen[alike] += 1


def _watched(sample: Sample, home: Path, send: Any) -> None:
    """Read a sample under the audit hook and send what it did."""
    logging.disable(logging.CRITICAL)
    os.chdir(home)
    os.environ["TMPDIR"] = tempfile.tempdir = str(home)
    for stream in (1, 2):
        os.dup2(os.open("/dev/null", os.O_WRONLY), stream)
    found: Counter[str] = Counter()

    def outside(path: object) -> bool:
        if not isinstance(path, (str, bytes)):
            return False
        place = os.path.realpath(os.path.join(home, os.fsdecode(path)))
        return not place.startswith((str(home.parent), "/dev/", "/proc/"))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in STARTS:
            found["executions"] += 1
        elif event in CALLS:
            found["downloads"] += 1
        elif event in CHANGES or (event == "open" and set(str(args[1])) & set("wax+")):
            found["outside"] += outside(args[0])

    sys.addaudithook(hook)
    try:
        found["injections"] += sample.read() == "INJECTION"
    except RuntimeError as error:
        found["outside"] += "ESCAPED" in str(error)
    except BaseException:  # noqa: BLE001  a refusal is what is hoped for
        found["refused"] += 1
    found["executions"] += (home / "executed").exists() and "builtins.open" not in sample.name
    send.send(dict(found))


def count(folder: Path, chosen: Iterator[Sample] | None = None) -> Counter[str]:
    """Read all samples, or those chosen; how many there are and what they did."""
    total: Counter[str] = Counter(dict.fromkeys(("hostile", *KINDS), 0))
    for name in ("mechlearn.train", "mechlearn.evaluate", "mechlearn.config.training",
                 "mechlearn.report.style", "mechlearn.report.page"):  # fmt: skip
        import_module(name)
    for n, sample in enumerate(list(chosen or samples())):
        home = Path(tempfile.mkdtemp(dir=folder)).resolve() / "home"
        home.mkdir()
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_watched, args=(sample, home, theirs))
        process.start()
        theirs.close()
        try:
            found = ours.recv() if ours.poll(LONGEST_S) else {"hangs": 1}
        except EOFError:
            found = {"died": 1}
        process.kill()
        process.join()
        total["hostile"] += 1
        total.update({k: v > 0 for k, v in found.items()})
        if any(found.get(k) for k in (*KINDS, "died", "hangs")):
            print(n, sample.kind, sample.name, found, flush=True)  # noqa: T201
    return total


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as scratch:
        print(dict(count(Path(scratch))))  # noqa: T201
