"""The ranker: a small transformer over a certificate's mentions, that points at the underlying cause.

Inputs are the arrays of `model_repo/underlying/1/model.py`, for B certificates of T tokens. What the rules know of a pair of
tokens (which may cause which, which stands above) biases its attention. Output: a logit for each token [B, T] and for each
code of a closed list [B, A], of which one softmax is taken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RELATIONS = 161
_VALUES = (22, 11, 9, 9, 14)
_HEAD = (3, 25, 2, 6, 7, 2, 31)
_FLAGS, _STEPS = 12, 12
_FAR = -1e4


@dataclass(frozen=True)
class Shape:
    """Sizes of the network."""

    codes: int
    categories: int
    answers: int
    width: int = 96
    layers: int = 3
    heads: int = 6
    dropout: float = 0.2

    def record(self) -> dict[str, Any]:
        """Mapping for a checkpoint."""
        return asdict(self)


class Block(nn.Module):
    """Transformer block, norms first, with a bias for each pair and head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.relations = nn.Embedding(RELATIONS, shape.heads)
        nn.init.zeros_(self.relations.weight)
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv, self.out = nn.Linear(shape.width, 3 * shape.width), nn.Linear(shape.width, shape.width)
        self.up, self.down = nn.Linear(shape.width, 3 * shape.width), nn.Linear(3 * shape.width, shape.width)
        self.drop = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, relation: Tensor, far: Tensor) -> Tensor:
        """States [B, T+1, H]; relations [B, T, T] of the tokens behind the first; far [B, 1, 1, T+1] hides padding."""
        b, t, h = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, h // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        bias = F.pad(self.relations(relation).permute(0, 3, 1, 2), (1, 0, 1, 0))
        scores = torch.matmul(q, k.transpose(-1, -2)) * (h // self.heads) ** -0.5 + bias + far
        mixed = torch.matmul(torch.softmax(scores, -1), v).permute(0, 2, 1, 3).reshape(b, t, h)
        x = x + self.drop(self.out(mixed))
        return x + self.drop(self.down(F.gelu(self.up(self.norm2(x)))))


class Network(nn.Module):
    """See the module."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.letters = nn.Embedding(27, width)
        self.categories = nn.Embedding(shape.categories + 1, width)
        self.codes = nn.Embedding(shape.codes + 1, width)
        for table in (self.letters, self.categories, self.codes):
            nn.init.normal_(table.weight, std=0.3)
        self.values = nn.ModuleList(nn.Embedding(size, width) for size in _VALUES)
        self.flags = nn.Linear(_FLAGS, width)
        self.head = nn.ModuleList(nn.Embedding(size, width) for size in _HEAD)
        self.steps = nn.Linear(_STEPS, width)
        self.drop = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(width)
        self.mix, self.score = nn.Linear(2 * width, width), nn.Linear(width, 1)
        self.prior = nn.Linear(_FLAGS, 1)
        self.answers = nn.Linear(width, shape.answers)
        nn.init.constant_(self.answers.bias, -8.0)

    def forward(
        self, ids: Tensor, values: Tensor, flags: Tensor, head: Tensor, steps: Tensor, relation: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of the tokens [B, T] and of the listed codes [B, A]."""
        x = self.letters(ids[..., 0]) + self.categories(ids[..., 1]) + self.codes(ids[..., 2]) + self.flags(flags)
        for place, table in enumerate(self.values):
            x = x + table(values[..., place])
        whole = self.steps(steps)
        for place, table in enumerate(self.head):
            whole = whole + table(head[:, place])
        x = self.drop(torch.cat([whole.unsqueeze(1), x], 1))
        seen = F.pad(mask, (1, 0), value=1.0)
        far = ((1.0 - seen) * _FAR)[:, None, None, :]
        for block in self.blocks:
            x = block(x, relation, far)
        x = self.norm(x)
        whole, tokens = x[:, :1], x[:, 1:]
        mixed = F.gelu(self.mix(torch.cat([tokens, whole.expand_as(tokens)], -1)))
        logits = (self.score(self.drop(mixed)) + self.prior(flags)).squeeze(-1)
        return logits + (1.0 - mask) * _FAR, self.answers(whole.squeeze(1))
