// Second stage of `nearest_patch.wgsl`: of the candidates of every chunk of references, the nearest one per query.
//
// One thread per query walks its `chunks` candidates, which lie next to each other. There are ceil(m / 512) of them, so
// the 65,535 loop iterations that software Vulkan allows are reached at 33 million references.

@group(0) @binding(0) var<storage, read_write> distances: array<f32>;  // [n, chunks]
@group(0) @binding(1) var<storage, read_write> indices: array<i32>;    // [n, chunks]
@group(0) @binding(2) var<storage, read_write> distance: array<f32>;   // [n], out
@group(0) @binding(3) var<storage, read_write> index: array<i32>;      // [n], out
@group(0) @binding(4) var<storage, read_write> params: array<u32>;     // n, m, d, chunks

// 64 threads: one or two waves on every GPU, and the work is a handful of reads.
@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = params[0];
    let chunks = params[3];
    if (id.x >= n) { return; }
    var nearest = distances[id.x * chunks];
    var nearest_index = indices[id.x * chunks];
    // Chunks come in the order of their references and the comparison is strict: of equals the lowest index wins.
    for (var c = 1u; c < chunks; c += 1u) {
        let candidate = distances[id.x * chunks + c];
        if (candidate < nearest) {
            nearest = candidate;
            nearest_index = indices[id.x * chunks + c];
        }
    }
    distance[id.x] = nearest;
    index[id.x] = nearest_index;
}
