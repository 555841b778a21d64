"""What does autograd keep of a forward pass until the backward pass?"""

from collections.abc import Callable

import torch
from torch import Tensor


def kept_for_backward(layer: Callable[[Tensor], Tensor], x: Tensor) -> tuple[int, int]:
    """Count the bytes that autograd keeps for one call of a layer.

    Args:
        layer: a module, or a function of a tensor.
        x: a tensor that asks for a gradient.

    Returns:
        (of x itself, of everything else): bytes, each piece of memory counted once.

    Example:
        >>> kept_for_backward(torch.exp, torch.ones(8, requires_grad=True))
        (0, 32)
    """
    kept, alive = {}, []

    def pack(tensor):
        alive.append(tensor)  # so that no address is used twice
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    own = kept.pop(x.data_ptr(), 0)
    return own, sum(kept.values())
