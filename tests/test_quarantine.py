"""Bundles of somebody else: what ONNX Runtime never sees, and what a process apart survives."""

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bundles import make_bundle
from jikimi import quarantine
from jikimi.bundle import CARD, ENCODER, HEAD, load_bundle, read_card, save_bundle
from jikimi.errors import BundleError
from jikimi.onnx_wire import check_self_contained
from jikimi.quarantine import check_card, check_members, examine
from jikimi.shipped import shipped_model


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("good") / "x.jikimi")


def parts(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def rebuilt(good: Path, path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """The bundle with a changed encoder, its hashes as they should be."""
    members = parts(good)
    model = onnx.load_from_string(members[ENCODER])
    change(model)
    save_bundle(path, read_card(good), encoder=model.SerializeToString(), head=members[HEAD])
    return path


# --- in a process apart


def test_whole_bundle_passes_and_leaves_nothing(good: Path) -> None:
    examine(good)
    assert list(good.parent.iterdir()) == [good]


def test_what_is_wrong_is_told_in_a_line(good: Path, tmp_path: Path) -> None:
    other = parts(good) | {HEAD: parts(good)[ENCODER]}
    with pytest.raises(BundleError, match=r"^head\.onnx does not match the hash") as raised:
        examine(packed(tmp_path / "x", other))
    assert "\n" not in str(raised.value) and str(tmp_path) not in str(raised.value)


def test_bundle_that_takes_all_memory_is_refused_and_this_process_lives(good: Path, tmp_path: Path) -> None:
    def grow(model: onnx.ModelProto) -> None:
        shape = numpy_helper.from_array(np.array([1 << 36], np.int64), "shape")
        model.graph.initializer.append(shape)
        model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["much"]))
        model.graph.node.insert(1, helper.make_node("ReduceSum", ["much"], ["one"], keepdims=0))
        model.graph.node[2].input[0] = "more"
        model.graph.node.insert(2, helper.make_node("Add", ["pictures", "one"], ["more"]))

    with pytest.raises(BundleError):
        examine(rebuilt(good, tmp_path / "x", grow))


def test_check_that_takes_too_long_is_ended(good: Path) -> None:
    with pytest.raises(BundleError, match=r"not checked within 0\.01 s"):
        examine(good, limit_s=0.01)


def test_process_that_dies_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SIGSEGV" in quarantine._problem(b"", -11)
    assert "exit code 3" in quarantine._problem(b"[]", 3)
    assert quarantine._problem(b'{"problem": "x"}', 1) == "x"
    monkeypatch.setenv("JIKIMI_KEY", "secret")
    assert "JIKIMI_KEY" not in quarantine._without_secrets()


# --- members


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights.bin": b"x"}, "nothing else"),
        ({CARD: b" " * (2 << 20)}, "unpacks to more"),
        ({ENCODER: b""}, "no ONNX graph"),
        ({ENCODER: b"\xff" * 100}, "no ONNX graph"),
        ({HEAD: b"ORTM" * 100}, "no ONNX graph"),
    ],
)
def test_members_that_no_bundle_has_are_refused(
    good: Path, tmp_path: Path, change: dict[str, bytes], words: str
) -> None:
    with pytest.raises(BundleError, match=words):
        check_members(packed(tmp_path / "x", parts(good) | change))


def test_zip_bomb_is_refused_by_what_it_says_of_itself(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_UNPACKED_BYTES", 1 << 20)
    bomb = packed(tmp_path / "x", parts(good) | {ENCODER: bytes(4 << 20)})
    assert bomb.stat().st_size < 1 << 17
    with pytest.raises(BundleError, match="unpacks to more than 1 MiB"):
        check_members(bomb)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip at all"])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BundleError, match="not a Jikimi bundle"):
        check_members(tmp_path / "x")


def test_member_that_occurs_twice_is_refused(good: Path, tmp_path: Path) -> None:
    twice = packed(tmp_path / "x", parts(good))
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(HEAD, b"another")
    with pytest.raises(BundleError, match="nothing else"):
        check_members(twice)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a\nb"}, {"name": ""}, {"name": "x" * 100}, {"rate_hz": 1e6}, {"window": 10**6},
        {"short_side_px": 10**5},
    ],
)  # fmt: skip
def test_card_that_nobody_could_show_or_serve_is_refused(good: Path, change: dict[str, object]) -> None:
    card = read_card(good)
    check_card(card)
    with pytest.raises(BundleError, match=r"card\.json"):
        check_card(card.model_copy(update=change))


# --- graphs


def external(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def marked_only() -> TensorProto:
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)


def named_only() -> TensorProto:
    tensor = external()
    tensor.ClearField("data_location")
    return tensor


def graph(nodes: Sequence[onnx.NodeProto] = (), tensors: Sequence[TensorProto] = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [], list(tensors))


def model(of: onnx.GraphProto, **more: object) -> bytes:
    return bytes(helper.make_model(of, **more).SerializeToString())


def hidden() -> dict[str, bytes]:
    """The same tensor in every place where a graph can have one."""
    constant = helper.make_node("Constant", [], ["w"], value=external())
    inner = graph([constant])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    sparse = helper.make_sparse_tensor(external(), helper.make_tensor("i", TensorProto.INT64, [1], [0]), [9])
    with_sparse = graph()
    with_sparse.sparse_initializer.append(sparse)
    function = helper.make_function("d", "f", [], ["w"], [constant], [helper.make_opsetid("", 17)])
    several = helper.make_node("X", [], ["w"])
    attribute = several.attribute.add(name="all", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(external())
    return {
        "initializer": model(graph(tensors=[external()])),
        "marked only": model(graph(tensors=[marked_only()])),
        "named only": model(graph(tensors=[named_only()])),
        "constant": model(inner),
        "branch": model(graph([branch])),
        "sparse": model(with_sparse),
        "function": model(graph(), functions=[function]),
        "list": model(graph([several])),
        "other file": model(graph([helper.make_node("EPContext", [], ["w"], domain="com.microsoft")])),
    }


@pytest.mark.parametrize("place", list(hidden()))
def test_data_in_another_file_is_found_wherever_it_is_named(place: str) -> None:
    with pytest.raises(BundleError, match="export it again"):
        check_self_contained(hidden()[place], member=ENCODER)


def test_training_data_is_refused() -> None:
    made = helper.make_model(graph())
    made.training_info.add().initialization.CopyFrom(graph())
    with pytest.raises(BundleError, match="training"):
        check_self_contained(made.SerializeToString(), member=ENCODER)


def test_honest_graphs_pass(good: Path) -> None:
    for path in (good, shipped_model()):
        members = parts(path)
        for member in (ENCODER, HEAD):
            check_self_contained(members[member], member=member)
            assert json.loads(members[CARD])["hashes"]
    load_bundle(good)


@pytest.mark.parametrize("cut", [1, 7, 50])
def test_graph_that_is_cut_off_is_none(good: Path, cut: int) -> None:
    with pytest.raises(BundleError, match="no ONNX graph"):
        check_self_contained(parts(good)[HEAD][:-cut], member=HEAD)
