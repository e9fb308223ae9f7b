// The anomaly map: the weighted sum of standardised component maps inside the foreground, a given floor outside.
//
//     fused[p] = foreground[p] ? sum over c of gain[c] * (maps[c][p] - median[c]) : floor
//
// `gain` is weight / scale, divided on the host. `params` mirrors what `fuse_maps.rs` packs: floats travel as bits.
// Bindings are read_write and indices guarded for the reasons given in `nearest_patch.wgsl`.

@group(0) @binding(0) var<storage, read_write> maps: array<f32>;        // [components, pixels]
@group(0) @binding(1) var<storage, read_write> foreground: array<f32>;  // [pixels], above 0.5 = foreground
@group(0) @binding(2) var<storage, read_write> fused: array<f32>;       // [pixels], out
@group(0) @binding(3) var<storage, read_write> params: array<u32>;      // components, pixels, threads per row, floor, then (gain, median) each

// One thread per pixel. A dispatch is at most 65,535 groups wide, so large maps wrap into rows of `params[2]` threads.
@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let components = params[0];
    let pixels = params[1];
    let pixel = id.y * params[2] + id.x;
    if (pixel >= pixels) { return; }
    var sum = 0.0;
    for (var c = 0u; c < components; c += 1u) {
        let gain = bitcast<f32>(params[4u + 2u * c]);
        let median = bitcast<f32>(params[5u + 2u * c]);
        sum += gain * (maps[c * pixels + pixel] - median);
    }
    fused[pixel] = select(bitcast<f32>(params[3]), sum, foreground[pixel] > 0.5);
}
