"""Pages, examples and docstrings say what works."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mechlearn.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md",
         *sorted((ROOT / "docs").glob("*.md"))]  # fmt: skip
READMES = sorted((ROOT / "experiments").rglob("README.md"))
RUN = re.compile(r"bash (experiments/[\w/]+)/run\.sh (smoke|full)((?: [a-z_][\w.]*=[^\s`]+)*)")
COMMAND = re.compile(r"^ {4,}(?:srun |torchrun .*? -m )?python -m mechlearn\.(\w+) (.*)$", re.M)
DOCTESTED = ("mechlearn.api", "mechlearn.data.day_cells", "mechlearn.evaluation.forecast_day",
             "mechlearn.extras", "mechlearn.growth.learned_forecast",
             "mechlearn.models.network_targets", "mechlearn.records.maps",
             "mechlearn.records.sizes", "mechlearn.spatial.volume_arrival")  # fmt: skip


def commands() -> list[tuple[str, str]]:
    """(command, its words) of every page; what continues on the next line is joined."""
    found = []
    for page in [*PAGES, *READMES]:
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
    if "sweeper=optuna" in given:
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    for variant in range(2):  # the first and the last value of each list of a sweep
        overrides = []
        for word in given:
            key, _, value = word.partition("=")
            values = value.split(",") if value and not value.startswith("[") else [value]
            overrides.append(f"{key}={values[-variant]}" if value else word)
        composed(name, *(w for w in overrides if not w.startswith("hydra.")))


def experiment_runs() -> list[tuple[str, str]]:
    """(folder, overrides) of every `run.sh` that a page or a README calls."""
    texts = [" ".join(page.read_text().replace("\\\n", " ").split()) for page in [*PAGES, *READMES]]
    return sorted({(run[0], run[2].strip()) for text in texts for run in RUN.findall(text)})


@pytest.mark.parametrize(("folder", "words"), experiment_runs())
@pytest.mark.usefixtures("fresh_hydra")
def test_overrides_of_an_experiment_compose(
    folder: str, words: str, composed: Callable[..., Any]
) -> None:
    script = (ROOT / folder / "run.sh").read_text()
    recipe = re.search(r"mechlearn\.(\w+) (?:-m )?(\+experiment=\w+)", script)
    if recipe is not None:
        composed(recipe[1], recipe[2], *words.split())


def test_experiments_that_pages_name_exist() -> None:
    named = {name for page in [*PAGES, *READMES]
             for name in re.findall(r"experiment NAME=(\w[\w/]*)", page.read_text())}  # fmt: skip
    assert "fig4_longitudinal" in named
    assert not [name for name in named if not (ROOT / "experiments" / name / "run.sh").is_file()]


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


def blocks(page: Path) -> list[str]:
    """The indented blocks of a page that begin with an import, without their indent."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", page.read_text(), re.M)
    code = [textwrap.dedent(block).strip() for block in found]
    return [block for block in code if re.match(r"(?:import|from) ", block)]


SNIPPETS = [(page, block) for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize(("page", "block"), SNIPPETS, ids=lambda value: getattr(value, "name", ""))
def test_python_of_the_pages_runs(page: Path, block: str) -> None:
    """What reads a file of the reader's is compiled only; `tests/test_api.py` runs those calls."""
    compiled = compile(block, str(page), "exec")
    if not re.search(r"\.(?:csv|nii)", block):
        exec(compiled, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_and_comments_stand_inside_code_blocks(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert [line for line in lines if line.startswith("# ")] == lines[:1]
    assert not [line for line in lines if line.startswith("python -m ")]


def test_the_reference_names_what_there_is() -> None:
    names = re.findall(r"^::: ([\w.]+)$", (ROOT / "docs" / "reference.md").read_text(), re.M)
    assert len(names) > 10
    for module, _, name in (n.rpartition(".") for n in names):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_table_of_recipes_names_every_recipe() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", (ROOT / "docs" / "recipes.md").read_text(), re.M)
    listed = {group: set(re.findall(r"`(\w+)`", options)) for group, options in rows}
    folders = [f for f in (ROOT / "conf").iterdir() if f.is_dir()]
    there = {f.name: {p.stem for p in f.glob("*.yaml")} for f in folders}
    assert {g: there[g] for g in there if g not in ("experiment", "hydra")} == listed


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
