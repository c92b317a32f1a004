"""The bytes of the tensors that are there, as operations make and drop them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


# torch.distributed._tools.mem_tracker does this and much more, but it is private, newer than the
# oldest torch that is served, and bound to modules; the profiler sees no fake tensors.
class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts, while it is entered, the storages that results of operations lie in, each once.

    Fake tensors count as what they stand for. What a kernel allocates and frees within one
    operation (column buffers, oneDNN's reordered copies) goes unseen, and so does what an allocator
    rounds up to.

    Parameters
    ----------
    there : iterable of Tensor
        What counts from the start.
    """

    now: int
    """Bytes there at present."""
    peak: int
    """The most there ever was at once."""

    def __init__(self, there: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._storages: set[int] = set()
        for tensor in there:
            self._count(tensor)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The operation's result, counted while its arguments are still there."""
        result = func(*args, **(kwargs or {}))
        for part in tree_leaves(result):
            if isinstance(part, Tensor):
                self._count(part)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        # views and what is written in place lie in a storage that is known
        if storage._cdata in self._storages:
            return
        self._storages.add(storage._cdata)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, storage._cdata, storage.nbytes()).atexit = False

    def _drop(self, address: int, size: int) -> None:
        self._storages.remove(address)
        self.now -= size
