"""A small random DistilBERT, with a WordPiece tokenizer made of some of the bundled titles."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from modyn_bench.data.recipes.arxiv import SAMPLE

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@cache
def titles(number: int = 400) -> list[str]:
    """Some of the bundled titles."""
    return pq.read_table(SAMPLE, columns=["title"])["title"].slice(0, number).to_pylist()


def write_tokenizer(folder: Path, *, special: list[str] = SPECIAL, size: int = 600) -> Path:
    """Write a BERT-like tokenizer.json: special tokens, letters and the commonest words, always the same."""
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    split = [splitter.pre_tokenize_str(normalizer.normalize_str(title)) for title in titles()]
    counts = Counter(word for words in split for word, _ in words)
    letters = sorted({letter for word in counts for letter in word})
    common = sorted(counts, key=lambda word: (-counts[word], word))
    tokens = list(dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *common]))[:size]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.add_special_tokens(special)
    around = [(token, special.index(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_language_model(folder: Path, **changes: object) -> Path:
    """Write a DistilBERT of two narrow layers, and its tokenizer."""
    write_tokenizer(folder)
    size = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    options = {"vocab_size": size, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options |= {"max_position_embeddings": 64, **changes}
        transformers.DistilBertModel(transformers.DistilBertConfig(**options)).save_pretrained(folder)
    return folder
