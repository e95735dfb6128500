"""A CNN-LSTM that looks everywhere at once: the LSTM reads each cell of the encoder's map by itself.

An accident happens in one place. Averaged over the picture, a worker who falls is drowned by all who do not;
read cell by cell, with the same weights in each, every person in the picture is an example, and a score says
where it was found.
"""

import torch
from torch import Tensor, nn

from jikimi.train.located import Guide, create_map
from jikimi.train.model import Model, init_head, over_time
from jikimi.train.recipes import Head


class CellLSTM(Model):
    """Windows of pictures (B, T, depth, H, W) → logits (B, C): of each accident, its clearest cell.

    A picture's features are its projected map, flattened: D = `cell_dim` · h · w.
    """

    def __init__(
        self,
        backbone: str,
        *,
        n_classes: int,
        normal: int,
        grid: tuple[int, int],
        depth: int,
        dropout: float,
        head: Head,
        cell_dim: int,
        hidden_dim: int,
        lstm_layers: int,
        fc_dim: int,
    ) -> None:
        super().__init__(create_map(backbone, depth=depth), depth=depth)
        width = int(self.encoder.num_features)  # type: ignore[arg-type]
        self.grid, self.cell_dim, self.head = grid, cell_dim, head
        self.backbone_dim, self.feature_dim = width, cell_dim * grid[0] * grid[1]
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.project = nn.Conv2d(width, cell_dim, 1)
        self.lstm = nn.LSTM(cell_dim, hidden_dim, lstm_layers, batch_first=True) if head == "lstm" else None
        width = hidden_dim if head == "lstm" else cell_dim
        self.fc = nn.Sequential(
            nn.Conv2d(width, fc_dim, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(fc_dim, n_classes + 1, 1),
        )
        self.accidents = [index for index in range(n_classes) if index != normal]
        self.normal = normal
        self.scale = nn.Parameter(torch.ones(n_classes - 1))
        self.bias = nn.Parameter(torch.zeros(n_classes - 1))
        self.guide = Guide(self.backbone_dim, n_classes=n_classes)
        init_head(self.lstm, self.fc)
        self.train_part("all")

    def project_features(self, outputs: Tensor) -> Tensor:
        """Maps, float (N, W, h, w) → features, float (N, D)."""
        features: Tensor = self.project(self.norm(outputs))
        return features.flatten(1)

    def guided(self, pictures_NCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures → features (N, D), and what `Guide` answers: cells and joints."""
        found = self.encoder(pictures_NCHW)
        return self.project_features(found), *self.guide(found)

    def remember(self, features_BTD: Tensor) -> Tensor:
        """Features, float (B, T, D) → what the LSTM says of each cell after each frame, (B, T, H, h, w)."""
        batch, length = features_BTD.shape[:2]
        height, width = self.grid
        cells = features_BTD.view(batch, length, self.cell_dim, height * width).permute(0, 3, 1, 2)
        said = over_time(self.head, self.lstm, cells.reshape(-1, length, self.cell_dim))
        return said.view(batch, height, width, length, -1).permute(0, 3, 4, 1, 2)

    def look(self, said_NHHW: Tensor) -> Tensor:
        """What is remembered of each cell, float (N, H, h, w) → logits of what it shows, (N, C + 1, h, w)."""
        logits: Tensor = self.fc(said_NHHW)
        return logits

    def pool(self, cells_NCHW: Tensor) -> Tensor:
        """Logits of cells, float (N, C + 1, h, w) → of the picture, (N, C): 0 for normal."""
        quiet = torch.logsumexp(cells_NCHW[:, [self.normal, -1]], dim=1, keepdim=True)
        best = (cells_NCHW[:, self.accidents] - quiet).amax((2, 3)) * self.scale + self.bias
        parts = [best[:, : self.normal], torch.zeros_like(best[:, :1]), best[:, self.normal :]]
        return torch.cat(parts, dim=1)

    def classify(self, features_BTD: Tensor) -> Tensor:
        """Windows of features, float (B, T, D) → logits, float (B, C)."""
        return self.pool(self.look(self.remember(features_BTD)[:, -1]))
