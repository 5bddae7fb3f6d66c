"""The encoder: a small transformer that marks the entities of a line and names the codes of each, in one pass.

Input: token ids [B, T] (0 pads). `Encoder` gives tag logits [B, T, 3] (outside, begin, inside) and states [B, T, H];
`Head` takes the mean state of each entity [S, H] and gives logits of its main code [S, C] and of its second code
[S, D], whose class 0 is "none".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

OUTSIDE, BEGIN, INSIDE = range(3)


@dataclass(frozen=True)
class Shape:
    """Sizes of the network."""

    vocabulary: int
    codes: int
    seconds: int
    width: int = 256
    layers: int = 4
    heads: int = 4
    inner: int = 1024
    positions: int = 128
    dropout: float = 0.1
    post: bool = False
    """Norms behind the additions, as BERT has them (`training.pretrained`), not before the products."""

    def record(self) -> dict[str, Any]:
        """Mapping for a checkpoint."""
        return asdict(self)


class Block(nn.Module):
    """Transformer block, its norms before the products or behind the additions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.post = shape.heads, shape.post
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv, self.out = nn.Linear(shape.width, 3 * shape.width), nn.Linear(shape.width, shape.width)
        self.up, self.down = nn.Linear(shape.width, shape.inner), nn.Linear(shape.inner, shape.width)
        self.drop = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """States [B, T, H] and additive attention bias [B, 1, 1, T] to states."""
        b, t, h = x.shape
        q, k, v = (
            self.qkv(x if self.post else self.norm1(x))
            .view(b, t, 3, self.heads, h // self.heads)
            .permute(2, 0, 3, 1, 4)
            .unbind(0)
        )
        # Written out, not scaled_dot_product_attention, so that the exported graph is plain matrix products.
        scores = torch.matmul(q, k.transpose(-1, -2)) * (h // self.heads) ** -0.5 + bias
        mixed = torch.matmul(torch.softmax(scores, -1), v).permute(0, 2, 1, 3).reshape(b, t, h)
        x = x + self.drop(self.out(mixed))
        if self.post:
            x = self.norm1(x)
            return self.norm2(x + self.drop(self.down(F.gelu(self.up(x)))))
        return x + self.drop(self.down(F.gelu(self.up(self.norm2(x)))))


class Encoder(nn.Module):
    """Tokens to tags and states."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width, padding_idx=0)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.post = shape.post
        self.drop = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.tags = nn.Linear(shape.width, 3)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Ids [B, T] to tag logits [B, T, 3] and states [B, T, H]."""
        bias = (ids == 0).to(torch.float32)[:, None, None, :] * -1e4
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        x = self.drop(self.norm(x) if self.post else x)
        for block in self.blocks:
            x = block(x, bias)
        if not self.post:
            x = self.norm(x)
        return self.tags(x), x


class Head(nn.Module):
    """Mean states of entities to code logits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.mix = nn.Linear(shape.width, shape.width)
        self.drop = nn.Dropout(shape.dropout)
        self.codes = nn.Linear(shape.width, shape.codes)
        self.seconds = nn.Linear(shape.width, shape.seconds)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled states [S, H] to logits of main [S, C] and second code [S, D]."""
        x = self.drop(F.gelu(self.mix(pooled)) + pooled)
        return self.codes(x), self.seconds(x)


def pool(states: Tensor, rows: Tensor, firsts: Tensor, lasts: Tensor) -> Tensor:
    """Mean state of each entity: tokens `firsts` to `lasts` (inclusive) of `rows`."""
    sums = torch.cumsum(states.float(), 1)
    sums = torch.cat([torch.zeros_like(sums[:, :1]), sums], 1)
    total = sums[rows, lasts + 1] - sums[rows, firsts]
    return total / (lasts - firsts + 1).unsqueeze(1).float()
