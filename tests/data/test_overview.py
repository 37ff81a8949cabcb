"""The list of data sets, and verification with a message for each thing that is wrong."""

import os
import shutil
from pathlib import Path

import pytest

from benchmark.cli import main
from benchmark.data import cache, catalog, overview, store
from benchmark.data.open import open_dataset
from benchmark.data.references import returns_path
from benchmark.data.snapshots import shipped_path
from benchmark.errors import DataError, UnknownNameError
from benchmark.families.family import Family

ID = "omrl/cheetah-dir/mixed-v1"


def test_the_list_says_what_is_here(small_standard: Family) -> None:
    before = {row.id: row for row in overview.listing()}
    assert set(before) == {f"omrl/cheetah-dir/{tier}-v1" for tier in ("mixed", "random", "medium", "expert")}
    assert not any(row.stored or row.cached for row in before.values())
    data = open_dataset("cheetah-dir")
    after = {row.id: row for row in overview.listing()}
    assert after[ID].stored
    assert after[ID].cached
    assert after[ID].content_hash == data.content_hash
    assert after[ID].transitions == data.rows
    assert not after["omrl/cheetah-dir/random-v1"].stored


def test_nothing_recorded_is_nothing_wrong(small_standard: Family) -> None:
    findings = overview.verify("cheetah-dir", "mixed", "small")
    assert [(finding.present, finding.problem) for finding in findings] == [
        (True, None), (True, None), (False, None), (False, None),
    ]  # fmt: skip


def test_each_damage_is_found_where_it_is(small_standard: Family) -> None:
    open_dataset("cheetah-dir")
    damaged = {
        "behaviour snapshots": shipped_path("cheetah-dir"),
        "snapshot returns": returns_path("cheetah-dir"),
        "Minari data set": store.folder_of(ID) / "data" / "main_data.hdf5",
        "flat cache": cache.folder_of(catalog.expected_hash(small_standard, "mixed", "small"))
        / "actions.npy",
    }
    assert all(finding.problem is None for finding in overview.verify("cheetah-dir", "mixed", "small"))
    for what, path in damaged.items():
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + b"\xff" + content[len(content) // 2 + 1 :])
        for findings in (overview.verify("cheetah-dir", "mixed", "small"), overview.verify_all()):
            wrong = [finding for finding in findings if finding.problem is not None]
            assert [finding.what.startswith(what) for finding in wrong] == [True]
            assert str(wrong[0].where) in str(wrong[0].problem)
        path.write_bytes(content)


def test_sound_data_of_other_content_are_wrong(small_standard: Family) -> None:
    open_dataset("cheetah-dir")
    known = catalog.entry(small_standard)
    catalog.write_entry(small_standard, known.with_hash("small", "mixed", "0" * 64))
    problems = [finding.problem for finding in overview.verify_all() if finding.problem]
    assert len(problems) == 1
    assert "0" * 64 in problems[0]


def test_all_means_what_is_on_this_machine(small_standard: Family) -> None:
    for tier in ("mixed", "random"):
        open_dataset("cheetah-dir", tier)
    shutil.rmtree(store.folder_of(ID))
    here = [finding.what for finding in overview.verify_all() if finding.present]
    assert len(here) == 2 + 1 + 2
    assert f"Minari data set {ID}" not in here


@pytest.mark.parametrize("below", ["a file", "a folder without rights"])
@pytest.mark.parametrize("verb", ["list", "record", "verify"])
def test_a_cache_folder_that_cannot_be_used_is_one_message(
    small_standard: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    below: str, verb: str,
) -> None:  # fmt: skip
    if below == "a file":
        (tmp_path / below).write_text("")
    else:  # as the system refuses it to all but root
        stat = Path.stat

        def refusing(path: Path, **options: bool) -> os.stat_result:
            if below in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return stat(path, **options)

        monkeypatch.setattr(Path, "stat", refusing)
    monkeypatch.setenv("OMRL_CACHE", str(tmp_path / below / "cache"))
    options = [] if verb == "list" else ["--family", "cheetah-dir"]
    assert main(["data", verb, *options]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: the folder of caches {tmp_path / below / 'cache'} cannot be used: ")
    assert message.endswith("Set OMRL_CACHE to one that can be written.\n")


def test_the_list_does_not_promise_exact_sizes(
    small_standard: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where episodes are of different lengths, there are some transitions more or less."""
    assert main(["data", "list"]) == 0
    assert "about 2,400 transitions" in capsys.readouterr().out


def test_unknown_names_are_errors(small_standard: Family) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'expert'"):
        overview.verify("cheetah-dir", "exprt", "small")
    with pytest.raises(DataError, match="not standardised"):
        overview.verify("cheetah-dir", "expert", "full")


@pytest.mark.parametrize("one", ["family", "tier", "size"])
def test_all_and_one_of_all_is_refused(one: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "verify", "--all", f"--{one}", "small"]) == 2
    assert f"leave out --{one}, or --all" in capsys.readouterr().err
