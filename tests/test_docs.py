"""Pages, examples and docstrings say what works."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mechlearn.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md",
         *sorted((ROOT / "docs").glob("*.md"))]  # fmt: skip
COMMAND = re.compile(r"^ {4,}(?:srun |torchrun .*? -m )?python -m mechlearn\.(\w+) (.*)$", re.M)
DOCTESTED = ("mechlearn.api", "mechlearn.evaluation.forecast_day", "mechlearn.extras",
             "mechlearn.growth.size_prior", "mechlearn.models.network_targets",
             "mechlearn.records.maps", "mechlearn.records.sizes",
             "mechlearn.spatial.volume_arrival")  # fmt: skip


def commands() -> list[tuple[str, str]]:
    """(command, its words) of every page; what continues on the next line is joined."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        found += [(name, words.split("  #")[0].strip()) for name, words in COMMAND.findall(text)]
    return sorted(set(found))


@pytest.mark.parametrize(("name", "words"), commands())
@pytest.mark.usefixtures("fresh_hydra")
def test_every_command_of_the_pages_composes(
    name: str, words: str, composed: Callable[..., Any]
) -> None:
    assert name in COMMANDS or name == "evaluation"
    if name in ("collect", "score"):
        return
    given = [w for w in shlex.split(words) if w not in ("-m", "...")]
    for variant in range(2):  # the first and the last value of each list of a sweep
        overrides = []
        for word in given:
            key, _, value = word.partition("=")
            values = value.split(",") if value and not value.startswith("[") else [value]
            overrides.append(f"{key}={values[-variant]}" if value else word)
        composed(name, *(w for w in overrides if not w.startswith("hydra.")))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text())
    assert not [t for t in targets if not (page.parent / t).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:mechlearn|tests|experiments|conf|docs|examples)/[\w./-]*\w)`",
                       page.read_text())  # fmt: skip
    missing = {n for n in named if not (ROOT / n).exists() and "my_" not in n and "power" not in n}
    assert not missing


@pytest.mark.parametrize("name", DOCTESTED)
def test_examples_of_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", ["sizes_only", "own_growth_model"])
def test_examples_run_from_another_folder(name: str, tmp_path: Path) -> None:
    script = ROOT / "examples" / f"{name}.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
