"""Files of fixed-size binary records: how a record is laid out, and reading its parts by memory map.

Shapes: n records, w values of one role in a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modyn_bench.errors import DataError, RequestError
from modyn_bench.types import IntArray

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
BYTE_ORDERS = ("little", "big")
_TYPES = {
    "label": INTEGERS,
    "timestamp": INTEGERS,
    "numeric": (*INTEGERS, *FLOATS),
    "categorical": INTEGERS,
    "skip": (*INTEGERS, *FLOATS),
}
_SINGLE = ("label", "timestamp")
_CHUNK_RECORDS = 65_536
_KEY = "dataset.fields"


class RecordLayout:
    """What the bytes of a record are.

    Args:
        fields: In the order of the bytes: ``role type`` or ``role count type``. Roles are ``label``, once;
            ``timestamp``, at most once; ``numeric`` and ``categorical``, whose values are put together where one occurs
            several times; and ``skip``.
        byte_order: ``little`` or ``big``.

    Raises:
        RequestError: If a field cannot be read, or the label, or every feature, is missing.

    Example:
        >>> layout = RecordLayout(["label int32", "numeric 13 float32", "categorical 26 int32"])
        >>> layout.num_bytes, layout.width("numeric"), layout.width("timestamp")
        (160, 13, 0)
    """

    def __init__(self, fields: Sequence[str], byte_order: str = "little") -> None:
        if byte_order not in BYTE_ORDERS:
            raise RequestError(f"dataset.byte_order={byte_order!r} must be one of {', '.join(BYTE_ORDERS)}")
        parsed = [_parse(field, f"{_KEY}[{place}]") for place, field in enumerate(fields)]
        self._parts: dict[str, list[tuple[str, int]]] = {}
        for place, (role, count, _) in enumerate(parsed):
            self._parts.setdefault(role, []).append((f"f{place}", count))
        for role in _SINGLE:
            if self.width(role) > 1:
                raise RequestError(f"{_KEY}: a record has one {role} at most, not {self.width(role)}")
        if not self.width("label"):
            raise RequestError(f"{_KEY}={list(fields)}: a record needs a label, such as 'label int32'")
        if not self.width("numeric") + self.width("categorical"):
            raise RequestError(f"{_KEY}={list(fields)}: there is nothing to learn from; name numeric or categorical")
        ids = {np.dtype(kind) for role, _, kind in parsed if role == "categorical"}
        if ids and np.result_type(*ids).kind == "f":
            raise RequestError(f"{_KEY}={list(fields)}: int64 and uint64 ids have no type in common; name one of them")
        order: Literal["<", ">"] = "<" if byte_order == "little" else ">"
        types = [(np.dtype(kind).newbyteorder(order), (count,)) for _, count, kind in parsed]
        self.dtype = np.dtype([(f"f{place}", *one) for place, one in enumerate(types)])

    @property
    def num_bytes(self) -> int:
        """The size of a record."""
        return self.dtype.itemsize

    def width(self, role: str) -> int:
        """Return how many values of a role a record has."""
        return sum(count for _, count in self._parts.get(role, ()))

    def type_of(self, role: str) -> np.dtype[Any]:
        """Return a type that holds all values of a role."""
        return np.result_type(*(self.dtype[name].base for name, _ in self._parts[role])).newbyteorder("=")

    def values(self, records: NDArray[Any], role: str) -> NDArray[Any]:
        """Return the values of a role, shape (n, w), in the machine's byte order and a type that holds all of them."""
        found = [records[name] for name, _ in self._parts[role]]
        joined = found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        return np.ascontiguousarray(joined, dtype=joined.dtype.newbyteorder("="))


def _parse(field: object, key: str) -> tuple[str, int, str]:
    words = str(field).split()
    if len(words) not in (2, 3):
        raise RequestError(f"{key}={field!r} must be a role, a count unless it is 1, and a type: 'numeric 13 float32'")
    role, kind = words[0], words[-1]
    if role not in _TYPES:
        raise RequestError(f"{key}={field!r}: {_unknown('role', role, tuple(_TYPES))}")
    if kind not in _TYPES[role]:
        raise RequestError(f"{key}={field!r}: {_unknown(f'type of {role}', kind, _TYPES[role])}")
    count = words[1] if len(words) == 3 else "1"
    if not count.isdecimal() or int(count) < 1:
        raise RequestError(f"{key}={field!r}: the count {count!r} must be a whole number, at least 1")
    return role, int(count), kind


def _unknown(what: str, value: str, known: Sequence[str]) -> str:
    near = get_close_matches(value, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{value!r} is no {what}{hint} (known: {', '.join(known)})"


@dataclass(frozen=True)
class RecordFile:
    """One file of records.

    Attributes:
        file: The file.
        layout: What the bytes of a record are.
        header_bytes: Bytes before the first record.
        stamp: Size and modification time that the file had when it was first looked at.
    """

    file: Path
    layout: RecordLayout
    header_bytes: int
    stamp: tuple[int, int]

    @classmethod
    def at(cls, file: Path, layout: RecordLayout, header_bytes: int) -> RecordFile:
        """Look at a file.

        Raises:
            DataError: If it cannot be read, or its size is not that of whole records.
        """
        stamp = _stamp(file)
        size = stamp[0] - header_bytes
        header = f"{header_bytes:,} of header, " if header_bytes else ""
        if size < layout.num_bytes:
            raise DataError(
                f"{file}: {stamp[0]:,} bytes, but {header}{layout.num_bytes} of one record are the least there can be; "
                "take the file away, or correct dataset.fields or dataset.header_bytes"
            )
        whole, rest = divmod(size, layout.num_bytes)
        if rest:
            raise DataError(
                f"{file}: {stamp[0]:,} bytes are {header}{whole:,} records of {layout.num_bytes} bytes, and {rest} "
                f"bytes more, from byte {header_bytes + whole * layout.num_bytes:,} on: correct dataset.fields or "
                "dataset.header_bytes, or bring the whole file if it was cut off"
            )
        return cls(file, layout, header_bytes, stamp)

    def __len__(self) -> int:
        return (self.stamp[0] - self.header_bytes) // self.layout.num_bytes

    def chunks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the position of a chunk's first record, and the chunk, shape (n,)."""
        for start in range(0, len(self), _CHUNK_RECORDS):
            yield start, np.array(self._mapped()[start : start + _CHUNK_RECORDS])

    def take(self, positions: IntArray, role: str) -> NDArray[Any]:
        """Return the values of a role of some records, shape (n, w)."""
        return self.layout.values(self._mapped()[positions], role)

    def _mapped(self) -> NDArray[Any]:
        """Map the file anew each time: what was read of it need not stay in memory."""
        if _stamp(self.file) != self.stamp:
            raise DataError(f"{self.file} changed while it was read: run again when it is complete")
        mapped = np.memmap(self.file, dtype=self.layout.dtype, mode="r", offset=self.header_bytes)
        return mapped.view(np.ndarray)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
