import pytest

from mechlearn.evaluation.gain import LADDER, _best_response, _climb


def test_climb_stops_where_tumours_grow_as_asked():
    seen = _climb(lambda scale: (min(scale / 1e6, 1.0), min(scale / 1e7, 1.0)), 0.8)
    assert [s for s, _, _ in seen] == [1e4, 1e5, 1e6]


def test_climb_stops_where_the_guide_is_satisfied_twice_and_nothing_more_grows():
    seen = _climb(lambda scale: (0.4 if scale >= 1e6 else 0.0, 1.0 if scale >= 1e6 else 0.1), 0.8)
    assert [s for s, _, _ in seen] == [1e4, 1e5, 1e6, 1e7]


def test_climb_stops_where_the_picture_breaks_down():
    grown = dict(zip(LADDER, (0.1, 0.5, 0.3, 0.2, 0.1, 0.0), strict=True))
    assert [s for s, _, _ in _climb(lambda scale: (grown[scale], 0.5), 0.8)] == [1e4, 1e5, 1e6]


def test_guide_that_never_makes_tumours_grow_has_no_gain():
    with pytest.raises(ValueError, match=r"guide g\.pt: up to scale 1e\+09 tumours grow by less"):
        _best_response([(1e4, 0.01, 1.0), (1e5, 0.05, 1.0)], "g.pt")


def test_guide_that_does_not_answer_has_no_gain():
    with pytest.raises(ValueError, match=r"guide g\.pt: the measured growth is 43% .* at most 0%"):
        _best_response([(1e8, 0.1, 0.0), (1e9, 0.43, 0.0)], "g.pt")
