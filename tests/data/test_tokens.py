import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modyn_bench.data import tokens as module
from modyn_bench.data.hashing import combine, hash_texts, mix
from modyn_bench.data.tokens import HashedNgrams
from modyn_bench.errors import RequestError


def by_definition(text, encoder):
    """The ids of one text, gram by gram."""
    words = re.findall(r"\w+", text.lower())
    ids = []
    for start in range(len(words)):
        gram = None
        for word in words[start : start + encoder.ngrams]:
            one = hash_texts([word])
            gram = mix(one) if gram is None else combine(gram, one)
            ids.append(1 + int(gram[0]) % encoder.num_buckets)
    return (ids + [0] * encoder.max_tokens)[: encoder.max_tokens]


texts = st.lists(st.text(alphabet="abAB é\n-_1ß漢İ", max_size=12), max_size=8)


@given(texts, st.integers(1, 4), st.integers(1, 9), st.sampled_from([1, 7, 65_535, 70_000]))
def test_against_the_definition(batch, ngrams, max_tokens, num_buckets):
    encoder = HashedNgrams(num_buckets, ngrams, max_tokens)
    encoded = encoder.encode(batch)
    assert encoded.shape == (len(batch), max_tokens)
    assert encoded.dtype == ("int32" if num_buckets > 65_535 else "uint16")
    assert encoded.tolist() == [by_definition(text, encoder) for text in batch]


def test_batches_do_not_matter(monkeypatch):
    batch = [f"word{i} word{i % 3}" * (i % 4) for i in range(50)]
    whole = HashedNgrams(max_tokens=5).encode(batch)
    monkeypatch.setattr(module, "_BATCH", 7)
    assert (HashedNgrams(max_tokens=5).encode(batch) == whole).all()


def test_ids_fill_the_buckets():
    ids = HashedNgrams(num_buckets=100, ngrams=1, max_tokens=1).encode([f"w{i}" for i in range(20_000)])
    counts = np.bincount(ids[:, 0], minlength=101)
    assert counts[0] == 0
    assert len(counts) == 101
    assert counts[1:].min() > 120
    assert counts[1:].max() < 290


def test_ids_are_pinned():
    """A store and a model trained on it outlive a version of this program: the ids must never change."""
    assert HashedNgrams(1000, 2, 4).encode(["Drift in time"]).tolist() == [[579, 334, 621, 269]]


@pytest.mark.parametrize("key", ["num_buckets", "ngrams", "max_tokens"])
def test_ranges(key):
    with pytest.raises(RequestError, match=f"dataset.{key}=0"):
        HashedNgrams(**{key: 0}).check()
    with pytest.raises(RequestError, match="num_buckets"):
        HashedNgrams(num_buckets=2**31).check()
