"""Flow as a tensor that torchvision's `transforms.v2` treats as motion.

`Flow` is a `tv_tensors` class: a flip of a sample mirrors the fields and negates a component, a
resize scales the vectors, a rotation turns them. Images of the same sample are transformed with the
same random parameters, as torchvision does for boxes and masks.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from flowstream.errors import ShapeError


class Flow(tv_tensors.TVTensor):  # type: ignore[misc]  # torchvision has no types
    """Flow fields `(..., 2, H, W)`: dx right and dy down, in pixels of the grid that they have.

    The fields of a clip are `(L, 2, H, W)`, as torchvision orders the frames of a video.
    """

    def __new__(
        cls,
        data: Any,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        requires_grad: bool | None = None,
    ) -> Flow:
        """Wrap an array or a tensor.

        Raises
        ------
        ShapeError
            If it is not `(..., 2, H, W)`.
        """
        tensor = cls._to_tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)
        if tensor.ndim < 3 or tensor.shape[-3] != 2:
            raise ShapeError(f"flow: got shape {tuple(tensor.shape)}, expected (..., 2, H, W)")
        wrapped: Flow = tensor.as_subclass(cls)
        return wrapped


def _kernel(functional: Callable[..., Any]) -> Callable[[Callable[..., Tensor]], None]:
    """Register a function of plain tensors as the kernel of a functional for `Flow`."""

    def register(kernel: Callable[..., Tensor]) -> None:
        @F.register_kernel(functional, Flow)  # type: ignore[untyped-decorator,unused-ignore]
        @functools.wraps(kernel)
        def wrapped(fields: Flow, *arguments: Any, **options: Any) -> Flow:
            return kernel(fields.as_subclass(Tensor), *arguments, **options).as_subclass(Flow)

    return register


def _scale(fields: Tensor, horizontal: float, vertical: float) -> Tensor:
    factors = fields.new_tensor([horizontal, vertical])[:, None, None]
    return fields * factors


def _resample(fields: Tensor, kernel: Any, *arguments: Any, **options: Any) -> Tensor:
    """Apply a kernel of images to fields with any number of leading dimensions."""
    flat = fields.reshape(-1, *fields.shape[-3:])
    out: Tensor = kernel(flat, *arguments, **options)
    return out.reshape(*fields.shape[:-3], *out.shape[-3:])


@_kernel(F.horizontal_flip)
def _flip_horizontally(fields: Tensor) -> Tensor:
    return _scale(fields.flip(-1), -1, 1)


@_kernel(F.vertical_flip)
def _flip_vertically(fields: Tensor) -> Tensor:
    return _scale(fields.flip(-2), 1, -1)


def _resize(fields: Tensor, size: Any, **options: Any) -> Tensor:
    rows, columns = fields.shape[-2:]
    options["interpolation"] = F.InterpolationMode.BILINEAR
    out = _resample(fields, F.resize_image, size, **options)
    return _scale(out, out.shape[-1] / columns, out.shape[-2] / rows)


def _crop(fields: Tensor, *, top: int, left: int, height: int, width: int) -> Tensor:
    return _resample(fields, F.crop_image, top, left, height, width)


_kernel(F.resize)(_resize)
_kernel(F.crop)(_crop)


@_kernel(F.center_crop)
def _crop_centre(fields: Tensor, output_size: Any) -> Tensor:
    return _resample(fields, F.center_crop_image, output_size)


@_kernel(F.resized_crop)
def _crop_and_resize(
    fields: Tensor, *, top: int, left: int, height: int, width: int, size: Any, **options: Any
) -> Tensor:
    part = _crop(fields, top=top, left=left, height=height, width=width)
    return _resize(part, size, **options)


@_kernel(F.pad)
def _pad(
    fields: Tensor, padding: Any, *, fill: Any = None, padding_mode: str = "constant"
) -> Tensor:
    # nothing moves where there is no image
    return _resample(fields, F.pad_image, padding, fill=0.0, padding_mode=padding_mode)


@_kernel(F.rotate)
def _rotate(
    fields: Tensor,
    angle: float,
    *,
    interpolation: Any = F.InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Tensor:
    out = _resample(
        fields,
        F.rotate_image,
        angle,
        interpolation=interpolation,
        expand=expand,
        center=None if center is None else list(center),
        fill=0.0,
    )
    # counter-clockwise on the screen, whose y axis points down
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    dx, dy = out[..., 0, :, :], out[..., 1, :, :]
    return torch.stack([cosine * dx + sine * dy, cosine * dy - sine * dx], dim=-3)


@_kernel(F.normalize)
def _normalize(fields: Tensor, mean: Any, std: Any, *, inplace: bool = False) -> Tensor:
    # mean and std are those of RGB; flow is scaled by `flowstream.dataset.StackDataset(bound=)`
    return fields


@_kernel(F.to_dtype)
def _to_dtype(fields: Tensor, dtype: torch.dtype = torch.float32, scale: bool = False) -> Tensor:
    return fields.to(dtype)
