"""The CNN-LSTM: what it is made of, what is frozen, what one window answers."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jikimi import metrics
from jikimi.errors import TrainError
from jikimi.preprocess import Preprocess
from jikimi.train.model import (
    CNNLSTM,
    EncoderPart,
    HeadPart,
    check_pictures,
    create_encoder,
    last_stage,
    pool_windows,
)
from jikimi.train.recipes import Head, Part, Pool
from train_data import BACKBONE

FRAMES = torch.randn(2, 5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def model_of(backbone: str = BACKBONE, part: Part = "all") -> CNNLSTM:
    torch.manual_seed(0)
    model = CNNLSTM(backbone, n_classes=6)
    model.train_part(part)
    return model


def train_steps(model: CNNLSTM, steps: int = 2) -> None:
    model.train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(FRAMES), torch.tensor([1, 2])).backward()
        optimizer.step()


def test_sizes_are_the_origins() -> None:
    model = model_of()
    assert (model.project.in_features, model.project.out_features) == (96, 300)
    assert (model.lstm.input_size, model.lstm.hidden_size, model.lstm.num_layers) == (300, 256, 3)
    linears = [layer for layer in model.fc if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linears] == [(256, 128), (128, 6)]
    assert model(FRAMES).shape == (2, 6)


@pytest.mark.parametrize("pool", ["max", "catavgmax"])
@pytest.mark.parametrize("backbone", [BACKBONE, "mobilenetv4_conv_small_050", "regnetx_002", "lcnet_050"])
def test_encoder_pools_as_asked(backbone: str, pool: Pool) -> None:
    model = CNNLSTM(backbone, n_classes=3, depth=5, pool=pool).eval()
    check_pictures(model, Preprocess(64, 96, inputs="rgb+motion", lags=(1, 4)))
    assert model.encode(torch.zeros(2, 5, 64, 96)).shape == (2, 300)


def test_encoder_that_cannot_pool_so_is_refused() -> None:
    with pytest.raises(TrainError, match="cannot pool by 'max'"):
        CNNLSTM("test_vit3", n_classes=3, pool="max")


@pytest.mark.parametrize("head", ["mean", "last"])
def test_simple_heads_read_the_window_without_an_lstm(head: Head) -> None:
    model = CNNLSTM(BACKBONE, n_classes=3, head=head, feature_dim=20, fc_dim=8).eval()
    features = torch.randn(2, 7, 20)
    read = features.mean(dim=1) if head == "mean" else features[:, -1]
    assert model.lstm is None
    torch.testing.assert_close(model.classify(features), model.fc(read))
    torch.testing.assert_close(HeadPart(model)(features), model.classify(features))


def test_sizes_of_the_head_are_chosen() -> None:
    model = CNNLSTM(BACKBONE, n_classes=6, feature_dim=40, hidden_dim=24, lstm_layers=1, fc_dim=12)
    assert model.lstm is not None
    assert (model.lstm.input_size, model.lstm.hidden_size, model.lstm.num_layers) == (40, 24, 1)
    assert model(FRAMES).shape == (2, 6)


def test_last_output_is_classified() -> None:
    model = model_of().eval()
    features = torch.randn(1, 7, 300)
    output, _ = model.lstm(features)
    torch.testing.assert_close(model.classify(features), model.fc(output[:, -1]))


def test_all_frames_pass_the_encoder_at_once() -> None:
    model = model_of()
    seen: list[int] = []
    model.encoder.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    model(FRAMES)
    assert seen == [10]


@pytest.mark.parametrize("part", ["head", "last"])
def test_frozen_encoder_stays_in_eval_mode_whatever_train_says(part: Part) -> None:
    model = model_of(part=part).train()
    trained = {id(m) for top in last_stage(model.encoder) for m in top.modules()} if part == "last" else set()
    for module in model.encoder.modules():
        assert module.training == (id(module) in trained)
    assert model.lstm.training and model.fc.training and model.project.training
    model.eval()
    assert not any(module.training for module in model.modules())


def test_head_stage_leaves_the_encoder_alone_and_trains_the_projection() -> None:
    model = model_of(part="head")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train_steps(model)
    after = model.state_dict()
    moved = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert not [key for key in moved if key.startswith("encoder.")]
    assert {key.split(".")[0] for key in moved} == {"project", "lstm", "fc"}


@pytest.mark.parametrize("backbone", [BACKBONE, "test_efficientnet", "test_byobnet"])
def test_last_stage_moves_and_nothing_before_it(backbone: str) -> None:
    model = model_of(backbone, part="last")
    ours = {id(p) for module in last_stage(model.encoder) for p in module.parameters()}
    assert 0 < len(ours) < len(list(model.encoder.parameters()))
    trained = {id(p) for p in model.encoder.parameters() if p.requires_grad}
    assert trained == ours
    frozen = {id(module): f"encoder.{name}" for name, module in model.encoder.named_children()}
    late = {frozen[id(module)] for module in last_stage(model.encoder) if id(module) in frozen}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train_steps(model)
    moved = {key for key, value in before.items() if not torch.equal(value, model.state_dict()[key])}
    assert any(key.startswith("encoder.") for key in moved)
    first_children = [name for name in frozen.values() if name not in late and "blocks" not in name]
    early = tuple(f"{name}." for name in first_children if "stages" not in name)
    assert not [key for key in moved if key.startswith(early)]


def test_all_stage_trains_everything() -> None:
    model = model_of(part="head")
    model.train_part("all")
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.train().encoder.modules())


def test_frozen_features_carry_no_gradient_graph() -> None:
    assert not model_of(part="head").backbone_features(FRAMES[0]).requires_grad
    assert model_of(part="all").backbone_features(FRAMES[0]).requires_grad


@pytest.mark.parametrize(
    "backbone",
    ["mobilenetv3_small_050", "test_convnext", "test_vit3", "test_nfnet", "regnety_002", "test_efficientnet"],
)
def test_any_timm_encoder_will_do(backbone: str) -> None:
    model = model_of(backbone)
    check_pictures(model, Preprocess(160, 160))
    assert model.encode(torch.zeros(2, 3, 160, 160)).shape == (2, 300)
    assert list(last_stage(model.encoder))


def test_encoder_that_takes_other_pictures_is_refused_by_size() -> None:
    with pytest.raises(TrainError, match="64×96 px") as refused:
        check_pictures(model_of("test_vit3"), Preprocess(64, 96))
    assert "\n" not in str(refused.value)


def test_unknown_encoder_is_refused_with_what_is_near() -> None:
    with pytest.raises(TrainError, match=r"resnet11'.*did you mean.*resnet1"):
        create_encoder("resnet11")
    with pytest.raises(TrainError, match="no timm encoder"):
        create_encoder("0")


def test_encoder_without_stages_is_refused() -> None:
    with pytest.raises(TrainError, match="no stages"):
        list(last_stage(nn.Sequential(nn.Conv2d(3, 3, 1))))


def test_parts_together_are_the_model() -> None:
    model = model_of().eval()
    with torch.no_grad():
        features = EncoderPart(model)(FRAMES.flatten(0, 1)).view(2, 5, -1)
        torch.testing.assert_close(HeadPart(model)(features), model(FRAMES))


@pytest.mark.parametrize("normal", [0, 2, 5])
def test_pooling_is_the_same_in_torch_and_numpy(normal: int) -> None:
    logits = np.random.default_rng(normal).normal(scale=4, size=(9, 6)).astype(np.float32)
    ours = pool_windows(torch.from_numpy(logits), normal).numpy()
    np.testing.assert_allclose(ours, metrics.pool_windows(logits, normal), rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_window_through_pooling() -> None:
    logits: Tensor = torch.randn(4, 6, requires_grad=True)
    nn.functional.cross_entropy(pool_windows(logits, 5), torch.tensor(1)).backward()
    assert logits.grad is not None and (logits.grad.abs().sum(dim=1) > 0).all()


def test_pooling_one_window_is_that_window() -> None:
    logits = torch.randn(1, 6)
    torch.testing.assert_close(pool_windows(logits, 5), logits[0])
