"""Forward passes of CLIP ViT-B/16's image tower, or of DINOv2-S at 448 px, in PyTorch, ONNX Runtime and OpenVINO, for
benches/vision_tower.rs.

Usage: vision_tower.py clip-b16|dinov2-s THREADS f32|bf16 BATCH...
Prints the names of the peers it could build in one line; then for every line `NAME BATCH` on standard input runs one
forward pass and prints the milliseconds it took. Random weights, the published configuration, eval mode.
"""
import os
import sys
import tempfile
import time

NETWORK, PRECISION = sys.argv[1], sys.argv[3]
THREADS, BATCHES = int(sys.argv[2]), [int(batch) for batch in sys.argv[4:]]
os.environ["OMP_NUM_THREADS"] = str(THREADS)


def towers():
    """Name -> function of a batch size that runs one forward pass."""
    import numpy
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    if NETWORK == "dinov2-s":
        # The table of positions is made for the input's own size, so that no side interpolates it at every pass.
        config = Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=448, patch_size=14)
        model, side, output = Dinov2Model(config).eval(), 448, "pooler_output"
    else:
        config = CLIPVisionConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            image_size=224, patch_size=16, projection_dim=512,
        )
        model, side, output = CLIPVisionModelWithProjection(config).eval(), 224, "image_embeds"
    pixels = {batch: torch.randn(batch, 3, side, side) for batch in BATCHES}
    arrays = {batch: value.numpy().astype(numpy.float32) for batch, value in pixels.items()}
    built = {}

    class Embedding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, pixel_values):
            return getattr(self.model(pixel_values=pixel_values), output)

    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "tower.onnx")
    try:
        torch.onnx.export(
            Embedding(), (pixels[BATCHES[0]],), path, input_names=["pixels"], output_names=["embedding"],
            dynamic_axes={"pixels": {0: "batch"}, "embedding": {0: "batch"}}, opset_version=17, dynamo=False,
        )
        if PRECISION == "f32":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = THREADS
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            built["onnxruntime"] = lambda batch: session.run(None, {"pixels": arrays[batch]})
    except ImportError:
        pass
    try:
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": PRECISION, "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(core.read_model(path), "CPU", settings)
        built["openvino"] = lambda batch: compiled(arrays[batch])
    except (ImportError, RuntimeError):
        pass
    if PRECISION == "bf16":
        model = model.to(torch.bfloat16)
        pixels = {batch: value.to(torch.bfloat16) for batch, value in pixels.items()}

    def pytorch(batch):
        with torch.inference_mode():
            return getattr(model(pixel_values=pixels[batch]), output)

    built["pytorch"] = pytorch
    return built


def main():
    try:
        built = towers()
    except ImportError:
        built = {}
    for run in built.values():
        for batch in BATCHES:
            run(batch)
    print(" ".join(built), flush=True)
    for line in sys.stdin:
        name, batch = line.split()
        start = time.perf_counter()
        built[name](int(batch))
        print((time.perf_counter() - start) * 1e3, flush=True)


main()
