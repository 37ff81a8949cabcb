"""The one module that makes random generators: named streams spawned from one seed.

Two streams of different names, or of different seeds, are independent; asking for the same stream twice gives
the same numbers. Nothing in the suite draws from a global generator.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _key(names: tuple[str | int, ...]) -> list[int]:
    """128 bits of SHA-256 over the names, as four 32-bit words."""
    digest = hashlib.sha256("/".join(f"{type(name).__name__}:{name}" for name in names).encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """A counter-based NumPy generator (Philox) keyed by the seed and the names."""
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=tuple(_key(names)))
    return np.random.Generator(np.random.Philox(sequence))


def torch_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for a torch generator, from the seed and the names."""
    return int(numpy_stream(seed, *names).integers(2**63 - 1))


def torch_stream(seed: int, *names: str | int, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """A torch generator on `device`, keyed by the seed and the names."""
    import torch  # here, as results need a stream and not torch

    generator = torch.Generator(device=device)
    generator.manual_seed(torch_seed(seed, *names))
    return generator


def reseed_global_generators() -> None:
    """Give PyTorch's and NumPy's global generators a state of their own, as they have in a process newly begun.

    A method of a user's may draw from them; where they are a copy of another process's, its seeds would be one.
    """
    import torch

    torch.seed()
    np.random.seed()  # noqa: NPY002 - not for the suite: it draws from none
