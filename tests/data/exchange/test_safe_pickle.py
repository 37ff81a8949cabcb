"""Reading pickles of strangers: arrays and numbers come through, nothing is ever run."""

import os
import pickle
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data.exchange import safe_pickle
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


def nested(depth: int) -> bytes:
    """A tuple in a tuple in a tuple."""
    return b")" + depth * b"\x85"


DOUBLED_TUPLE, DOUBLED_LIST = b")" + 30 * b"q\x01h\x01\x86", 30 * b"(" + b"]" + 30 * b"q\x01h\x01l"
"""A tuple, and a list, that hold the one before twice, thirty times over: small files, but a thousand million items."""


@pytest.mark.parametrize(
    "content",
    [
        b"}" + nested(2_000_000) + b"K\x01s.",
        b"}" + nested(9000) + b"K\x01s.",
        b"}(" + nested(9000) + b"K\x01u.",
        b"(" + nested(9000) + b"K\x01d.",
        b"}" + DOUBLED_TUPLE + b"K\x01s.",
        b"}K\x02K\x01s0}" + DOUBLED_TUPLE + b"K\x01s.",
        b"]2(" + DOUBLED_TUPLE + b"\x91.",
        b"(" + DOUBLED_TUPLE + b"\x91.",
        b"\x8f(" + DOUBLED_TUPLE + b"\x90.",
        b"]r\xff\xff\xff\xff.",
        b"]p4000000000\n.",
    ],
    ids=[
        "long",
        "deep",
        "setitems",
        "dict",
        "doubled",
        "pop",
        "dup",
        "frozenset",
        "set",
        "far place",
        "far put",
    ],
)
def test_what_would_kill_or_hang_python_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """Hashing such keys kills the process, or takes years; a place far away asks for a table of gigabytes."""

    def loaded(*_: object, **__: object) -> None:
        pytest.fail("it was loaded")

    monkeypatch.setattr(safe_pickle, "_Reader", loaded)
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match="is refused"):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("argument", [nested(9000), nested(100_000), DOUBLED_LIST])
@pytest.mark.parametrize("name", ["numpy\ndtype", "_codecs\nencode", "os\nsystem"])
def test_no_text_is_made_of_what_is_none(tmp_path: Path, argument: bytes, name: str) -> None:
    """It could be too deep, or endless."""
    for content in (
        f"c{name}\n".encode() + argument + b"\x85R.",
        f"c{name}\nX\1\0\0\0a".encode() + argument + b"\x86R.",
        f"c{name}\n)R(K\1".encode() + argument + b"tb.",
    ):
        (tmp_path / "a.pkl").write_bytes(content)
        with pytest.raises(DataError):
            read_pickle(tmp_path / "a.pkl")


LONG = 65535 * b"f"
TEXT = b"X\xff\xff\0\0" + LONG


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy\ndtype\n" + TEXT + b"\x85R.",
        b"cnumpy\ndtype\nX\1\0\0\0f\x85R(K\1" + TEXT + b"tb.",
        b"cos\n" + LONG + b"\n.",
        b"F" + LONG + b"\n.",
    ],
    ids=["type", "order", "name", "number"],
)
def test_messages_stay_short(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_pickle(tmp_path / "a.pkl")
    assert len(str(caught.value)) < len(str(tmp_path)) + 400


def test_what_many_lists_hold_is_counted_each_time(tmp_path: Path) -> None:
    """Every place that holds an array gets one of its own: small files could fill the memory."""
    array, text = np.zeros(300_000), pickle.dumps(b"a" * 300_000, 2)[2:-1]
    for content in (pickle.dumps([array] * 9), b"(" + text + b"q\x00" + 8 * b"h\x00" + b"l."):
        (tmp_path / "a.pkl").write_bytes(content)
        with pytest.raises(DataError, match="more or deeper lists"):
            read_pickle(tmp_path / "a.pkl")


def test_numbers_that_no_parameter_can_be_are_refused(tmp_path: Path) -> None:
    assert read_pickle(written(tmp_path / "a.pkl", [2**64 - 1, -(2**63)])) == [2**64 - 1, -(2**63)]
    with pytest.raises(DataError, match="more than 64 bits"):
        read_pickle(written(tmp_path / "a.pkl", {"velocity": 10**5000}))


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
