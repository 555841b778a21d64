"""Silence each channel of a sentence encoder once, and record what is left of its embeddings.

python tools/silence_channels.py           write the data file
python tools/silence_channels.py --check   compare it, and exit 1 where it differs

`make wild` runs it; it takes some minutes. A channel is silenced in all 13 LayerNorms, as if its γ
and β were 0: for every token, for the first token [CLS] alone, and for all the others. For channel
99 in [CLS] there is a control: its number is replaced by an average of its own, which tells
whether the model misses what that number says of a sentence, or that it is there. Chapter 8 and
its lab quote what this tool writes.
"""

import sys
from contextlib import contextmanager

import torch
from encoder import compare, digits, embed, finish, layer_norms, load

ROWS = {"all": slice(None), "cls": slice(0, 1), "others": slice(1, None)}
"""The tokens for which a channel is silenced: [CLS] is the first of each sentence."""


@contextmanager
def silenced(model, channel, rows="all"):
    """Let every LayerNorm of the model give 0 in one channel, for some of the tokens.

    Args:
        model: with torch LayerNorms on inputs of shape (sentences, tokens, n).
        channel: its number; or None, and nothing happens.
        rows: a key of `ROWS`.
    """

    def silence(module, inputs, output):
        if channel is None:
            return output
        output = output.clone()  # (sentences, tokens, n)
        output[:, ROWS[rows], channel] = 0
        return output

    hooks = [layer.register_forward_hook(silence) for layer in layer_norms(model)]
    try:
        yield model
    finally:
        for hook in hooks:
            hook.remove()


def watch(model, tokens):
    """Return what each LayerNorm's input rows look like.

    Returns:
        (share, cls): lists of 13. share has each channel's share of all x̂², 384 numbers; cls has
        for the [CLS] rows alone their median σ, the median of the other rows, the channel that is
        loudest there, and its share of the x̂² of those rows.
    """
    mask, share, cls, hooks = tokens["attention_mask"].bool(), [], [], []

    def record(module, inputs, output):
        x = inputs[0]  # (sentences, tokens, 384)
        std = x.std(-1, correction=0)  # (sentences, tokens)
        x_hat = (x - x.mean(-1, keepdim=True)) / std[..., None]
        energy = x_hat.square()  # (sentences, tokens, 384)
        own = energy[:, 0].mean(0) / x.shape[-1]  # (384,)
        share.append([digits(v) for v in energy[mask].mean(0) / x.shape[-1]])
        others = mask.clone()
        others[:, 0] = False
        cls.append(
            {
                "sigma": digits(std[:, 0].median()),
                "sigma of the others": digits(std[others].median()),
                "loudest": int(own.argmax()),
                "share": digits(own.max()),
            }
        )

    for layer in layer_norms(model):
        hooks.append(layer.register_forward_hook(record))
    embed(model, tokens)
    for hook in hooks:
        hook.remove()
    return share, cls


def replaced_by_averages(model, tokens, expected, channel):
    """Return what is left of the embeddings if a constant stands in one channel of all [CLS] rows.

    Returns:
        dict. "cls" is what each LayerNorm gives there, with its least, mean and largest value over
        the sentences; "by the average of cls" and "by the average of others" are the cosines with
        each layer's mean over the sentences' [CLS], or over all other tokens, in its place.
    """
    layers, mask, given = layer_norms(model), tokens["attention_mask"].bool(), []
    hooks = [layer.register_forward_hook(lambda *a: given.append(a[2])) for layer in layers]
    embed(model, tokens)
    for hook in hooks:
        hook.remove()
    cls = [y[:, 0, channel] for y in given]  # (sentences,) each
    others = [y[:, 1:, channel][mask[:, 1:]] for y in given]  # (tokens but [CLS],) each

    def left_with(averages):
        def put(average):
            def hook(module, inputs, output):
                output = output.clone()  # (sentences, tokens, n)
                output[:, 0, channel] = average
                return output

            return hook

        hooks = [
            layer.register_forward_hook(put(average))
            for layer, average in zip(layers, averages, strict=True)
        ]
        found = compare(embed(model, tokens), expected)
        for hook in hooks:
            hook.remove()
        return found

    return {
        "cls": {k: [digits(getattr(y, k)()) for y in cls] for k in ("min", "mean", "max")},
        "by the average of cls": left_with([y.mean() for y in cls]),
        "by the average of others": left_with([y.mean() for y in others]),
    }


def attention_to_cls(model, tokens):
    """Return for each block the share of all attention that goes to the first token."""
    real = tokens["attention_mask"].bool()  # (sentences, tokens)
    with torch.no_grad():
        blocks = model(**tokens, output_attentions=True).attentions
    # Each (sentences, heads, from, to): the tokens that read, padding left out.
    return [digits(block[..., 0].transpose(1, 2)[real].mean()) for block in blocks]


def main(arguments):
    """Silence every channel in three ways, and write the results or compare them."""
    model, tokens = load(attn_implementation="eager")  # the only one that returns its attention
    expected = embed(model, tokens)
    channels = range(expected.shape[-1])
    cosine = {}
    for rows in ROWS:
        found = []
        for channel in channels:
            with silenced(model, channel, rows):
                found.append(compare(embed(model, tokens), expected))
        cosine[rows] = {kind: [each[kind] for each in found] for kind in ("worst", "median")}
    share, cls = watch(model, tokens)
    attention = {}
    for name, channel in (("untouched", None), ("without 99", 99)):
        with silenced(model, channel):
            attention[name] = attention_to_cls(model, tokens)
    return finish(
        "silenced_channels.json",
        {
            "sentences": len(expected),
            "tokens": int(tokens["attention_mask"].sum()),
            "cosine": cosine,
            "share": share,
            "cls": cls,
            "attention to cls": attention,
            "99 in cls replaced": replaced_by_averages(model, tokens, expected, 99),
        },
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
