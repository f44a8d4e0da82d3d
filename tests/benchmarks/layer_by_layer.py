"""Memory of LLM2Vec read layer by layer, measured on layers of Llama 3 8B's own size (their numbers are made up)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LAYERS, TEXTS, RANK = 6, 16, 16
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
}
OF_ALL = 32
"""Layers of the published model."""

_MEASURE = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from motionrft.text.llm2vec import Llm2Vec
from tests.benchmarks.layer_by_layer import TEXTS, status
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
texts = ["a person walks" + " fast" * count for count in range(TEXTS)]
assert Llm2Vec("llm2vec", Path(sys.argv[1])).encode(texts).tokens.isfinite().all()
print(status("VmHWM") - before)
"""


def status(name: str) -> int:
    """Bytes that the kernel reports of this process: `VmRSS` now, `VmHWM` at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def peaks(out: Path) -> dict[str, float]:
    """MiB of all published layers, of one, and of what a process takes at its peak beyond its libraries."""
    root = out / "llm2vec"
    if not root.is_dir():
        _write(root)
    layer = next((root / "Meta-Llama-3-8B-Instruct").glob("*layer-0*")).stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(root)], check=True, capture_output=True, text=True
    )
    found = {"32 layers": OF_ALL * layer, "one layer": layer, "at its peak": int(done.stdout)}
    return {name: value / 2**20 for name, value in found.items()}


def _write(root: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from tests.text.tiny_llm2vec import NAMES, WORDS, word_tokenizer

    base, *adapters = (root / name for name in NAMES)
    width, wide = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    grouped = width * CONFIG["num_key_value_heads"] // CONFIG["num_attention_heads"]
    shapes = {f"self_attn.{n}_proj": (width, width) for n in "qo"}
    shapes |= {f"self_attn.{n}_proj": (grouped, width) for n in "kv"}
    shapes |= {"mlp.gate_proj": (wide, width), "mlp.up_proj": (wide, width), "mlp.down_proj": (width, wide)}
    for folder in (base, *adapters):
        folder.mkdir(parents=True)
    ones = torch.ones(width, dtype=torch.bfloat16)
    files = {
        "rest": {
            "model.embed_tokens.weight": torch.ones(len(WORDS), width).bfloat16(),
            "model.norm.weight": ones,
        }
    }
    small: dict[str, torch.Tensor] = {}
    for number in range(LAYERS):
        at = f"model.layers.{number}."
        layer = {
            f"{at}{name}.weight": torch.full(shape, 1e-3, dtype=torch.bfloat16)
            for name, shape in shapes.items()
        }
        layer |= {f"{at}{name}_layernorm.weight": ones.clone() for name in ("input", "post_attention")}
        files[f"layer-{number}"] = layer
        for name, (outputs, inputs) in shapes.items():
            small[f"base_model.{at}{name}.lora_A.weight"] = torch.full((RANK, inputs), 1e-3)
            small[f"base_model.{at}{name}.lora_B.weight"] = torch.full((outputs, RANK), 1e-3)
    place = {}
    for name, tensors in files.items():
        save_file(tensors, base / f"{name}.safetensors")
        place |= dict.fromkeys(tensors, f"{name}.safetensors")
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": place}))
    (base / "config.json").write_text(json.dumps(CONFIG))
    word_tokenizer().save(str(base / "tokenizer.json"))
    for folder in adapters:
        save_file(small, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(
            json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 32})
        )
