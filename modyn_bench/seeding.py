"""The only source of randomness: every generator derives from the run's seed and a path of names.

Two derivations with different names are independent; the same names always give the same stream. Nothing here depends
on the order of calls, so a resumed run, a run with siblings and a run alone draw the same numbers.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray


def derive_seed(seed: int, *names: int | str) -> int:
    """Hash a seed and a path of names to an integer in [0, 2**63).

    Args:
        seed: The run's seed.
        names: What the number is for, from the general to the particular, e.g. ``"training", 4711, "shuffle"``.

    Example:
        >>> derive_seed(0, "training", 7) == derive_seed(0, "training", 7)
        True
        >>> derive_seed(0, "training", 7) == derive_seed(0, "training", "7")
        False
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in (seed, *names):
        text = str(part).encode()
        digest.update(f"{type(part).__name__}:{len(text)}:".encode() + text)
    return int.from_bytes(digest.digest(), "little") >> 1


def derive(seed: int, *names: int | str) -> np.random.Generator:
    """Derive an independent NumPy generator from the run's seed and a path of names.

    Example:
        >>> bool((derive(1, "a").random(3) == derive(1, "a").random(3)).all())
        True
    """
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *names)))


def priorities(keys: NDArray[np.int64], seed: int, *names: int | str) -> NDArray[np.uint64]:
    """Return a random number of each key, which depends on the key and the names alone, shape (n,).

    The k keys with the lowest numbers are a uniform sample without replacement of any set of keys; of sets that
    overlap, the samples overlap as well. The numbers are SplitMix64's.

    Example:
        >>> keys = np.arange(6)
        >>> bool((priorities(keys, 0, "a")[2:] == priorities(keys[2:], 0, "a")).all())
        True
    """
    numbers = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(derive_seed(seed, *names))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    mixed: NDArray[np.uint64] = numbers ^ (numbers >> np.uint64(31))
    return mixed


def lowest_priorities(keys: range, size: int, seed: int, *names: int | str) -> NDArray[np.int64]:
    """Return the keys with the lowest ``priorities``, in order: a uniform sample, or all if too few.

    Example:
        >>> set(lowest_priorities(range(101), 5, 0, "a")) - set(lowest_priorities(range(100), 5, 0, "a")) <= {100}
        True
    """
    candidates = np.arange(keys.start, keys.stop, dtype=np.int64)
    if size >= len(candidates):
        return candidates
    numbers = priorities(candidates, seed, *names)
    bound = np.partition(numbers, size - 1)[size - 1]
    lowest: NDArray[np.int64] = candidates[numbers <= bound]  # numbers of different keys are different
    return lowest


@contextmanager
def forked_global_state(seed: int, *names: int | str) -> Iterator[None]:
    """Run a block under global states of torch, NumPy and Python seeded by ``derive_seed``; restore the old ones after.

    For what takes no generator of its own: weight initialisation, dropout, augmentations of a user's model. Torch is
    imported here, inside the function, because this module is used by parts that never load it.
    """
    import torch

    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    python, legacy_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what others draw from
    try:
        with torch.random.fork_rng(devices=devices):
            seed_global_state(seed, *names)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy_numpy)  # noqa: NPY002


def seed_global_state(seed: int, *names: int | str) -> None:
    """Seed the global states of torch, NumPy and Python; only within ``forked_global_state``."""
    import torch

    derived = derive_seed(seed, *names)
    torch.manual_seed(derived)
    random.seed(derived)
    np.random.seed(derived & 0xFFFF_FFFF)  # noqa: NPY002 - what others draw from
