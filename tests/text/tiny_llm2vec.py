"""A tiny LLM2Vec of random weights in folders as people download it, and the plain forward of transformers and peft."""

from pathlib import Path
from typing import Any

import peft
import tokenizers
import torch
import transformers

MARKS = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
WORDS = [*MARKS, "user", "?", "a", "A", "person", "walks", "Waves", "Then", "sits", ".", "fast"]
NAMES = (
    "Meta-Llama-3-8B-Instruct",
    "LLM2Vec-Meta-Llama-3-8B-Instruct-mntp",
    "LLM2Vec-Meta-Llama-3-8B-Instruct-mntp-supervised",
)
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def write_llm2vec(root: Path, shards: bool = True, **sizes: Any) -> Path:
    """Base in several shards, and two adapters whose second matrices are not zero."""
    base, mntp, supervised = (root / name for name in NAMES)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=len(WORDS), rope_theta=500000.0, **{**SMALL, **sizes})
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    size = sum(p.nbytes for p in model.parameters()) // 3 if shards else 10**12
    model.save_pretrained(base, max_shard_size=size)
    word_tokenizer().save(str(base / "tokenizer.json"))
    for folder, alpha in ((mntp, 32), (supervised, 8)):
        adapted = peft.get_peft_model(
            transformers.LlamaModel(config),
            peft.LoraConfig(r=4, lora_alpha=alpha, target_modules=LAYERS, init_lora_weights=False),
        )
        adapted.save_pretrained(folder)
    return root


def plain_vector(root: Path, text: str, dtype: torch.dtype) -> torch.Tensor:
    """(D,) of a cleaned text: transformers' own layers with a mask that shows everything, adapters by peft."""
    base, mntp, supervised = (root / name for name in NAMES)
    model: Any = transformers.LlamaModel.from_pretrained(base, dtype=dtype)
    model = peft.PeftModel.from_pretrained(model, str(mntp)).merge_and_unload()
    model = peft.PeftModel.from_pretrained(model, str(supervised)).eval()
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "tokenizer.json"))
    framed = f"<|start_header_id|>user<|end_header_id|>\n\n{text}<|eot_id|>"
    ids = torch.tensor([tokenizer.encode(framed).ids])
    count = len(tokenizer.encode(f"{text}<|eot_id|>", add_special_tokens=False).ids)
    everything = torch.zeros(1, 1, ids.shape[1], ids.shape[1], dtype=dtype)
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=everything).last_hidden_state[0]
    return states[-count:].mean(0).float()


def word_tokenizer() -> tokenizers.Tokenizer:
    """One id a word; `<|begin_of_text|>` in front of every text, as Llama 3's has it."""
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="?")
    )
    tokenizer.add_special_tokens(MARKS)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        "<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    return tokenizer
