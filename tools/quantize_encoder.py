"""Round what a sentence encoder's matrices read to few bits, and record what is left of it.

python tools/quantize_encoder.py           write the data file
python tools/quantize_encoder.py --check   compare it, and exit 1 where it differs

`make wild` runs it. The outputs of the first 12 LayerNorms are rounded to 8, 6 or 4 bits on the way
into the matrices that read them, with one step for all tokens and channels of a layer, the largest
number at the end of the scale. The residual path and the matrices stay float32. Before the
rounding, each channel is divided by a number of its own, and the matrices' columns are multiplied
by it; in exact arithmetic that changes nothing.
"""

import copy
import sys

import torch
from encoder import compare, digits, embed, finish, layer_norms, load, readers

from layernorm_book.chapters.trained import NAMES

BITS = (8, 6, 4)
DIVISORS = {
    "as it is": lambda y, weight, gamma: torch.ones_like(gamma),
    # Outlier Suppression's γ migration (Wei et al. 2022).
    "gamma migrated": lambda y, weight, gamma: gamma,
    # SmoothQuant with α = ½ (Xiao et al. 2023).
    "smoothed": lambda y, weight, gamma: (y / weight).sqrt(),
}
"""What a channel is divided by: of the largest |y| and the largest |weight| of each channel, and γ.

Each takes and returns tensors of shape (n,).
"""


def largest_outputs(model, tokens):
    """Return for each LayerNorm the largest |y| of each channel: a tensor of shape (13, 384)."""
    mask, seen, hooks = tokens["attention_mask"].bool(), [], []
    for layer in layer_norms(model):
        record = lambda module, inputs, y: seen.append(y[mask].abs().amax(0))  # noqa: E731
        hooks.append(layer.register_forward_hook(record))
    embed(model, tokens)
    for hook in hooks:
        hook.remove()
    return torch.stack(seen)


def quantized(model, largest, bits, divisor):
    """Return a copy whose matrices read rounded numbers.

    Args:
        model: the encoder, left as it is.
        largest: what `largest_outputs` returns.
        bits: of the numbers, the sign included.
        divisor: a value of `DIVISORS`.
    """
    model = copy.deepcopy(model)
    most = 2 ** (bits - 1) - 1
    for reading, norm, y in zip(readers(model), layer_norms(model), largest, strict=False):
        weights = torch.cat([reader.weight for reader in reading]).detach()  # (out, 384)
        by = divisor(y, weights.abs().amax(0), norm.weight.detach())  # (384,)
        step = (y / by.abs()).max() / most

        def round_off(module, inputs, by=by, step=step):
            return ((inputs[0] / by / step).round().clamp(-most, most) * step,)

        for reader in reading:
            with torch.no_grad():
                reader.weight *= by
            reader.register_forward_pre_hook(round_off)
    return model


def main(arguments):
    """Round in every way, and write the results or compare them."""
    model, tokens = load()
    expected = embed(model, tokens)
    largest = largest_outputs(model, tokens)  # (13, 384)
    gamma = torch.stack([norm.weight.detach() for norm in layer_norms(model)])  # (13, 384)
    cosine = {}
    for bits in BITS:
        for name, divisor in DIVISORS.items():
            found = embed(quantized(model, largest, bits, divisor), tokens)
            cosine.setdefault(name, {})[str(bits)] = compare(found, expected)
            print(f"{name:16} {bits} bits", *cosine[name][str(bits)].values())
    scale = {}
    for name, y, g in list(zip(NAMES, largest, gamma, strict=True))[:-1]:
        flat = y / g  # (384,), the largest of x̂ + β / γ
        scale[name] = {
            "channel": int(y.argmax()),
            "largest": digits(y.max()),
            "typical": digits(y.median()),
            "largest, gamma migrated": digits(flat.max()),
            "typical, gamma migrated": digits(flat.median()),
        }
    return finish("quantized_encoder.json", {"cosine": cosine, "scale": scale}, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
