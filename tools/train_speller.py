"""Train chapter 8's small pre-LN transformer, and store it.

python tools/train_speller.py           write the data file
python tools/train_speller.py --check   train it anew, and exit 1 where it learned otherwise

`make wild` runs it. No package that carries the weights of a small pre-LN transformer was found to
install by name, so this one is the book's own: 2 blocks, 32 features, and the Apache License as its
text. Rounding differs from machine to machine and training enlarges it, so the check compares what
was learned, not the bits.
"""

import io
import sys
import zipfile

import numpy as np
import torch
import torch.nn.functional as F

from layernorm_book.chapters.pre_ln import DATA, TOKENS, PreSpeller, characters, load_speller

STEPS, BATCH, RATE = 3000, 32, 3e-3
FILE = "speller.npz"


def loss_of(model, ids):
    """Return the mean loss, in nats for each character, over the text cut into pieces."""
    pieces = ids[: len(ids) // (TOKENS + 1) * (TOKENS + 1)].view(-1, TOKENS + 1)
    with torch.no_grad():
        guess = model(pieces[:, :-1])  # (pieces, tokens, characters)
    return F.cross_entropy(guess.flatten(0, 1).float(), pieces[:, 1:].flatten()).item()


def train(steps=STEPS):
    """Return a trained model and the text as numbers."""
    torch.set_num_threads(1)  # matrices are small: threads would mostly wait
    ids, alphabet = characters()
    model = PreSpeller(alphabet)
    torch.manual_seed(0)
    for layer in model.modules():  # it starts as PyTorch draws its layers
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, foreach=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        start = torch.randint(len(ids) - TOKENS, (BATCH, 1))
        piece = ids[start + torch.arange(TOKENS + 1)]  # (batch, tokens + 1)
        guess = model(piece[:, :-1])  # (batch, tokens, characters)
        loss = F.cross_entropy(guess.flatten(0, 1), piece[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, ids


def packed(model):
    """Return the model's parameters as the bytes of a file of NumPy's, without a date in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in model.state_dict().items():
            if "norm_after" in name:  # pre-LN does not use it
                continue
            one = io.BytesIO()
            np.save(one, values.half().numpy())
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), one.getvalue())
    return out.getvalue()


def main(arguments):
    """Train, and write the model or compare it."""
    model, ids = train()
    gamma = torch.cat([norm.weight for norm, _ in model.norms_and_readers()]).detach()
    print(f"loss {loss_of(model, ids):.3f}, γ from {gamma.min():.2f} to {gamma.max():.2f}")
    if arguments == ["--check"]:
        stored = loss_of(load_speller(torch.float32), ids)
        same = abs(stored - loss_of(model, ids)) < 0.05
        print(f"{FILE} {'has' if same else 'has NOT'} learned what this training learns")
        return 0 if same else 1
    (DATA / FILE).write_bytes(packed(model))
    print(f"{DATA / FILE}: {len(packed(model))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
