"""A pretrained language model with a linear layer on its first token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.data.tokenizer_file import FILE, TokenizerFile
from modyn_bench.errors import RequestError

_WRITES_TEXT = ("ForCausalLM", "LMHeadModel")


class PretrainedText(nn.Module):
    """Classifies text by a pretrained language model that reads: BERT, DistilBERT, RoBERTa and their like.

    ``logits = W · h + b``, where h is the last hidden state of the first token, such as ``[CLS]``, and padding is
    masked. The language model is trained with the rest. Each model that is built anew begins with the folder's weights,
    and with a random W.

    Args:
        path: The folder with ``config.json`` and ``model.safetensors``, as ``save_pretrained`` of transformers writes
            it. Nothing of it is executed or unpickled, and nothing is downloaded.
        inputs: What the dataset hands out; its tokens must be those of a tokenizer (``dataset.tokenizer``).
        dropout: Probability of dropping a component of h, in [0, 1).

    Shape:
        Input: (B, L), int64, 0 is padding. Output: (B, num_classes).

    Raises:
        RequestError: If transformers is not installed, the folder holds no such model, or the model does not suit the
            dataset's tokens.

    Reference:
        Devlin et al., BERT, NAACL 2019, section 4.1; Sanh et al., DistilBERT, 2019.
    """

    def __init__(self, *, path: str, inputs: InputSpec, dropout: float = 0.0) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise RequestError(f"model.dropout={dropout} must be in [0, 1)")
        _check_tokens(path, inputs)
        self.encoder = _load(path, inputs)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.config.hidden_size, inputs.num_classes)
        self.pad_id = inputs.pad_id

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch."""
        kept = tokens != 0
        ids = tokens
        if self.pad_id:  # the store has the tokenizer's padding and its token 0 in each other's place
            ids = torch.where(kept, torch.where(tokens == self.pad_id, 0, tokens), self.pad_id)
        hidden = self.encoder(input_ids=ids, attention_mask=kept.long()).last_hidden_state[:, 0]
        logits: torch.Tensor = self.head(self.dropout(hidden))
        return logits


def _check_tokens(path: str, inputs: InputSpec) -> None:
    """Check that the dataset has tokens, and that they are those that the model was trained with.

    Raises:
        RequestError: If not.
    """
    if not inputs.num_tokens:
        raise RequestError(f"model.path={path} is a model of text, and the dataset has none: name dataset.text")
    if not inputs.vocabulary_hash:
        raise RequestError(
            f"model.path={path} is a pretrained model, to which hashed n-grams say nothing: "
            f"name its tokenizer, as in dataset.tokenizer={path}"
        )
    own = TokenizerFile(path, inputs.num_tokens)
    if (Path(path).expanduser() / FILE).is_file() and own.column("").vocabulary_hash != inputs.vocabulary_hash:
        raise RequestError(
            f"model.path={path} holds a tokenizer with another vocabulary than the dataset's: "
            f"set dataset.tokenizer={path}"
        )


def _load(path: str, inputs: InputSpec) -> Any:  # noqa: ANN401 - a transformers.PreTrainedModel
    """Return the language model of a folder, without what would pool its tokens, ready to be trained."""
    try:
        import transformers
    except ImportError as error:
        raise RequestError(f"model.path={path} needs transformers: pip install 'modyn_bench[text]'") from error
    folder = Path(path).expanduser()
    if not (folder / "config.json").is_file():
        raise RequestError(
            f"model.path={path} is no folder with config.json and model.safetensors; one of the Hugging Face hub comes "
            "by `hf download NAME --local-dir FOLDER`"
        )
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with _quiet(transformers.utils.logging):
        try:
            config = transformers.AutoConfig.from_pretrained(folder, **options)
            _check_config(config, path, inputs)
            # Attention is plain matrix products: other kernels are handed a mask only where a row of the batch is
            # padded, so that a row's bits could depend on the other rows.
            model, found = transformers.AutoModel.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                output_loading_info=True,
                attn_implementation="eager",
                dtype=torch.float32,
                **options,
            )
        except RequestError:
            raise
        except Exception as error:  # whatever is wrong with the files, transformers says it in many ways
            raise RequestError(
                f"model.path={path}: transformers cannot load it: {str(error).splitlines()[0]}"
            ) from error
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    missing = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise RequestError(f"model.path={path}: its weights lack {', '.join(missing[:3])} (of {len(missing)})")
    _check_length(model, path, inputs)
    return model.train()


def _check_config(config: Any, path: str, inputs: InputSpec) -> None:  # noqa: ANN401 - a PretrainedConfig
    """Check that a language model reads, and has the ids of the dataset's tokens and of its padding.

    Raises:
        RequestError: If not.
    """
    names = [str(name) for name in config.architectures or ()]
    if config.is_encoder_decoder or any(name.endswith(_WRITES_TEXT) for name in names):
        raise RequestError(
            f"model.path={path} is a {config.model_type} that writes text ({', '.join(names)}), and whose first token "
            "knows nothing of the others: take one that reads, such as DistilBERT"
        )
    if config.vocab_size <= inputs.num_buckets:
        raise RequestError(
            f"model.path={path} knows the ids 0 to {config.vocab_size - 1}, but the dataset's tokens have ids up to "
            f"{inputs.num_buckets}: set dataset.tokenizer to the tokenizer that belongs to it"
        )
    if config.pad_token_id is not None and config.pad_token_id != inputs.pad_id:
        raise RequestError(
            f"model.path={path} takes id {config.pad_token_id} for padding, but the dataset's tokenizer "
            f"{inputs.pad_id}: set dataset.tokenizer to the tokenizer that belongs to it"
        )


def _check_length(model: Any, path: str, inputs: InputSpec) -> None:  # noqa: ANN401 - a transformers.PreTrainedModel
    """Check that a language model has a position for each token of the dataset's texts.

    Raises:
        RequestError: If not.
    """
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is None:
        return
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    before_first = getattr(positions, "padding_idx", None)  # RoBERTa's positions begin behind its padding's id
    longest -= 0 if before_first is None else before_first + 1
    if longest < inputs.num_tokens:
        raise RequestError(
            f"model.path={path} takes texts of up to {longest} tokens, but the dataset's have {inputs.num_tokens}: "
            f"set dataset.max_tokens={longest} or less"
        )


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:  # noqa: ANN401 - transformers.utils.logging
    """Keep what transformers reports while it loads from the user: what matters of it is checked."""
    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()
