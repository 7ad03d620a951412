"""A device that is not there: its tensors are on the CPU, and behave as if they were far away.

Within ``Elsewhere()`` the device "lazy", for which PyTorch has no code of its own here, computes
real numbers. As on a GPU, tensors of two devices do not mix; it has no float64, like MPS; and
`waits` tells of each time that Python had to wait for what the device has still to do.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("lazy")
READS = {  # what cannot be known before the device is done
    "aten::_local_scalar_dense",
    "aten::equal",
    "aten::is_nonzero",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::bincount",
}


class FarTensor(torch.Tensor):
    """What a tensor `near` on the CPU is called within `Elsewhere`."""

    @staticmethod
    def __new__(cls, near):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=DEVICE,
        )

    def __init__(self, near):
        self.near = near

    def __repr__(self):
        return f"FarTensor({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} outside of Elsewhere")


class Elsewhere(TorchDispatchMode):
    """While it lasts there is the device "lazy"."""

    def __init__(self):
        super().__init__()
        self.waits = []  # names of operations
        self.operations = 0  # on the device

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = func._schema.name
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        far = [tensor for tensor in given if isinstance(tensor, FarTensor)]
        copies = name in ("aten::_to_copy", "aten::copy_")
        if far and not copies and any(x.ndim for x in given if not isinstance(x, FarTensor)):
            raise RuntimeError(f"{name} mixes tensors of two devices")

        there = bool(far)
        if kwargs.get("device") is not None:
            there = torch.device(kwargs["device"]).type == DEVICE.type
            kwargs["device"] = torch.device("cpu")
        elif name == "aten::copy_":
            there = isinstance(args[0], FarTensor)
        if far and name in READS:
            self.waits.append(name)
        if copies:
            source = args[1] if name == "aten::copy_" else args[0]
            patient = not (
                kwargs.get("non_blocking") or (name == "aten::copy_" and args[2:] == (True,))
            )
            if there != isinstance(source, FarTensor) and (patient or not there):
                self.waits.append(name)
        self.operations += there

        known = {id(_near(tensor)): tensor for tensor in given}
        result = func(*tree_map(_near, args), **tree_map(_near, kwargs))

        def moved(value):
            if not isinstance(value, torch.Tensor):
                return value
            if id(value) in known:  # what was given, changed in place
                return known[id(value)]
            if there and value.dtype == torch.float64:
                raise TypeError(f"{name} makes float64, which not every device has")
            return FarTensor(value) if there else value

        return tree_map(moved, result)


def _near(value):
    return value.near if isinstance(value, FarTensor) else value
