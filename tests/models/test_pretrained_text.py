"""The pretrained language model, against transformers' own on the same texts; what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from language import titles, write_language_model, write_tokenizer

from modyn_bench.data.preprocessing import InputSpec, Preprocessor
from modyn_bench.data.store import Schema
from modyn_bench.data.tokenizer_file import TokenizerFile
from modyn_bench.errors import RequestError
from modyn_bench.inference.forward import Forward, evaluating
from modyn_bench.models import PretrainedText
from modyn_bench.models.build import build_model
from modyn_bench.seeding import forked_global_state

LENGTH = 12
PAD_SECOND = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language_model(tmp_path_factory.mktemp("distilbert"))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa, whose padding has the id 1, and whose positions begin behind it; with a pooler, which is not used."""
    folder = write_tokenizer(tmp_path_factory.mktemp("roberta"), special=PAD_SECOND)
    config = transformers.RobertaConfig(
        vocab_size=600, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=LENGTH + 2, pad_token_id=1,
    )  # fmt: skip
    transformers.RobertaModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def published(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DistilBERT as it is published, with what it was pretrained by, under longer names."""
    target = tmp_path_factory.mktemp("published")
    shutil.copy(folder / "tokenizer.json", target)
    transformers.DistilBertForMaskedLM(transformers.AutoConfig.from_pretrained(folder)).save_pretrained(target)
    return target


def inputs_of(folder: Path, length: int = LENGTH, num_classes: int = 3) -> InputSpec:
    schema = Schema((TokenizerFile(str(folder), length).column("title"),), tuple("abcdefgh"[:num_classes]))
    return Preprocessor(schema).inputs


def build(folder: Path, inputs: InputSpec | None = None, **options) -> PretrainedText:
    config = {"_target_": "modyn_bench.models.PretrainedText", "path": str(folder), **options}
    return build_model(config, inputs or inputs_of(folder))


def encoded(folder: Path, texts: list[str], length: int = LENGTH) -> torch.Tensor:
    return torch.from_numpy(TokenizerFile(str(folder), length).encode(texts).astype(np.int64))


@pytest.mark.parametrize("kind", ["folder", "published", "roberta"])
def test_against_transformers(kind, request):
    folder = request.getfixturevalue(kind)
    texts = titles()[:50]
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)
    batch = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
    judge = transformers.AutoModel.from_pretrained(folder).eval()
    model = build(folder).eval()
    with torch.inference_mode():
        hidden = judge(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state[:, 0]
        torch.testing.assert_close(model(encoded(folder, texts)), model.head(hidden))
    assert batch["attention_mask"].min() == 0, "some of the texts are padded"


def test_it_is_trained_with_dropout_and_all_of_it_has_gradients(folder):
    model = build(folder, dropout=0.5)
    assert all(module.training for module in model.modules())
    tokens = encoded(folder, titles()[:8])
    assert not torch.equal(model(tokens), model(tokens))
    assert not torch.equal(build(folder).eval()(tokens), build(folder)(tokens)), "its own dropout is on, too"
    model(tokens).sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_what_would_pool_is_left_out(roberta):
    model = build(roberta)
    assert not [name for name in model.state_dict() if "pooler" in name]
    model(encoded(roberta, titles()[:4])).sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_a_new_model_begins_with_the_folders_weights_and_a_head_of_its_seed(folder):
    models = []
    for seed in (0, 0, 1):
        with forked_global_state(seed, "test"):
            models.append(build(folder).state_dict())
    one, same, other = models
    published = transformers.AutoModel.from_pretrained(folder).state_dict()
    for name, value in published.items():
        assert torch.equal(other[f"encoder.{name}"], value)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_a_rows_embedding_does_not_depend_on_the_other_rows(folder):
    """Nor on whether any of them is padded."""
    whole, padded = encoded(folder, [" ".join(titles()[:3])]), encoded(folder, ["Dark matter"])
    assert (whole != 0).all()
    forward = Forward(build(folder), num_classes=3, device="cpu", precision="32-true")
    with evaluating(forward.module):
        first = [
            forward.embed({"tokens": torch.cat([whole, *others])})[0][0]
            for others in ([whole] * 7, [padded] * 7, [torch.zeros_like(whole)] * 7)
        ]
        embedding = forward.embed({"tokens": whole.repeat(8, 1)})[0]
        hidden = forward.module.encoder(input_ids=whole.repeat(8, 1)).last_hidden_state[:, 0]
    assert embedding.shape == (8, 32)
    torch.testing.assert_close(embedding, hidden)
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[0], first[2])


def refusal(folder: Path, inputs: InputSpec, **options) -> str:
    with pytest.raises(RequestError) as caught:
        build(folder, inputs, **options)
    return str(caught.value)


def test_what_does_not_suit_the_tokens_is_refused(folder, roberta, tmp_path):
    hashed = InputSpec(num_classes=2, num_buckets=100, num_tokens=8)
    assert f"dataset.tokenizer={folder}" in refusal(folder, hashed)
    assert "is a model of text" in refusal(folder, InputSpec(num_classes=2, num_features=3))
    assert "another vocabulary" in refusal(folder, inputs_of(roberta))
    assert "set dataset.max_tokens=64 or less" in refusal(folder, inputs_of(folder, 65))
    assert f"set dataset.max_tokens={LENGTH} or less" in refusal(roberta, inputs_of(roberta, LENGTH + 1))
    assert "model.dropout=1.0" in refusal(folder, inputs_of(folder), dropout=1.0)
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "tokenizer.json").unlink()
    larger = write_tokenizer(tmp_path / "larger", size=700)
    assert "knows the ids 0 to 599" in refusal(bare, inputs_of(larger))
    assert "takes id 0 for padding, but the dataset's tokenizer 1" in refusal(bare, inputs_of(roberta))
    assert build(bare, inputs_of(folder))


def changed(folder: Path, target: Path, **changes) -> Path:
    """A copy with another configuration."""
    shutil.copytree(folder, target)
    values = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(values | changes))
    return target


def test_what_is_no_pretrained_model_that_reads_is_refused(folder, tmp_path):
    inputs = inputs_of(folder)
    assert "is no folder with config.json" in refusal(tmp_path / "nowhere", inputs)
    writes = changed(folder, tmp_path / "writes", architectures=["GPT2LMHeadModel"])
    assert "writes text" in refusal(writes, inputs)
    deeper = changed(folder, tmp_path / "deeper", n_layers=3)
    assert "its weights lack transformer.layer.2." in refusal(deeper, inputs)
    unknown = changed(folder, tmp_path / "unknown", model_type="unheard_of")
    assert "transformers cannot load it" in refusal(unknown, inputs)


def test_nothing_is_executed_or_unpickled(folder, tmp_path):
    inputs = inputs_of(folder)
    pickled = changed(folder, tmp_path / "pickled")
    torch.save(transformers.AutoModel.from_pretrained(folder).state_dict(), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    assert "transformers cannot load it" in refusal(pickled, inputs)
    code = changed(
        folder, tmp_path / "code", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    )
    (code / "own.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    assert "custom code" in refusal(code, inputs)
    assert not (tmp_path / "executed").exists()


def test_loading_says_nothing_and_leaves_transformers_as_it_was(folder, capfd):
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    build(folder)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_what_to_install_is_told(folder):
    script = f"""
import sys
sys.modules["transformers"] = None
from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.data.tokenizer_file import TokenizerFile
from modyn_bench.models import PretrainedText
column = TokenizerFile({str(folder)!r}, 9).column("t")
inputs = InputSpec(2, num_buckets=column.num_values, num_tokens=9, vocabulary_hash=column.vocabulary_hash)
try:
    PretrainedText(path={str(folder)!r}, inputs=inputs)
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "needs transformers: pip install 'modyn_bench[text]'" in done.stdout
