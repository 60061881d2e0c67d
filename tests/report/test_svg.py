"""Figures of pages: SVG without chance, readable on a dark screen."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mechlearn.report.slice_pictures import overlay, show
from mechlearn.report.style import BLACK, new_figure, svg


def drawn() -> bytes:
    figure = new_figure(3, 2)
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], "o-", color=BLACK, label="<name & $5>")
    left.legend()
    show(right, np.eye(4))
    overlay(right, np.eye(4))
    return svg(figure)


def test_equal_figures_are_equal_bytes() -> None:
    assert drawn() == drawn()


def test_black_follows_the_screen_and_nothing_is_fetched() -> None:
    text = drawn().decode()
    ElementTree.fromstring(text)
    assert "prefers-color-scheme: dark" in text
    assert not re.search(rf"(?:fill|stroke): (?:#000000|{BLACK})", text)
    assert not re.search(r'href="(?!#|data:)', text)


def test_a_map_is_transparent_where_it_says_nothing() -> None:
    figure = new_figure(2, 2)
    ax = figure.subplots()
    colours = overlay(ax, np.array([[0.0, 0.04], [0.5, 1.0]]))
    alpha = ax.images[0].get_array()[..., 3]
    np.testing.assert_allclose(alpha, [[0, 0], [0.6, 0.85]], atol=0.01)
    assert colours.get_clim() == pytest.approx((0, 1))
