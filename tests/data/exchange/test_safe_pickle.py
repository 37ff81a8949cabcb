"""Reading pickles of strangers: arrays and numbers come through, nothing is ever run."""

import os
import pickle
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data.exchange.safe_pickle import read_pickle
from benchmark.errors import DataError


def written(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_containers_numbers_and_arrays_come_through(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "f8": np.arange(6.0).reshape(2, 3), "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"), "i4": np.arange(3, dtype=np.int32), "none": np.zeros((0, 3)),
    }  # fmt: skip
    value = [{"velocity": np.float64(0.075), "n": [1, 2.5, True, None, "text"], **arrays}, (np.int64(-1),)]
    first, second = read_pickle(written(tmp_path / "a.pkl", value, protocol))
    assert first["velocity"] == 0.075
    assert first["n"] == [1, 2.5, True, None, "text"]
    assert second == [-1]
    for name, array in arrays.items():
        assert np.array_equal(first[name], array)
        assert first[name].shape == array.shape


class Runs:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_a_command_runs_nothing(tmp_path: Path, protocol: int) -> None:
    witness = tmp_path / "witness"
    for call in (
        (os.system, (f"touch {witness}",)),
        (eval, (f"open({str(witness)!r}, 'w')",)),
        (os.mkdir, (str(witness),)),
    ):
        path = written(tmp_path / "bad.pkl", [Runs(*call)], protocol)
        with pytest.raises(DataError, match="is refused.*Nothing of it was run") as caught:
            read_pickle(path)
        assert str(path) in str(caught.value)
        assert not witness.exists()


def test_the_test_would_notice(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    pickle.loads(pickle.dumps(Runs(os.mkdir, (str(witness),))))
    assert witness.exists()


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1), np.array([1, "x"], dtype=object), np.array(["a"]), np.zeros(2, [("a", "f4")]), np.float64,
        {1, 2},
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_everything_else_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataError, match="is refused"):
        read_pickle(written(tmp_path / "a.pkl", value))


def test_lists_that_hold_themselves_or_grow_without_end_are_refused(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    doubled: list[Any] = []
    for _ in range(40):
        doubled = [doubled, doubled]
    for value in (endless, doubled):
        with pytest.raises(DataError, match="is refused"):
            read_pickle(written(tmp_path / "a.pkl", value))


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", b"\x80\x04", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"."]
)
def test_damaged_files_are_one_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match="no pickle, or damaged"):
        read_pickle(tmp_path / "a.pkl")


def test_truncated_and_bent_files_never_do_anything_else(tmp_path: Path) -> None:
    content = pickle.dumps([{"body_mass": np.arange(8.0), "velocity": np.float64(1)}], 2)
    random = np.random.default_rng(0)
    for number in range(500):
        bent = bytearray(content[: random.integers(len(content))] if number % 2 else content)
        if bent:
            bent[random.integers(len(bent))] = random.integers(256)
        (tmp_path / "a.pkl").write_bytes(bent)
        with suppress(DataError):
            read_pickle(tmp_path / "a.pkl")


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_pickle(tmp_path / "none.pkl")
    with (tmp_path / "huge.pkl").open("wb") as file:
        file.truncate(2**25)
    with pytest.raises(DataError, match="no task parameters"):
        read_pickle(tmp_path / "huge.pkl")


def test_a_pickle_cannot_change_the_reader(tmp_path: Path) -> None:
    """Opcode BUILD sets attributes on what a name gave; here it must not reach the stand-ins themselves."""
    good = written(tmp_path / "good.pkl", [np.float64(2), np.arange(3)], 2)
    for name in (
        "cnumpy\ndtype\n",
        "cnumpy\nndarray\n",
        "c_codecs\nencode\n",
        "cnumpy.core.multiarray\nscalar\n",
    ):
        (tmp_path / "a.pkl").write_bytes(name.encode() + b"(NN(U\x04reald\x94Nstb.")
        (tmp_path / "b.pkl").write_bytes(name.encode() + b"N}U\x04realK\x01s\x86b.")
        for bad in ("a.pkl", "b.pkl"):
            with pytest.raises(DataError):
                read_pickle(tmp_path / bad)
    assert read_pickle(good)[0] == 2
