"""What an ONNX graph refers to outside itself, read from its bytes: without `onnx`, and before any runtime.

Only the shape of the message is walked (https://protobuf.dev/programming-guides/encoding); numbers of fields
are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator, Mapping

from jikimi.errors import BundleError

# Kind of message → number of a field → the kind of message that lies in it.
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {4: "operator", 5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
_LOCATION, _EXTERNAL = 14, 1  # of a tensor: where its data lies, and that this is another file
_INT32 = 0xFFFFFFFF  # parsers keep this much of a number, and of a key

# These load what another file holds.
_REFUSED_OPERATORS = frozenset({b"EPContext", b"PyOp"})

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def check_self_contained(model: bytes, *, member: str) -> None:
    """Refuse a graph that has data or code elsewhere.

    Raises:
        BundleError: it refers to another file, or its bytes are no ONNX graph.
    """
    graphs, todo = 0, [("model", 0, len(model))]
    while todo:
        kind, start, end = todo.pop()
        graphs += kind == "graph"
        for number, at, until in _fields(model, start, end, member):
            inside = _INSIDE.get(kind, {}).get(number)
            if (kind, number, until) == ("tensor", _LOCATION, -1) and at & _INT32 == _EXTERNAL:
                inside = "external"
            if inside in ("external", "training"):
                raise BundleError(f"{member} keeps {inside} data: export it again as one file")
            if until < 0 or inside is None:
                continue
            if inside == "operator":
                if model[at:until] in _REFUSED_OPERATORS:
                    raise BundleError(f"{member} has an operator that loads another file: export it again")
                continue
            todo.append((inside, at, until))
    if not graphs:
        raise BundleError(f"{member} is no ONNX graph: export it again")


def _fields(data: bytes, at: int, end: int, member: str) -> Iterator[tuple[int, int, int]]:
    """Fields of a message: number, where its bytes start and end; for a number its value, and -1."""
    while at < end:
        key, at = _varint(data, at, end, member)
        number, kind = key >> 3, key & 7
        if number == 0 or key > _INT32:
            raise _unreadable(member)
        if kind == _VARINT:
            value, at = _varint(data, at, end, member)
            yield number, value, -1
            continue
        if kind == _LENGTH:
            length, at = _varint(data, at, end, member)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise _unreadable(member)
        if length > end - at:
            raise _unreadable(member)
        if kind == _LENGTH:
            yield number, at, at + length
        at += length


def _varint(data: bytes, at: int, end: int, member: str) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _unreadable(member)


def _unreadable(member: str) -> BundleError:
    return BundleError(f"{member} is no ONNX graph: export it again")
