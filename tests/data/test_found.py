"""What a source was found to have, beside what was written of it before."""

from __future__ import annotations

from mechlearn.data.found import list_found, tell_others
from mechlearn.data.manifest import read_manifest


def test_a_mended_manifest_is_kept(tmp_path, visit_of):
    path = list_found([visit_of(day=None)], tmp_path / "m.csv")
    mended = path.read_text().replace("P1,s0,,", "P1,s0,7,")
    path.write_text(mended)
    list_found([visit_of(day=None)], path)
    assert (tmp_path / "m.csv.old").read_text() == mended
    assert read_manifest(path)[0].day is None


def test_the_same_manifest_is_not_kept_twice(tmp_path, visit_of):
    for _ in range(2):
        list_found([visit_of()], tmp_path / "m.csv")
    assert [p.name for p in tmp_path.glob("*.csv*")] == ["m.csv"]


def test_visits_that_the_source_no_longer_has_are_told(store, caplog):
    records = [v.record for p in store.patients() for v in store.visits(p)]
    tell_others(store, records)
    assert not caplog.text
    tell_others(store, records[1:])
    assert f"holds 1 visits that the source has not, such as {records[0].name}" in caplog.text
