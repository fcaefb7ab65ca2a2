"""Training in less memory: what batch normalisation and ReLU make is computed again where the backward pass needs it.

A convolution keeps its input for the backward pass. Where that input is ``relu(batch_norm(x))``, ``x`` is kept as well,
and the pair costs little to compute again: DenseNet-121 in batches of 30 images of 224 px takes 3.5 GiB in place of 5.
Mean and deviation of the batch are known from the forward pass, and the outcome goes where the last one was, since
fresh memory takes longer than the computation. The values are the same bits (on processors that add and multiply in one
step, as the kernel does; the last bit elsewhere), so nothing in a run changes but its memory.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

Normalisation = nn.modules.batchnorm._BatchNorm


class _Room:
    """Memory for one tensor at a time."""

    def __init__(self) -> None:
        self._flat = torch.empty(0)
        self._own_references = self._references()

    def _references(self) -> int:
        return int(torch._C._storage_Use_Count(self._flat.untyped_storage()._cdata))

    def like(self, tensor: Tensor) -> Tensor:
        """Return an uninitialised tensor: in this memory, unless what was last there is still in use."""
        dense = tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
        if self._references() > self._own_references or not dense:
            return torch.empty_like(tensor)
        if self._flat.dtype != tensor.dtype or self._flat.numel() < tensor.numel():
            self._flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
        return self._flat.as_strided(tensor.shape, tensor.stride())


@dataclass(eq=False)
class _Output:
    """What a batch normalisation made of an input; ``rectified`` once a ReLU has changed it in place.

    ``mean`` and ``inverse`` are what it subtracted and multiplied by.
    """

    storage: StorageWeakRef
    module: Normalisation
    input: Tensor
    mean: Tensor
    inverse: Tensor
    room: _Room
    rectified: bool = False
    again: Tensor | None = None

    @torch.no_grad()
    def computed_again(self) -> Tensor:
        """Return ``relu(batch_norm(input))``; the convolution and the ReLU ask for it one after the other."""
        if self.again is not None:
            again, self.again = self.again, None
            return again
        # The kernel's own arithmetic: it rounds the factor, and the summand once.
        factor = self.inverse * self.module.weight
        summand = (self.module.bias.double() - self.mean.double() * factor.double()).float()
        self.again = self.room.like(self.input)
        zeros, none = torch.zeros_like(summand), torch.empty(0)
        torch.ops.aten.native_batch_norm.out(
            *(self.input, factor, summand, zeros, torch.ones_like(summand), False, 0.0, 0.0),
            **{"out": self.again, "save_mean": none, "save_invstd": none},
        )
        return self.again.relu_()


def return_freed_memory() -> None:
    """Give memory that tensors have left back to the system, where the C library is glibc.

    The workflow has the allocator keep it (``Snakefile``), which helps as long as pieces of the same sizes are wanted
    again. Training, validation and prediction each want pieces of their own.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def recomputed(network: nn.Module) -> Iterator[None]:
    """Within this context, forward passes keep the inputs of batch normalisation in place of what ReLU makes of it.

    It holds for batch normalisation that is followed at once by a ReLU module working in place, as in torchvision's
    networks; whatever else is kept as ever. Parameters must not change between the forward and the backward pass.
    """
    # Held by the graph's nodes alone, and until ReLU has its node by ``latest``.
    outputs: WeakValueDictionary[int, _Output] = WeakValueDictionary()
    latest: list[_Output] = []
    room = _Room()

    def normalised(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        assert isinstance(module, Normalisation)
        # Other processors and data types have other nodes; there all is kept.
        node: Any = output.grad_fn
        if module.affine and hasattr(node, "_saved_result2"):
            storage = output.untyped_storage()
            mean, inverse = node._saved_result1, node._saved_result2
            if not (module.training or module.running_mean is None):
                assert module.running_mean is not None and module.running_var is not None
                mean, inverse = module.running_mean, 1 / torch.sqrt(module.running_var + module.eps)
            latest[:] = [_Output(StorageWeakRef(storage), module, inputs[0].detach(), mean, inverse, room)]
            outputs[storage._cdata] = latest[0]

    def about_to_rectify(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        found = outputs.get(inputs[0].untyped_storage()._cdata)
        # A version other than 0: something else has changed the tensor meanwhile, such as a residual connection.
        if found and module.inplace and not found.storage.expired() and inputs[0]._version == 0:
            found.rectified = True

    def pack(tensor: Tensor) -> Tensor | _Output:
        found = outputs.get(tensor.untyped_storage()._cdata)
        if found is None or found.storage.expired() or not found.rectified:
            return tensor
        return found if tensor._version == 1 and tensor.shape == found.input.shape else tensor

    def unpack(kept: Tensor | _Output) -> Tensor:
        return kept.computed_again() if isinstance(kept, _Output) else kept

    if not any(isinstance(module, Normalisation) for module in network.modules()):
        yield
        return
    handles = []
    for module in network.modules():
        if isinstance(module, Normalisation):
            handles.append(module.register_forward_hook(normalised))
        elif isinstance(module, nn.ReLU):
            handles.append(module.register_forward_pre_hook(about_to_rectify))
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield
    finally:
        for handle in handles:
            handle.remove()
