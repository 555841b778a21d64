"""Silence each channel of a sentence encoder once, and record what is left of its embeddings.

python tools/silence_channels.py           write the data file
python tools/silence_channels.py --check   compare it, and exit 1 where it differs

`make wild` runs it; it takes some minutes. A channel is silenced in all 13 LayerNorms, as if its γ
and β were 0: for every token, for the first token [CLS] alone, and for all the others. For channel
99 in [CLS] there are two controls. Its number is replaced by an average of its own, which tells
whether the model misses what that number says of a sentence, or that it is there. And the number
is taken away without what it does to σ, and the other way round. Chapter 8 and its lab quote what
this tool writes.
"""

import sys
from contextlib import contextmanager, nullcontext

import torch
from encoder import compare, digits, embed, finish, layer_norms, load, median

ROWS = {"all": slice(None), "cls": slice(0, 1), "others": slice(1, None)}
"""The tokens for which a channel is silenced: [CLS] is the first of each sentence."""


@contextmanager
def hooked(model, hooks):
    """Let each LayerNorm of the model call its own hook, after its forward pass."""
    layers = zip(layer_norms(model), hooks, strict=True)
    handles = [layer.register_forward_hook(hook) for layer, hook in layers]
    try:
        yield model
    finally:
        for handle in handles:
            handle.remove()


def silenced(model, channel, rows="all", values=None):
    """Let every LayerNorm of the model give 0 in one channel, for some of the tokens.

    Args:
        model: with torch LayerNorms on inputs of shape (sentences, tokens, n).
        channel: its number; or None, and nothing happens.
        rows: a key of `ROWS`.
        values: what each of them gives there instead of 0.
    """

    def giving(value):
        def hook(module, inputs, output):
            output = output.clone()  # (sentences, tokens, n)
            output[:, ROWS[rows], channel] = value
            return output

        return hook

    if channel is None:
        return nullcontext(model)
    return hooked(model, [giving(v) for v in values or [0] * len(layer_norms(model))])


def watch(model, tokens):
    """Return what each LayerNorm's input rows look like.

    Returns:
        (share, cls, sigma): lists of 13. share has each channel's share of all x̂², 384 numbers; cls
        has for the [CLS] rows alone their median σ, the median of the other rows, the channel that
        is loudest there, and its share of the x̂² of those rows; sigma has for each sentence the σ
        of its rows.
    """
    mask, share, cls, sigma = tokens["attention_mask"].bool(), [], [], []

    def record(module, inputs, output):
        x = inputs[0]  # (sentences, tokens, 384)
        std = x.std(-1, correction=0)  # (sentences, tokens)
        x_hat = (x - x.mean(-1, keepdim=True)) / std[..., None]
        energy = x_hat.square()  # (sentences, tokens, 384)
        own = energy[:, 0].mean(0) / x.shape[-1]  # (384,)
        share.append([digits(v) for v in energy[mask].mean(0) / x.shape[-1]])
        sigma.append([[digits(v) for v in row[real]] for row, real in zip(std, mask, strict=True)])
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

    with hooked(model, [record] * len(layer_norms(model))):
        embed(model, tokens)
    return share, cls, sigma


def replaced_by_averages(model, tokens, expected, channel):
    """Return what is left of the embeddings if a constant stands in one channel of all [CLS] rows.

    Returns:
        dict. "cls" is what each LayerNorm gives there, with its least, mean and largest value over
        the sentences; "by the average of cls" and "by the average of others" are the cosines with
        each layer's mean over the sentences' [CLS], or over all other tokens, in its place.
    """
    mask, given = tokens["attention_mask"].bool(), []
    with hooked(model, [lambda *a: given.append(a[2])] * len(layer_norms(model))):
        embed(model, tokens)
    cls = [y[:, 0, channel] for y in given]  # (sentences,) each
    others = [y[:, 1:, channel][mask[:, 1:]] for y in given]  # (tokens but [CLS],) each

    def left_with(averages):
        with silenced(model, channel, "cls", averages):
            return compare(embed(model, tokens), expected)

    return {
        "cls": {k: [digits(getattr(y, k)()) for y in cls] for k in ("min", "mean", "max")},
        "by the average of cls": left_with([y.mean() for y in cls]),
        "by the average of others": left_with([y.mean() for y in others]),
    }


def one_of_two(model, tokens, expected, channel):
    """Return what is left if a channel of the [CLS] rows loses its number, or its effect on σ.

    Returns:
        dict of cosines. "silenced, sigma kept": each LayerNorm gives 0 there, and normalizes the
        row by the mean and the variance that it had in the untouched model. "kept, sigma without":
        it gives what it gave in the untouched model, and normalizes the row by the mean and the
        variance of the other channels.
    """
    untouched = []  # (mean, variance, what comes out in the channel) by layer

    def moments(x):
        return x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)

    def record(module, inputs, output):
        untouched.append((*moments(inputs[0][:, 0]), output[:, 0, channel].clone()))

    with hooked(model, [record] * len(layer_norms(model))):
        embed(model, tokens)

    def left_with(silent):
        def giving(mean, variance, value):
            def hook(module, inputs, output):
                x = inputs[0][:, 0]  # (sentences, n)
                rest = torch.cat([x[:, :channel], x[:, channel + 1 :]], -1)
                at, width = (mean, variance) if silent else moments(rest)
                y = (x - at) * (width + module.eps).rsqrt() * module.weight + module.bias
                y[:, channel] = 0 if silent else value
                return torch.cat([y[:, None], output[:, 1:]], 1)

            return hook

        with hooked(model, [giving(*found) for found in untouched]):
            return compare(embed(model, tokens), expected)

    return {"silenced, sigma kept": left_with(True), "kept, sigma without": left_with(False)}


def attention_to_ends(model, tokens):
    """Return the shares of all attention that go to the first token and to the last.

    Returns:
        (cls, sep): a list for each, with a share for each block.
    """
    real = tokens["attention_mask"].bool()  # (sentences, tokens)
    last = real.sum(-1) - 1  # (sentences,)
    with torch.no_grad():
        blocks = model(**tokens, output_attentions=True).attentions
    cls, sep = [], []
    for block in blocks:  # (sentences, heads, from, to)
        read = block.mean(1)[real]  # (tokens, to): padding does not read
        ends = last[:, None].expand_as(real)[real]  # (tokens,)
        cls.append(digits(read[:, 0].mean()))
        sep.append(digits(read.gather(1, ends[:, None]).mean()))
    return cls, sep


def nearest(embeddings):
    """Return for each of some unit rows the number of the one that is nearest by its cosine."""
    cosine = embeddings @ embeddings.T  # (sentences, sentences)
    return cosine.fill_diagonal_(-1).argmax(-1)


def main(arguments):
    """Silence every channel in three ways, and write the results or compare them."""
    model, tokens = load(attn_implementation="eager")  # the only one that returns its attention
    expected = embed(model, tokens)
    channels = range(expected.shape[-1])
    neighbours = nearest(expected)  # (sentences,)
    cosine, same = {}, []
    for rows in ROWS:
        found = []
        for channel in channels:
            with silenced(model, channel, rows):
                left = embed(model, tokens)
            found.append(compare(left, expected))
            if rows == "all":
                same.append((nearest(left) == neighbours).sum())
        cosine[rows] = {kind: [each[kind] for each in found] for kind in ("worst", "median")}
    share, cls, sigma = watch(model, tokens)
    to_cls, to_sep = {}, {}
    for name, channel in (("untouched", None), ("without 99", 99)):
        with silenced(model, channel):
            to_cls[name], to_sep[name] = attention_to_ends(model, tokens)
    same = torch.stack(same)  # (384,)
    return finish(
        "silenced_channels.json",
        {
            "sentences": len(expected),
            "tokens": int(tokens["attention_mask"].sum()),
            "cosine": cosine,
            "share": share,
            "cls": cls,
            "sigma of the rows": sigma[2],
            "same nearest sentence": {
                "without 99": int(same[99]),
                "without 223": int(same[223]),
                "median channel": median(same),
            },
            "attention to cls": to_cls,
            "attention to sep": to_sep,
            "99 in cls replaced": replaced_by_averages(model, tokens, expected, 99),
            "99 in cls, one of two": one_of_two(model, tokens, expected, 99),
        },
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
