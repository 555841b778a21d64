"""How many copies does a version of the layer make? PyTorch's dispatcher is asked.

Every operation goes through the dispatcher, which a mode can listen to. It sees the arrays that go
in and come out. A pass is one read or one write of as many bytes as x has, and a copy is two. What
an operation reads twice, or what a cache holds, cannot be seen there. A tensor that was expanded
from a few numbers is counted as those: all its rows are one piece of memory.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Passes(TorchDispatchMode):
    """Count what the operations in a `with` block read and write.

    Args:
        x: tensor whose size is one pass.

    Attributes:
        calls: how many operations there were; views move nothing, and do not count.
        reads, writes: in passes over x.

    Example:
        >>> x = torch.ones(4, 8)
        >>> with Passes(x) as counted:
        ...     y = (x + 1) * x
        >>> counted.calls, counted.reads, counted.writes
        (2, 3.0, 2.0)
    """

    def __init__(self, x):
        super().__init__()
        self.bytes, self.calls, self.reads, self.writes = x.nbytes, 0, 0.0, 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run one operation, and note the tensors that go in and come out."""
        out = func(*args, **(kwargs or {}))
        if any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns):
            return out  # a view
        self.calls += 1
        read = args[1:] if func is torch.ops.aten.copy_.default else args  # it only overwrites
        self.reads += sum(map(in_memory, tensors(read))) / self.bytes  # `out` is no argument here
        self.writes += sum(map(in_memory, tensors(out))) / self.bytes
        return out

    @property
    def total(self):
        """Reads and writes together, without the few numbers that each row has."""
        return round(self.reads + self.writes)

    @property
    def copies(self):
        """The same in copies: a copy reads an array and writes one."""
        return self.total / 2


def count(calls, x):
    """Return {name: Passes over x} of a dict of functions without arguments; each is called."""
    counted = {}
    for name, call in calls.items():
        with Passes(x) as counted[name]:
            call()
    return counted


def tensors(tree):
    """Return the tensors among nested arguments."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def in_memory(tensor):
    """Return how many bytes of memory a tensor stands for."""
    return min(tensor.nbytes, tensor.untyped_storage().nbytes())
