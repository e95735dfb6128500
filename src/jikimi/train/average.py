"""The running average of a model's weights: less noisy than the last step's, and what is judged and kept."""

import copy

import torch

from jikimi.train.model import Model


def averaged(model: Model) -> Model:
    """A copy to hold the average, which is never trained."""
    average = copy.deepcopy(model)
    average.requires_grad_(False)
    return average.eval()


@torch.no_grad()
def follow(average: Model, model: Model, *, decay: float, step: int) -> None:
    """Move the average towards the model by `1 - decay`; by more in the first steps, which it should forget.

    The warm-up is that of TensorFlow's ExponentialMovingAverage: (1 + step) / (10 + step).
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for kept, now in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(now, weight)
        else:
            kept.copy_(now)
