"""Encoding on a device gives the codes and counts of the CPU, to the bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.codec import CODECS, Codec
from flowstream.codec.encoding import EncodedFields, encode_tensor
from flowstream.codec.fixed16 import Fixed16
from flowstream.errors import CodecError

torch = pytest.importorskip("torch", reason="torch is not installed")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def difficult_fields(codec: Codec) -> NDArray[np.float32]:
    """Return fields (3, 2, 64, 64) with ties, neighbours of ties, zeros, and huge numbers."""
    random = np.random.default_rng(3)
    step = codec.scale_factor if codec.scale_factor < 1 else 1 / 64
    ties = ((random.integers(-300, 300, 4096) + 0.5) * step).astype(np.float32)
    values = [
        ties,
        np.nextafter(ties, np.float32(np.inf)),
        np.nextafter(ties, np.float32(-np.inf)),
        random.normal(0, step, 4096).astype(np.float32),
        (random.normal(0, 1, 4096) * min(codec.bound, 1e30)).astype(np.float32),
        np.resize(np.array([0, -0.0, 1e-40, 1e38, -1e38, codec.bound, -codec.bound]), 4096),
    ]
    return np.stack(values).astype(np.float32).reshape(3, 2, 64, 64)


@pytest.mark.parametrize("bound", [20.0, 0.3, 100.0078125])
@pytest.mark.parametrize("name", list(CODECS))
def test_codes_and_counts_are_those_of_numpy(name: str, bound: float) -> None:
    kind: Any = CODECS[name]
    codec: Codec = kind(bound) if dataclasses.fields(kind) else kind()
    vectors = difficult_fields(codec)
    codes, counts = encode_tensor(codec, torch.from_numpy(vectors).to(DEVICE))
    with np.errstate(over="ignore"):
        expected = codec.encode(vectors)
        losses = codec.below_step(vectors, expected)
    found = EncodedFields.of(codec, codes.cpu().numpy(), counts.cpu().numpy())
    assert found.codes.dtype == codec.dtype
    np.testing.assert_array_equal(found.codes, expected)
    assert found.at_bound == codec.at_bound(expected)
    assert (found.moving, found.lost) == losses


def test_a_codec_without_an_implementation_for_tensors_is_encoded_by_numpy() -> None:
    class Other(Fixed16):
        quantise_tensor = Codec.quantise_tensor

    vectors = difficult_fields(Other())
    codes, _ = encode_tensor(Other(), torch.from_numpy(vectors))
    np.testing.assert_array_equal(codes.numpy(), Other().encode(vectors))


def test_vectors_that_are_not_finite_are_refused() -> None:
    codec = CODECS["centred8"]()
    vectors = torch.zeros(2, 2, 3, 4)
    vectors[1, 0, 1, 2] = torch.nan
    vectors[1, 1, 1, 2] = torch.inf
    codes, counts = encode_tensor(codec, vectors)
    with pytest.raises(CodecError, match="2 of 48 flow values are not finite"):
        EncodedFields.of(codec, codes.numpy(), counts.numpy())
