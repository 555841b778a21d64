"""How does a small transformer learn the book's own source code, and what happens to its tokens?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import layernorm_book
from layernorm_book.chapters.placement import Speller
from layernorm_book.chapters.progress import ProgressBar
from layernorm_book.widgets.collapse import Recording, apart

TOKENS, BATCH = 32, 8
WATCHED = 12  # tokens that are recorded: the last of the first piece of the sample
FRAMES = (0, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 80, 100, 150, 200)


def source_code() -> Tensor:
    """Return the ASCII characters of the layer and its judge: (characters,), from 0 to 127.

    The rest of the package is left out, so that a change there does not change what is trained.
    """
    package = Path(layernorm_book.__file__).parent
    layer = [package / f"{name}.py" for name in ("layer", "reference", "validation")]
    files = [*layer, *sorted((package / "parity").glob("*.py"))]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    return torch.tensor(list(text.encode("ascii", "ignore")))


def entropy(symbols: Tensor) -> float:
    """Return the mean of −log of each symbol's share, in nats."""
    share = torch.unique(symbols, return_counts=True)[1] / len(symbols)
    return -(share * share.log()).sum().item()


def pieces(data: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Return pieces of a text from places drawn at random: (count, TOKENS + 1)."""
    start = torch.randint(len(data) - TOKENS, (count, 1), generator=generator)
    return data[start + torch.arange(TOKENS + 1)]


def sample(data: Tensor, count: int = 64) -> Tensor:
    """Return the pieces on which all models are compared: (count, TOKENS + 1)."""
    return pieces(data, count, torch.Generator().manual_seed(0))


def frequencies_loss(data: Tensor) -> float:
    """Return the loss on the sample of a model that gives each character its share of the text."""
    share = torch.bincount(data) / len(data)
    return -share.log()[sample(data)[:, 1:]].mean().item()


def loss_of(guess: Tensor, piece: Tensor) -> Tensor:
    """Return the mean loss, in nats, of guesses at the next character: (batch, TOKENS, symbols)."""
    return F.cross_entropy(guess.flatten(0, 1), piece[:, 1:].flatten())


def loss_on(model: Speller, piece: Tensor) -> Tensor:
    """Return the mean loss of a model on pieces of text, (batch, TOKENS + 1)."""
    return loss_of(model(piece[:, :-1]), piece)


class Look(NamedTuple):
    """What is seen of a model on some pieces of text."""

    loss: float
    cosines: np.ndarray  # of the first piece, before the first block and after each:
    # (depth + 1, WATCHED, WATCHED), float64
    shared: np.ndarray  # s², the variance of what a branch gives to all tokens: (2 · depth,)
    own: np.ndarray  # the variance of the rest of what it gives: (2 · depth,)


@torch.no_grad()
def look(model: Speller, piece: Tensor) -> Look:
    """Run a model on pieces of text, (count, TOKENS + 1), and return what is seen on the way."""
    given: list[Tensor] = []  # what each branch gives: (count, TOKENS, d)
    branches = [sublayer.branch for sublayer in model.sublayers]
    hooks = [b.register_forward_hook(lambda _, __, f: given.append(f)) for b in branches]
    states = torch.stack(model.states(piece[:, :-1]))  # (depth + 1, count, TOKENS, d)
    for hook in hooks:
        hook.remove()
    unit = F.normalize(states[:, 0, -WATCHED:].double(), dim=-1)  # (depth + 1, WATCHED, d)
    common = [f.mean((0, 1)) for f in given]  # (d,) each
    shared = [c.var(correction=0).item() for c in common]
    own = [(f - c).var(correction=0).item() for f, c in zip(given, common, strict=True)]
    loss = loss_of(model.answer(states[-1]), piece).item()
    return Look(loss, (unit @ unit.mT).numpy(), np.array(shared), np.array(own))


class Run(NamedTuple):
    """What is left of a training run."""

    model: Speller
    losses: np.ndarray  # of each step, on its own batch: (steps,)
    loss: float  # at the end, on the sample
    recording: Recording  # loss on the sample and cosines, at some steps
    gradients: np.ndarray  # at those steps, as `gradients` measures them: (frames, depth)
    shared: np.ndarray  # and s² of each sublayer: (frames, 2 · depth)
    own: np.ndarray  # and the variance of the rest of what its branch gives
    moved: np.ndarray  # how far each block's last matrix moves, in each step: (steps, depth)


def train(
    Place: type,
    data: Tensor,
    seed: int = 0,
    steps: int = 100,
    rate: float = 0.005,
    warm_up: int = 1,
    change: Callable[[Sequence[Tensor]], None] = lambda gradients: None,
    frames: Sequence[int] = (),
    advance: Callable[[], None] = lambda: None,
) -> Run:
    """Train a Speller with Adam.

    Args:
        Place: where LayerNorm stands, a subclass of `Sublayer`.
        data: the text, (characters,).
        rate: the learning rate, once the warm-up is over.
        warm_up: the step in which the learning rate, rising from 0, reaches `rate`.
        change: may change the gradients in place, one for each parameter, before Adam sees them.
        frames: the steps after which its tokens and branches are looked at, 0 before the first.
        advance: is called after each step.
    """
    torch.manual_seed(seed)
    model, compared = Speller(Place), sample(data)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    losses, recorded, moved = [], [], []
    matrices = [branch.out.weight for branch in feed_forward(model)]

    def record(step):
        if step in frames:
            loss, cosines, *parts = look(model, compared)
            recorded.append((step, loss, cosines, gradients(model, data), *parts))

    record(0)
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = rate * min(1, step / warm_up)
        loss = loss_on(model, pieces(data, BATCH))
        optimizer.zero_grad()
        loss.backward()
        change([p.grad for p in model.parameters() if p.grad is not None])
        before = [matrix.detach().clone() for matrix in matrices]
        optimizer.step()
        pairs = zip(matrices, before, strict=True)
        moved.append([(new - old).norm().item() for new, old in pairs])
        losses.append(loss.item())
        record(step)
        advance()
    with torch.no_grad():
        end = loss_on(model, compared).item()
    at, seen, watched, *parts = zip(*recorded, strict=True) if recorded else [()] * 6
    recording = Recording(at, seen, np.array(watched))
    return Run(model, np.array(losses), end, recording, *map(np.array, parts), np.array(moved))


def train_all(
    places: Mapping[str, type], data: Tensor, seeds: Sequence[int] = (0,), **options: Any
) -> dict[str, list[Run]]:
    """Train several placements, each from several seeds, under one progress bar.

    Args:
        places: for each name where LayerNorm stands, a subclass of `Sublayer`.
        options: as in `train`; `steps` has to be among them.

    Returns:
        For each name its runs, one for each seed.
    """
    runs, steps = len(places) * len(seeds), options["steps"]
    bar = ProgressBar(runs * steps, "steps", f"trained: {runs} runs of {steps} steps")
    options["advance"] = bar.advance
    return {
        name: [train(Place, data, seed, **options) for seed in seeds]
        for name, Place in places.items()
    }


def ends(runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Return where runs end, (runs,) each: the losses, and 1 − cosine in the last block."""
    distances = [apart(run.recording.cosines[-1, -1]) for run in runs]
    return np.array([run.loss for run in runs]), np.array(distances)


def feed_forward(model: Speller) -> list[torch.nn.Module]:
    """Return the feed-forward part of each block, whose `out` is the block's last matrix."""
    return [sublayer.branch for sublayer in model.sublayers[1::2]]


def gradients(model: Speller, data: Tensor) -> np.ndarray:
    """Return the norm of the gradient of each block's last matrix, on four pieces: (depth,)."""
    model.zero_grad()
    loss_on(model, sample(data)[:4]).backward()
    return np.array([branch.out.weight.grad.norm().item() for branch in feed_forward(model)])


@torch.no_grad()
def named(model: Speller, data: Tensor) -> float:
    """Return for what share of tokens the last block still tells which character came in.

    It is read by the linear map that fits one half of 128 pieces best, and tried on the other.
    """
    ids = pieces(data, 128, torch.Generator().manual_seed(1))[:, :-1]  # (128, TOKENS)
    h = model.states(ids)[-1].flatten(0, 1).double()  # (128 · TOKENS, d)
    h = torch.cat([h, torch.ones_like(h[:, :1])], 1)  # and a constant
    ids, half = ids.flatten(), len(h) // 2
    known, answers = h[:half], F.one_hot(ids[:half], 128).double()
    square = known.mT @ known + 1e-3 * torch.eye(h.shape[1])  # it may lack full rank
    read = torch.linalg.solve(square, known.mT @ answers)  # (d + 1, 128)
    return ((h[half:] @ read).argmax(1) == ids[half:]).double().mean().item()
