"""From which scales of its weights does a deep network learn? The depth lab's blocks, trained."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from layernorm_book.widgets.depth import WIDTH, draw

POINTS = 24  # of the curve that is learned


def curve() -> tuple[Tensor, Tensor]:
    """Return what is to be learned, sin(3t) for t from -1 to 1: t and sin(3t), (POINTS,) each."""
    t = torch.linspace(-1, 1, POINTS)
    return t, torch.sin(3 * t)


def learn(
    scales: Sequence[float],
    norm: str,
    depth: int = 16,
    steps: int = 100,
    seeds: Sequence[int] = (0, 1, 2),
) -> Tensor:
    """Train the blocks of the depth lab on the curve, from each scale of their weights.

    A row for t is the lab's first row plus t times its second; a weighted sum of the last row is
    the answer. All weights are trained, by Adam at a step of 0.001, on all points at once.

    Args:
        scales: what the weights are multiplied by before the first step.
        norm: "none" or "layernorm", before each block.
        depth: how many blocks.
        steps: of training.
        seeds: which of the lab's draws.

    Returns:
        The median of the mean square error over the last ten steps, (seeds, scales); NaN where
        there is none.
    """
    t, wanted = curve()
    drawn = [draw(seed) for seed in seeds]
    rows = torch.stack([x + t[:, None] * other for x, other, _ in drawn])  # (seeds, POINTS, WIDTH)
    rows = rows.repeat_interleave(len(scales), 0)  # (nets, POINTS, WIDTH), net for net
    scale = torch.tensor(scales, dtype=torch.float32)[:, None, None]  # (scales, 1, 1)
    weights = [
        torch.cat([scale * weights[block].T for *_, weights in drawn]).requires_grad_()
        for block in range(depth)
    ]  # depth times (nets, WIDTH, WIDTH)
    ends = torch.stack([other for _, other, _ in drawn])[..., None] / WIDTH**0.5
    end = ends.repeat_interleave(len(scales), 0).clone().requires_grad_()  # (nets, WIDTH, 1)
    adam = torch.optim.Adam([*weights, end], lr=1e-3, foreach=True)
    losses = []
    for _ in range(steps):
        row = rows
        for weight in weights:
            row = layer_norm(row, (WIDTH,)) if norm == "layernorm" else row
            row = torch.bmm(torch.relu(row), weight)
        loss = (torch.bmm(row, end)[..., 0] - wanted).square().mean(-1)  # (nets,)
        losses.append(loss.detach())
        adam.zero_grad()
        loss.sum().backward()  # the nets share nothing: each gets the gradient of its own loss
        adam.step()
    return torch.stack(losses[-10:]).median(0).values.reshape(len(seeds), len(scales))
