"""Straightforward generators, written from the description alone: what the benchmark compares with.

They load our weights and give our numbers; nothing is shared between guidance passes, cut, fused or kept.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.generators import Condition
from motionrft.generators.hymotion_network import HyMotionNetwork
from motionrft.generators.mdm import Mdm
from motionrft.generators.mld import Mld
from motionrft.generators.motiondiffuse import MotionDiffuse
from motionrft.generators.rotary import rotate_pairs
from motionrft.lengths import length_mask
from motionrft.text.base import TextFeatures
from motionrft.transformer import EncoderLayer, timestep_features


def plain_attention(weights: nn.Module, x: Tensor) -> Tensor:
    """torch's own multi-head attention on (T, B, D), in every row."""
    mixed, _ = F.multi_head_attention_forward(
        x, x, x, x.shape[-1], weights.heads, weights.in_proj_weight, weights.in_proj_bias, None, None, False, 0.0,
        weights.out_proj.weight, weights.out_proj.bias, training=False,
    )  # fmt: skip
    return mixed


def plain_layer(layer: EncoderLayer, x: Tensor) -> Tensor:
    x = layer.norm1(x + plain_attention(layer.self_attn, x))
    return layer.norm2(x + layer.linear2(F.gelu(layer.linear1(x))))


def plain_mld_pass(generator: Mld, latent: Tensor, t: Tensor, text: Tensor) -> Tensor:
    """One pass of the denoiser: (B, n, d) latents, (B,) times, (B, 1, W) text."""
    network = generator.denoiser
    time = network.time_embedding(timestep_features(t, network.time_width))[None]  # (1, B, D)
    words = network.emb_proj(TextFeatures(text, torch.ones(text.shape[:2]))).tokens.transpose(0, 1)
    x = torch.cat([network.latent_pre(latent).transpose(0, 1), time, words])
    x = x + network.query_pos.pe[: x.shape[0]]
    skips = []
    for block in network.encoder.input_blocks:
        x = plain_layer(block, x)
        skips.append(x)
    x = plain_layer(network.encoder.middle_block, x)
    for join, block in zip(network.encoder.linear_blocks, network.encoder.output_blocks):
        x = plain_layer(block, join(torch.cat([x, skips.pop()], dim=-1)))
    return network.latent_post(network.encoder.norm(x)[: latent.shape[1]].transpose(0, 1))


def plain_mld_sampling(generator: Mld, x: Tensor, condition: Condition, steps: int, scale: float) -> Tensor:
    """DDIM written from its formula, the guidance passes one after the other."""
    assert condition.null is not None
    a, r = generator.schedule.alpha_bar.float(), generator.schedule.times // steps
    null = condition.null.tokens.expand_as(condition.text.tokens)
    for k in range(steps):
        t = r * (steps - 1 - k) + 1
        times = torch.full((x.shape[0],), t)
        text_eps = plain_mld_pass(generator, x, times, condition.text.tokens)
        null_eps = plain_mld_pass(generator, x, times, null)
        eps = null_eps + scale * (text_eps - null_eps)
        before = a[t - r] if t >= r else a[0]
        x0 = (x - (1 - a[t]).sqrt() * eps) / a[t].sqrt()
        x = before.sqrt() * x0 + (1 - before).sqrt() * eps
    return x


def plain_mdm_guidance(generator: Mdm, x: Tensor, t: Tensor, condition: Condition, scale: float) -> Tensor:
    """The two guidance passes one after the other, the condition copied for each, as published."""
    network = generator.denoiser
    text = copy.deepcopy(condition.text)
    told = plain_mdm_pass(network, x, t, text.tokens)
    untold = plain_mdm_pass(network, x, t, torch.zeros_like(copy.deepcopy(condition.text).tokens))
    return untold + scale * (told - untold)


def plain_mdm_pass(network: nn.Module, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
    time = network.embed_timestep(network.table[t][:, None])
    first = (network.embed_text(text) + time).transpose(0, 1)
    sequence = torch.cat([first, network.input_process["poseEmbedding"](x).transpose(0, 1)])
    sequence = sequence + network.table[: sequence.shape[0], None]
    for layer in network.seqTransEncoder.layers:
        sequence = plain_layer(layer, sequence)
    return network.output_process["poseFinal"](sequence[1:].transpose(0, 1))


def plain_motiondiffuse(
    generator: MotionDiffuse, x: Tensor, t: Tensor, clip: TextFeatures, lengths: Tensor
) -> Tensor:
    """One call as published: text layers run anew, the mask is filled by two loops, attention by einsum."""
    network = generator.denoiser
    text = generator.text_layers(clip)
    mask = torch.zeros(x.shape[0], x.shape[1], 1)
    for item in range(x.shape[0]):
        for frame in range(int(lengths[item])):
            mask[item, frame, 0] = 1.0
    embedding = network.time_embed(timestep_features(t, network.width)) + text.pooled
    hidden = network.joint_embed(x) + network.sequence_embedding[: x.shape[1]]
    for block in network.temporal_decoder_blocks:
        attended = plain_linear_attention(block.sa_block, hidden, block.sa_block.norm(hidden), mask)
        hidden = hidden + block.sa_block.proj_out(attended, embedding)
        memory = block.ca_block.text_norm(text.tokens)
        attended = plain_linear_attention(block.ca_block, hidden, memory, None)
        hidden = hidden + block.ca_block.proj_out(attended, embedding)
        inner = block.ffn.linear2(F.gelu(block.ffn.linear1(hidden)))
        hidden = hidden + block.ffn.proj_out(inner, embedding)
    return network.out(hidden)


def plain_linear_attention(block: nn.Module, x: Tensor, seen: Tensor, mask: Tensor | None) -> Tensor:
    heads = block.heads
    query, key, value = block.query(block.norm(x)), block.key(seen), block.value(seen)
    if mask is not None:
        key, value = key + (1 - mask) * -1000000, value * mask
    query = query.view(*query.shape[:2], heads, -1).softmax(dim=-1)
    key = key.view(*key.shape[:2], heads, -1).softmax(dim=1)
    value = value.view(*value.shape[:2], heads, -1)
    context = torch.einsum("bnhd,bnhl->bhdl", key, value)
    return torch.einsum("bnhd,bhdl->bnhl", query, context).reshape(*x.shape[:2], -1)


class DenseAttention:
    """One additive mask over the whole joint sequence, built anew and given to every query."""

    def __init__(self, network: HyMotionNetwork, motion: Tensor, text: Tensor):
        frames, tokens = motion.shape[1], text.shape[1]
        allowed = torch.zeros(
            motion.shape[0], frames + tokens, frames + tokens, dtype=torch.bool, device=motion.device
        )
        places = torch.arange(frames, device=motion.device)
        near = (places[:, None] - places[None]).abs() <= network.band
        allowed[:, :frames, :frames] = motion[:, None] & near
        allowed[:, :, frames:] = text[:, None]
        self.mask = torch.zeros(allowed.shape, device=motion.device).masked_fill(~allowed, float("-inf"))[
            :, None
        ]
        rows = slice(0, frames + tokens)
        self.cosine, self.sine = network.cosine[rows], network.sine[rows]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = rotate_pairs(q, self.cosine, self.sine), rotate_pairs(k, self.cosine, self.sine)
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + self.mask).softmax(dim=-1)
        return (weights @ v).transpose(1, 2).flatten(2)


def plain_hymotion(
    network: HyMotionNetwork, x: Tensor, t: Tensor, text: TextFeatures, lengths: Tensor
) -> Tensor:
    """The whole padded sequence, 360 frames and 128 tokens, under dense masks, as published."""
    frames, tokens = network.train_frames, network.cosine.shape[0] - network.train_frames
    text = text.padded(tokens)
    motion, mask = F.pad(x, (0, 0, 0, frames - x.shape[1])), length_mask(lengths, frames)
    assert text.pooled is not None
    time = network.timestep_encoder(timestep_features(1000.0 * t, network.width))
    adapter = (time + network.vtxt_encoder(text.pooled))[:, None]
    words = network.text_refiner(network.ctxt_encoder(text.tokens), text.mask, t)
    hidden = network.input_encoder(motion)
    attend = DenseAttention(network, mask, text.mask)
    for block in network.double_blocks:
        hidden, words = block(hidden, words, adapter, attend)
    both = torch.cat([hidden, words], dim=1)
    for block in network.single_blocks:
        both = block(both, adapter, attend)
    return network.final_layer(both[:, : x.shape[1]], adapter)
