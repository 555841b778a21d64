"""Says in words how a measurement differs from a layer norm: one message for each code."""

import math

from layernorm_book.curve import n_of


def codes_of(found):
    """Return {code: message} for the ways in which a measurement differs from a layer norm."""
    codes = {}
    if not found.right_axes:
        codes["wrong-axis"] = _axis_message(found)
    if found.centring != "centred":
        codes["no-centering"] = {
            "not centred": "it divides x by its root mean square, and subtracts no mean: RMSNorm",
            "mean left in": "the variance is right, and the mean is not subtracted from x",
            "variance not centred": "it divides by the root of the mean of x², taken about 0",
        }[found.centring]
    if found.unbiased:
        n = n_of(found.axes, found.shape)
        codes["unbiased-variance"] = (
            f"the sum of squares is divided by n − 1, and not by n: by {n - 1} where n = {n}"
        )
    if found.place in ("no root", "squared"):
        codes["missing-sqrt"] = {
            "no root": "it divides by var + eps, and not by its square root",
            "squared": "it divides by the square of var + eps, and not by its square root",
        }[found.place]
    if found.place in ("outside", "reciprocal"):
        codes["eps-outside-sqrt"] = (
            "it divides by √var + eps, and not by √(var + eps)"
            if found.place == "outside"
            else "it multiplies by 1/√var + eps, and not by 1/√(var + eps)"
        )
    if all(e == 0 for e in found.eps.values()):
        codes["missing-eps"] = "it divides by a standard deviation with no eps added"
    elif not all(found.same_eps(g, e) for g, e in found.eps.items()):
        codes["wrong-eps"] = _eps_message(found)
    if found.affine.code:
        codes[found.affine.code] = {
            "missing-affine": f"it makes no use of {found.affine.words}",
            "swapped-affine": "it scales by the bias and shifts by the weight",
            "shift-before-scale": "it adds the bias first, and the weight scales that too",
        }[found.affine.code]
    if found.detached:
        names = " and ".join(sorted(found.detached))
        codes["detached-statistics"] = (
            f"the forward pass is as it is, and no gradient flows back through the {names}"
        )
    return codes


def _axis_message(found):
    """Say over which axes statistics are shared, in the layout that the candidate takes."""
    shape, right = found.shape, (len(found.shape) - 1,)
    if not found.channels_last:
        place = [0, 2, 3, 1]  # of our axes among those of an image
        shape = tuple(shape[place.index(a)] for a in range(4))
        axes = tuple(sorted(place[a] for a in found.axes))
        right = (1,)
    else:
        axes = found.axes
    return (
        f"for x of shape {shape} it shares its statistics over {name_axes(axes)}, and not over "
        f"{name_axes(right)}"
    )


def name_axes(axes):
    """Return "axis 2" or "axes 1, 2"."""
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def _eps_message(found):
    """Say which eps is in use, and how it comes from the eps that was given."""
    n = n_of(found.axes, found.shape)
    pairs = list(found.eps.items())
    laws = {
        "the square of what is given": lambda g: g * g,
        "the root of what is given": math.sqrt,
        "n times what is given": lambda g: n * g,
        "what is given, divided by n": lambda g: g / n,
        "whatever is given": lambda g: pairs[0][1],
    }
    shown = ", ".join(f"{e:.3g} where {g:g} is given" for g, e in pairs)
    for words, law in laws.items():
        if all(found.same_eps(law(g), e) for g, e in pairs):
            if len(pairs) == 1:
                return f"it uses eps = {pairs[0][1]:.3g}, and not {pairs[0][0]:g}"
            if words == "whatever is given":
                return f"it uses eps = {pairs[0][1]:.3g}, {words} ({shown})"
            return f"the eps in use is {words}: {shown}"
    return f"the eps in use is {shown}"
