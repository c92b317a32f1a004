"""Count of the bytes of all existing tensors while operations run."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


# torch.distributed._tools.mem_tracker does this and more, but it is private, newer than the oldest
# supported torch, and bound to modules. The profiler does not see fake tensors.
class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Mode that counts the storages of the results of operations, each once.

    A fake tensor counts like the tensor that it represents. Memory that a kernel allocates and
    frees within one operation (column buffers, oneDNN's reordered copies) is not counted, nor is
    rounding by the allocator.

    Parameters
    ----------
    existing : iterable of Tensor
        Tensors that are counted from the start.
    """

    now: int
    """Current number of bytes."""
    peak: int
    """Largest number of bytes so far."""

    def __init__(self, existing: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._storages: set[int] = set()
        for tensor in existing:
            self._count(tensor)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count its result while its arguments still exist."""
        result = func(*args, **(kwargs or {}))
        for part in tree_leaves(result):
            if isinstance(part, Tensor):
                self._count(part)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        # views and in-place results share a known storage
        if storage._cdata in self._storages:
            return
        self._storages.add(storage._cdata)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, storage._cdata, storage.nbytes()).atexit = False

    def _drop(self, address: int, size: int) -> None:
        self._storages.remove(address)
        self.now -= size
