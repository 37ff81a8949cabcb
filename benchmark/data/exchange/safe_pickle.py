"""A reader of pickles that admits plain containers, numbers, texts and numpy arrays, and runs nothing.

A pickle is a program that may call anything by name. Here the names of numpy's constructors give stand-ins that
only take notes; the arrays are made from these notes afterwards. Any other name is refused before it is looked up.
What could take long or nest too deep for Python is refused before anything is loaded.
"""

import pickle
import pickletools
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import DataError

LARGEST_FILE = 16 * 2**20
"""Bytes; the task parameters of a family are far below."""
MOST_STEPS = 10_000
"""Opcodes; task parameters of walker-params are written with fewer than 200."""
MOST_ITEMS = 1_000_000
"""Items of what is made, of lists, arrays and encoded texts; a list that holds others many times over ends here."""
DEEPEST = 50
"""Containers within each other; a list that holds itself ends here."""
LONGEST_NAME = 100
"""Characters of a data type, and of what a message says of a pickle."""
KINDS = "biuf"
"""Kinds of numpy numbers that arrays may hold."""
DAMAGE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError,
    MemoryError, ImportError, AssertionError, RecursionError,
)  # fmt: skip
"""What the standard library raises for bytes that are no pickle."""


class _Refused(pickle.UnpicklingError):
    """A pickle that asks for something which is not plain data."""


class _Note:
    """What a name of numpy gives. All have `__setstate__`, so a pickle cannot set anything on the classes."""

    def __setstate__(self, state: Any) -> None:
        raise _Refused(f"a state for {type(self).__name__.lstrip('_')}")

    def real(self) -> Any:
        """What it stands for."""
        raise _Refused(f"{type(self).__name__.lstrip('_')} where a value should be")


class _Type(_Note):
    """Stands in for a numpy data type."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code, self.order = _short(code), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = _short(state[1])

    def type(self) -> np.dtype[Any]:
        """The type; refused unless it is one of plain numbers."""
        if self.code[:1] not in KINDS or not self.code[1:].isdecimal() or self.order not in tuple("<>=|"):
            raise _Refused(f"an array of type '{self.code}', which is not one of numbers")
        return np.dtype(self.code).newbyteorder("=" if self.order == "|" else self.order)  # type: ignore[arg-type]


def _short(text: object) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_NAME:
        raise _Refused("a data type whose name is no short text")
    return text


class _Array(_Note):
    """Stands in for a numpy array; `_Array` itself stands in for its class."""

    def __init__(self, *_: object) -> None:
        self.notes: tuple[Any, ...] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.notes = state[-4:]

    def real(self) -> NDArray[Any]:
        """The array; ValueError where its bytes are not those of its shape."""
        if self.notes is None:
            raise _Refused("an array without content")
        shape, kind, columns_first, content = self.notes
        if not isinstance(kind, _Type):
            raise _Refused("an array of a type that is not numpy's")
        return _filled(content, kind.type(), tuple(shape), "F" if columns_first else "C")


class _Scalar(_Note):
    """Stands in for a numpy number."""

    def __init__(self, kind: object, content: object) -> None:
        self.kind, self.content = kind, content

    def real(self) -> float | int:
        """The number as Python's."""
        if not isinstance(self.kind, _Type):
            raise _Refused("a number of a type that is not numpy's")
        value: float | int = _filled(self.content, self.kind.type(), (), "C").item()
        return value


class _FromBytes(_Array):
    """Stands in for an array that was pickled by its bytes."""

    def __init__(self, content: object, kind: object, shape: object, order: object = "C", *_: object) -> None:
        self.notes = (shape, kind, order == "F", content)


def _filled(content: object, kind: np.dtype[Any], shape: tuple[Any, ...], order: Any) -> NDArray[Any]:
    if isinstance(content, _Bytes):
        content = content.real()
    if isinstance(content, str):  # as protocols 0 and 1 write bytes
        content = content.encode("latin1")
    if not isinstance(content, bytes | bytearray):
        raise _Refused("an array that does not hold plain bytes")
    return np.frombuffer(content, kind).reshape(shape, order=order).copy()


class _Bytes(_Note):
    """Stands in for bytes as old protocols write them: a text to be encoded, or nothing."""

    def __init__(self, text: object = "", encoding: object = "latin1") -> None:
        self.text, self.encoding = text, encoding

    def real(self) -> bytes:
        """The bytes."""
        if self.encoding not in ("latin1", "latin-1"):
            raise _Refused("text in another encoding than latin1")
        if not isinstance(self.text, str):
            raise _Refused("bytes that are not written as text")
        return self.text.encode("latin1")


NAMES: dict[tuple[str, str], type[_Note]] = {("numpy", "dtype"): _Type, ("numpy", "ndarray"): _Array}
NAMES |= {
    ("_codecs", "encode"): _Bytes,
    ("builtins", "bytes"): _Bytes,
    ("__builtin__", "bytes"): _Bytes,
}
for _core in ("numpy.core", "numpy._core"):
    NAMES[f"{_core}.multiarray", "_reconstruct"] = _Array
    NAMES[f"{_core}.multiarray", "scalar"] = _Scalar
    NAMES[f"{_core}.numeric", "_frombuffer"] = _FromBytes


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of that name; nothing is imported."""
        try:
            return NAMES[module, name]
        except KeyError:
            raise _Refused(f"'{module}.{name}'"[:LONGEST_NAME]) from None


ATOMS = (
    pickletools.pyint, pickletools.pyinteger_or_bool, pickletools.pybool, pickletools.pyfloat, pickletools.pynone,
    pickletools.pyunicode, pickletools.pybytes_or_str, pickletools.pybytes,
)  # fmt: skip
UNUSUAL = (
    "DUP", "POP", "POP_MARK", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EMPTY_SET", "ADDITEMS", "FROZENSET",
)  # fmt: skip
"""Opcodes that plain data are never written with."""


def _check_steps(content: bytes) -> None:
    """Refuse a pickle of many steps, or one that takes keys of a dict which are not atoms, before it is loaded.

    The stack of the pickle is followed, but with kinds of objects in the place of objects. A tuple of tuples as a
    key would be hashed: that overflows Python's stack where they are deep, and takes ages where they are shared.
    """
    stack: list[Any] = []
    memo: dict[object, Any] = {}
    for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if number == MOST_STEPS:
            raise _Refused(f"more than {MOST_STEPS} steps")
        if opcode.name in UNUSUAL:
            raise _Refused(f"the step {opcode.name}")
        if "PUT" in opcode.name or opcode.name == "MEMOIZE":
            if argument is not None and int(argument) >= MOST_STEPS:  # a table up to there would be made
                raise _Refused(f"the place {argument} of an object to remember")
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif "GET" in opcode.name:
            stack.append(memo[argument])
        else:
            taken = _taken(stack, opcode.stack_before)
            keys = {"SETITEM": taken[1:2], "SETITEMS": taken[1::2], "DICT": taken[::2]}.get(opcode.name, [])
            if any(key not in ATOMS for key in keys):
                raise _Refused("a dict whose keys are not texts or numbers")
            stack += opcode.stack_after


def _taken(stack: list[Any], before: list[Any]) -> list[Any]:
    """What an opcode takes off the stack, without the mark that some take all things above."""
    start = len(stack) - len(before)
    if pickletools.markobject in before:
        mark = len(stack) - 1 - stack[::-1].index(pickletools.markobject)
        del stack[mark]
        start = mark - before.index(pickletools.markobject)
    if start < 0:
        raise IndexError("it takes more than there is")
    taken = stack[start:]
    del stack[start:]
    return taken


def read_pickle(path: Path) -> Any:
    """The file's content: lists, tuples, dicts, numbers, texts, None and numpy arrays of numbers.

    Raises DataError where there is no such file, where it is damaged, and where it asks for anything else.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{path} has more than {LARGEST_FILE} bytes: these are no task parameters.")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Check the path.") from error
    try:
        _check_steps(content)
        return _plain(_Reader(BytesIO(content), encoding="latin1").load(), [0], 0)
    except _Refused as error:
        raise DataError(
            f"{path} is refused: it holds {error}. Task parameters are plain lists, dicts, numbers and numpy "
            "arrays; a pickle that asks for more could run anything. Nothing of it was run."
        ) from error
    except DAMAGE as error:
        raise DataError(
            f"{path} is no pickle, or damaged: {str(error)[:LONGEST_NAME]}. Get the file anew."
        ) from error


def _plain(value: Any, count: list[int], depth: int) -> Any:
    """The value with its stand-ins replaced, in new containers."""
    count[0] += 1
    if count[0] > MOST_ITEMS or depth > DEEPEST:
        raise _Refused("more or deeper lists than task parameters have")
    if isinstance(value, _Note):
        found = value.real()
        count[0] += len(found) if isinstance(found, bytes) else np.size(found)
        return found
    if isinstance(value, int) and value.bit_length() > 64:
        raise _Refused("a number of more than 64 bits")
    if isinstance(value, dict):
        return {_plain(key, count, depth + 1): _plain(item, count, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, count, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise _Refused(f"something that is not plain data ({type(value).__name__.lstrip('_')})")
