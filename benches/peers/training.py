"""Training steps in PyTorch and transformers, for benches/training.rs: CLIPSeg's decoder (rd64) on tokens of a frozen tower,
and a small CLIP.

Usage: training.py THREADS BATCH
Prints `ready`; then for every line `decoder` or `clip` on standard input makes one step (forward, backward, clipping, AdamW)
and prints the milliseconds it took. Random weights and numbers, the sizes of benches/training.rs.
"""
import os
import sys
import time

THREADS, BATCH = int(sys.argv[1]), int(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = str(THREADS)


def steps():
    """Name -> function that makes one step."""
    import torch
    import torch.nn.functional as F
    from transformers import CLIPConfig, CLIPModel, CLIPSegConfig
    from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    # The decoder of transformers takes its grid from the number of tokens.
    decoder = CLIPSegDecoder(CLIPSegConfig(vision_config={"patch_size": 16})).train()
    tokens = tuple(torch.randn(BATCH, 485, 768) for _ in range(3))
    prompts = torch.randn(BATCH, 512)
    target = (torch.rand(BATCH, 352 * 352) < 0.1).float()
    for_decoder = torch.optim.AdamW(decoder.parameters(), lr=1e-3)

    def decoder_step():
        for_decoder.zero_grad()
        logits = decoder(tokens, prompts).logits.reshape(BATCH, -1)
        p = torch.sigmoid(logits)
        dice = 1 - ((2 * (p * target).sum(1) + 1) / (p.sum(1) + target.sum(1) + 1)).mean()
        (F.binary_cross_entropy_with_logits(logits, target) + dice).backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        for_decoder.step()

    text = dict(vocab_size=8192, hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
                max_position_embeddings=77, eos_token_id=8191, bos_token_id=8190, pad_token_id=0)
    vision = dict(hidden_size=256, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=4, image_size=224, patch_size=16)
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=256)).train()
    pixels = torch.randn(BATCH, 3, 224, 224)
    ids = torch.randint(1, 8000, (BATCH, 16))
    ids[:, 0], ids[:, -1] = 8190, 8191
    for_clip = torch.optim.AdamW(clip.parameters(), lr=1e-5)

    def clip_step():
        for_clip.zero_grad()
        clip(input_ids=ids, pixel_values=pixels, return_loss=True).loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        for_clip.step()

    return {"decoder": decoder_step, "clip": clip_step}


def main():
    try:
        made = steps()
    except ImportError:
        print("", flush=True)
        return
    for step in made.values():
        step()
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        made[line.strip()]()
        print((time.perf_counter() - start) * 1e3, flush=True)


main()
