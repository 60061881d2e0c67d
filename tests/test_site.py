"""The documentation site builds and needs no network; the tutorial's commands run as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
FETCHED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*(?:src|href)=["'](https?://[^"']+)""")


def run(*words: object, cwd: Path) -> str:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    run("-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", built, cwd=ROOT)
    return built


def test_every_page_is_on_the_site_and_in_its_menu(site: Path) -> None:
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}
    menu = (site / "index.html").read_text()
    assert not [name for name in pages - {"index"} if f'href="{name}.html"' not in menu]


def test_no_page_of_the_site_fetches_anything(site: Path) -> None:
    fetched = {page.name: FETCHED.findall(page.read_text()) for page in site.glob("*.html")}
    assert not {name: urls for name, urls in fetched.items() if urls}


def test_equations_are_drawn_by_the_browser(site: Path) -> None:
    page = (site / "how-it-works.html").read_text()
    assert page.count("<math") > 10
    assert "arithmatex" not in page


def test_docstrings_are_on_the_site_with_their_examples(site: Path) -> None:
    page = (site / "reference.html").read_text()
    assert "mechlearn.api.Patient.from_csv" in page
    assert ">Examples:<" in page


def test_the_first_forecast_runs_in_an_odd_space(tmp_path: Path) -> None:
    """examples/sample_patient.py, `forecast` and `score`, as docs/first-forecast.md types them."""
    run(ROOT / "examples" / "sample_patient.py", "odd", "--clinical", cwd=tmp_path)
    run("-m", "mechlearn.forecast", "patient=odd/visits.csv", "day=+60", "draw=0",
        "hydra.run.dir=out", cwd=tmp_path)  # fmt: skip
    visit = tmp_path / "odd" / "MLP-GLI-90001-002" / "MLP-GLI-90001-002-seg.nii.gz"
    made, last = nib.load(tmp_path / "out" / "growth_probability.nii.gz"), nib.load(visit)
    assert made.shape == last.shape == (230, 170, 42)
    np.testing.assert_allclose(made.affine, last.affine, atol=1e-4)
    inside = np.asarray(made.dataobj)[np.asarray(last.dataobj) > 0]
    assert inside.mean() > 10 * np.asarray(made.dataobj).mean()  # the map lies on the tumour
