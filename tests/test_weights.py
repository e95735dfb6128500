"""Encoder weights by name, by file, or none; and files that are none."""

import pickle
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from torch import Tensor, nn

from jikimi.errors import WeightsError
from jikimi.train import weights as weights_module
from jikimi.train.model import create_encoder
from jikimi.train.weights import digest, load_weights
from train_data import BACKBONE

PICTURES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def random_statistics(module: nn.Module) -> nn.Module:
    """Weights and BatchNorm statistics that a trained network might have, small variances among them."""
    torch.manual_seed(5)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.1)
            nn.init.normal_(layer.bias, 0, 0.1)
            nn.init.normal_(layer.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.005, 1.5)  # type: ignore[arg-type]
    return module.eval()


def features(encoder: nn.Module) -> Tensor:
    with torch.no_grad():
        answer: Tensor = encoder.eval()(PICTURES)
    return answer


@pytest.fixture
def trained() -> nn.Module:
    return random_statistics(timm.create_model(BACKBONE, num_classes=10))


def loaded(path: Path, backbone: str = BACKBONE) -> nn.Module:
    encoder = create_encoder(backbone)
    load_weights(encoder, backbone, str(path))
    return encoder


def refusal(path: Path, backbone: str = BACKBONE) -> str:
    with pytest.raises(WeightsError) as refused:
        loaded(path, backbone)
    message = str(refused.value)
    assert str(path) in message and "\n" not in message
    return message


def test_none_leaves_the_encoder_as_it_was() -> None:
    encoder = create_encoder(BACKBONE)
    before = digest(encoder)
    load_weights(encoder, BACKBONE, "none")
    assert digest(encoder) == before


def test_timm_layout_gives_the_same_features(trained: nn.Module, tmp_path: Path) -> None:
    torch.save(trained.state_dict(), tmp_path / "timm.pth")
    trained.reset_classifier(0)  # type: ignore[operator]
    torch.testing.assert_close(features(loaded(tmp_path / "timm.pth")), features(trained))


def test_torchvision_resnet_gives_the_same_features(tmp_path: Path) -> None:
    theirs = random_statistics(torchvision.models.resnet18(num_classes=1000))
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    theirs.fc = nn.Identity()
    torch.testing.assert_close(features(loaded(tmp_path / "resnet18.pth", "resnet18")), features(theirs))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_torchvision_mobilenet_gives_the_same_features(tmp_path: Path, prefix: str) -> None:
    theirs = random_statistics(torchvision.models.mobilenet_v3_small())
    torch.save({prefix + key: value for key, value in theirs.state_dict().items()}, tmp_path / "mobile.pth")
    theirs.classifier = theirs.classifier[:2]  # type: ignore[index, assignment]
    ours = features(loaded(tmp_path / "mobile.pth", "mobilenetv3_small_100"))
    torch.testing.assert_close(ours, features(theirs), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("wrap", ["state_dict", "model", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "backbone.", "encoder."])
def test_wrapped_and_prefixed_checkpoints_load(
    trained: nn.Module, tmp_path: Path, wrap: str, prefix: str
) -> None:
    state = {prefix + key: value for key, value in trained.state_dict().items()}
    torch.save({wrap: state, "epoch": 3}, tmp_path / "wrapped.pth")
    trained.reset_classifier(0)  # type: ignore[operator]
    assert digest(loaded(tmp_path / "wrapped.pth")) == digest(trained)


def test_safetensors_load(trained: nn.Module, tmp_path: Path) -> None:
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "w.safetensors")
    trained.reset_classifier(0)  # type: ignore[operator]
    assert digest(loaded(tmp_path / "w.safetensors")) == digest(trained)


def test_counters_that_old_files_lack_are_not_missed(trained: nn.Module, tmp_path: Path) -> None:
    state = {k: v for k, v in trained.state_dict().items() if "num_batches_tracked" not in k}
    torch.save(state, tmp_path / "old.pth")
    trained.reset_classifier(0)  # type: ignore[operator]
    torch.testing.assert_close(features(loaded(tmp_path / "old.pth")), features(trained))


def test_weights_of_another_network_are_refused_by_what_does_not_fit(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.pth")
    assert "are missing, first" in refusal(tmp_path / "other.pth")


def test_weights_of_another_size_are_refused_by_name(trained: nn.Module, tmp_path: Path) -> None:
    state = trained.state_dict()
    state["layer1.0.conv1.weight"] = torch.zeros(7, 7, 3, 3)
    torch.save(state, tmp_path / "size.pth")
    message = refusal(tmp_path / "size.pth")
    assert "'layer1.0.conv1.weight' is (7, 7, 3, 3), expected" in message


def test_missing_and_extra_tensors_are_refused_by_name(trained: nn.Module, tmp_path: Path) -> None:
    state = trained.state_dict()
    torch.save({**state, "layer9.weight": torch.zeros(1)}, tmp_path / "extra.pth")
    assert "another network, first 'layer9.weight'" in refusal(tmp_path / "extra.pth")
    state.pop("layer2.0.conv1.weight")
    torch.save(state, tmp_path / "less.pth")
    assert "1 of" in refusal(tmp_path / "less.pth") and "layer2.0.conv1" in refusal(tmp_path / "less.pth")


class Bomb:
    """What a malicious file holds: unpickling it writes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return exec, (f"open({str(self.trace)!r}, 'w').close()",)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_of_weights_is_never_run(tmp_path: Path, legacy: bool) -> None:
    path, trace = tmp_path / "bomb.pth", tmp_path / "ran"
    if legacy:
        path.write_bytes(pickle.dumps({"weight": Bomb(trace)}))
    else:
        torch.save({"weight": Bomb(trace)}, path)
    assert "no file of weights" in refusal(path)
    assert not trace.exists()


TEXTS = [
    b"", b"hello world\n", b"# weights\n", b"((((\n", b"...", b"}}q\x00.", b"\x80\x02.", b"0123", b"a b c d",
    b"<html>404</html>", b"PK\x03\x04torn", b"version https://git-lfs\noid sha256:1\n",
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", TEXTS)
def test_file_that_holds_no_weights_is_refused_in_one_line(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(content)
    assert "weights" in refusal(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"state_dict": None}, torch.zeros(3)])
def test_torch_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    assert "holds" in refusal(tmp_path / "x.pth")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.pth")
    assert "No such file" in refusal(tmp_path / "none.safetensors")
    assert "directory" in refusal(tmp_path)


def test_torn_file_of_weights_is_refused(trained: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "torn.pth"
    torch.save(trained.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    assert "no file of weights" in refusal(path)


def download_refusal() -> str:
    start = time.monotonic()
    with pytest.raises(WeightsError) as refused:
        load_weights(create_encoder("resnet18"), "resnet18", "imagenet")
    assert time.monotonic() - start < 12
    message = str(refused.value)
    assert "--weights PATH" in message and "--weights none" in message and "\n" not in message
    return message


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that never had these weights and has no proxy."""
    monkeypatch.setattr(weights_module, "_cached", lambda _hub_id: False)
    monkeypatch.setattr(urllib.request, "getproxies", dict)


def unreachable(*_args: object, **_options: object) -> socket.socket:
    raise OSError(101, "Network is unreachable")


@pytest.mark.usefixtures("no_cache")
def test_without_a_network_the_two_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", unreachable)
    assert "'resnet18' cannot be downloaded ([Errno 101] Network is unreachable)" in download_refusal()


@pytest.mark.usefixtures("no_cache")
def test_name_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def silent(*_args: object, **_options: object) -> socket.socket:
        released.wait(60)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    monkeypatch.setattr(weights_module, "PROBE_S", 0.2)
    assert "does not answer within 0.2 s" in download_refusal()
    released.set()


@pytest.mark.usefixtures("no_cache")
def test_dead_proxy_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"https": f"http://127.0.0.1:{port}"})
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda _host: False)
    assert "refused" in download_refusal()


@pytest.mark.usefixtures("no_cache")
def test_download_that_breaks_off_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> nn.Module:
        raise ConnectionResetError("torn\nand more")

    monkeypatch.setattr(weights_module, "_probe_hub", lambda: None)
    monkeypatch.setattr(timm, "create_model", broken)
    encoder = nn.Identity()
    with pytest.raises(WeightsError, match=r"\(torn\); give a file"):
        load_weights(encoder, "resnet18", "imagenet")


def test_encoder_that_nobody_pretrained_is_refused() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights"):
        load_weights(nn.Identity(), "resnet14t_unknown", "imagenet")


def test_digest_follows_every_weight_and_statistic(trained: nn.Module) -> None:
    before = digest(trained)
    assert digest(trained) == before
    trained.get_buffer("bn1.running_mean")[0] += 1
    assert digest(trained) != before
