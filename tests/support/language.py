"""A small random DistilBERT, with a WordPiece tokenizer trained on some of the bundled titles."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from modyn_bench.data.recipes.arxiv import SAMPLE

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@cache
def titles(number: int = 400) -> list[str]:
    """Some of the bundled titles."""
    return pq.read_table(SAMPLE, columns=["title"])["title"].slice(0, number).to_pylist()


def write_tokenizer(folder: Path, *, special: list[str] = SPECIAL, size: int = 600) -> Path:
    """Write a BERT-like tokenizer.json, whose special tokens have the first ids."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(titles(), trainers.WordPieceTrainer(vocab_size=size, special_tokens=special))
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
