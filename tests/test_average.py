"""The averaged weights."""

import torch

from jikimi.train.average import averaged, follow
from jikimi.train.model import CNNLSTM
from train_data import BACKBONE


def test_average_follows_weights_and_statistics_and_is_not_trained() -> None:
    model = CNNLSTM(BACKBONE, n_classes=3)
    average = averaged(model)
    assert not any(parameter.requires_grad for parameter in average.parameters())
    start = model.project.bias.detach().clone()
    with torch.no_grad():
        model.project.bias += 1
        model.norm.running_mean += 1  # type: ignore[operator]
        model.norm.num_batches_tracked += 5  # type: ignore[operator]
    follow(average, model, decay=0.9, step=1000)
    torch.testing.assert_close(average.project.bias, start + 0.1)
    torch.testing.assert_close(average.norm.running_mean, torch.full((96,), 0.1))
    assert average.norm.num_batches_tracked == model.norm.num_batches_tracked
    for _ in range(200):
        follow(average, model, decay=0.9, step=1000)
    torch.testing.assert_close(average.project.bias, model.project.bias.detach())


def test_average_forgets_where_it_began() -> None:
    model = CNNLSTM(BACKBONE, n_classes=3)
    average = averaged(model)
    with torch.no_grad():
        model.project.bias += 1
    follow(average, model, decay=0.999, step=0)
    torch.testing.assert_close(average.project.bias, model.project.bias.detach() - 0.1)
