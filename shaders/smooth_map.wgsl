// One direction of a separable Gaussian over a map; launched once down the columns and once along the rows.
//
// The border is mirrored with the edge sample repeated (d c b a | a b c d | d c b a), scipy.ndimage's "reflect", for any
// radius, also one larger than the map. The taps come from the host, normalised to a sum of 1.
// Bindings are read_write and indices guarded for the reasons given in `nearest_patch.wgsl`; one invocation runs
// 2 radius + 1 iterations, so software Vulkan's limit of 65,535 is met at a sigma of 8,000 pixels.

@group(0) @binding(0) var<storage, read_write> source: array<f32>;  // [height, width]
@group(0) @binding(1) var<storage, read_write> taps: array<f32>;    // [2 radius + 1]
@group(0) @binding(2) var<storage, read_write> smoothed: array<f32>;  // [height, width], out
@group(0) @binding(3) var<storage, read_write> params: array<u32>;  // height, width, radius, 1 = down the columns

// Index `i` folded into [0, n): the mirrored signal has the period 2 n.
fn reflect_index(i: i32, n: i32) -> i32 {
    let period = 2 * n;
    let folded = ((i % period) + period) % period;
    return select(folded, period - 1 - folded, folded >= n);
}

// 16 x 16 pixels: neighbours share almost all of their samples through the cache.
@compute @workgroup_size(16, 16, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let height = i32(params[0]);
    let width = i32(params[1]);
    let radius = i32(params[2]);
    let x = i32(id.x);
    let y = i32(id.y);
    if (x >= width || y >= height) { return; }
    var sum = 0.0;
    if (params[3] == 1u) {
        for (var t = -radius; t <= radius; t += 1) {
            sum += taps[t + radius] * source[reflect_index(y + t, height) * width + x];
        }
    } else {
        for (var t = -radius; t <= radius; t += 1) {
            sum += taps[t + radius] * source[y * width + reflect_index(x + t, width)];
        }
    }
    smoothed[y * width + x] = sum;
}
