"""The package docstring lists the modules in the order of their imports."""

import re
from pathlib import Path

import mechlearn.growth

FOLDER = Path(mechlearn.growth.__file__).parent
LINE = re.compile(r"^    ([a-z_]+(?:, [a-z_]+)*)  ", re.MULTILINE)


def listed() -> list[str]:
    return [name for row in LINE.findall(mechlearn.growth.__doc__) for name in row.split(", ")]


def test_every_module_is_listed_once():
    assert sorted(listed()) == sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "__init__")


def test_a_module_imports_only_those_listed_before_it():
    order = listed()
    for place, name in enumerate(order):
        text = (FOLDER / f"{name}.py").read_text()
        used = re.findall(r"mechlearn\.growth\.([a-z_]+) import", text)
        assert set(used) <= set(order[:place]), name
