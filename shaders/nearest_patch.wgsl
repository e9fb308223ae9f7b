// Nearest reference of every query, by squared Euclidean distance, with the index of that reference.
//
// One workgroup looks at 16 queries and one chunk of 512 references, and writes one candidate per query and chunk;
// `nearest_patch_reduce.wgsl` then takes the best of the chunks. Distances are summed as (a - b)^2, not as
// |a|^2 + |b|^2 - 2ab, so that a query which is itself a reference comes out as exactly 0.
//
// Rules of the house for every shader here:
// * every binding is read_write, because CubeCL places several tensors in one wgpu buffer and wgpu forbids one buffer
//   to be bound both read and read_write in a dispatch;
// * indices are guarded by hand, because CubeCL switches bounds checks off;
// * software Vulkan (lavapipe) ends an invocation silently after 65,535 loop iterations in total. The chunk keeps us
//   below: 8 reference steps x (d / 32) slices x 10 iterations allow d up to 26,000.

@group(0) @binding(0) var<storage, read_write> queries: array<f32>;     // [n, d]
@group(0) @binding(1) var<storage, read_write> references: array<f32>;  // [m, d]
@group(0) @binding(2) var<storage, read_write> distances: array<f32>;   // [n, chunks], out
@group(0) @binding(3) var<storage, read_write> indices: array<i32>;     // [n, chunks], out
@group(0) @binding(4) var<storage, read_write> params: array<u32>;      // n, m, d, chunks

const TILE: u32 = 16u;    // queries per workgroup, and threads along the references
const SLICE: u32 = 32u;   // columns of d held in workgroup memory at a time
const LANES: u32 = 4u;    // references per thread and step, one per component of a vec4
const CHUNK: u32 = 512u;  // references per workgroup; CHUNK in nearest_patch.rs is the same number
const FAR: f32 = 3.4e38;  // farther than any finite distance of normal features

// Workgroup memory: 2 KiB queries + 8 KiB references + 2 KiB for the final reduction, of the 16 KiB every adapter has.
var<workgroup> query_slice: array<f32, 512>;            // [SLICE][TILE]
var<workgroup> reference_slice: array<vec4<f32>, 512>;  // [SLICE][TILE], component j is reference lane + 16 j
var<workgroup> best_distance: array<f32, 256>;          // [TILE queries][TILE lanes]
var<workgroup> best_index: array<u32, 256>;

// 16 x 16 threads: the y coordinate is a query of the tile, the x coordinate a lane of references.
@compute @workgroup_size(16, 16, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let n = params[0];
    let m = params[1];
    let d = params[2];
    let chunks = params[3];
    let first_query = group.x * TILE;
    let first_reference = group.y * CHUNK;
    let end_reference = min(m, first_reference + CHUNK);

    var nearest = FAR;
    var nearest_index = first_reference;
    for (var m0 = first_reference; m0 < end_reference; m0 += TILE * LANES) {
        var sum = vec4<f32>();
        for (var k0 = 0u; k0 < d; k0 += SLICE) {
            // 256 threads fetch 16 x 32 query values and 64 x 32 reference values; what lies outside counts as 0 on
            // both sides and so adds nothing to the sum.
            for (var half = 0u; half < 2u; half += 1u) {
                let column = local.x + half * TILE;
                let inside = k0 + column < d;
                var q = 0.0;
                if (inside && first_query + local.y < n) {
                    q = queries[(first_query + local.y) * d + k0 + column];
                }
                query_slice[column * TILE + local.y] = q;

                var r = vec4<f32>();
                let row = m0 + local.y;
                let at = row * d + k0 + column;
                if (inside && row < end_reference) { r.x = references[at]; }
                if (inside && row + TILE < end_reference) { r.y = references[at + TILE * d]; }
                if (inside && row + 2u * TILE < end_reference) { r.z = references[at + 2u * TILE * d]; }
                if (inside && row + 3u * TILE < end_reference) { r.w = references[at + 3u * TILE * d]; }
                reference_slice[column * TILE + local.y] = r;
            }
            // The slices must be complete before anyone reads them.
            workgroupBarrier();
            // Unrolled by four: a quarter of the loop iterations, see the limit above.
            for (var k = 0u; k < SLICE; k += 4u) {
                let e0 = query_slice[k * TILE + local.y] - reference_slice[k * TILE + local.x];
                let e1 = query_slice[(k + 1u) * TILE + local.y] - reference_slice[(k + 1u) * TILE + local.x];
                let e2 = query_slice[(k + 2u) * TILE + local.y] - reference_slice[(k + 2u) * TILE + local.x];
                let e3 = query_slice[(k + 3u) * TILE + local.y] - reference_slice[(k + 3u) * TILE + local.x];
                sum += e0 * e0 + e1 * e1 + e2 * e2 + e3 * e3;
            }
            // Nobody may overwrite the slices while another thread still reads them.
            workgroupBarrier();
        }
        // In the order of the indices and with a strict comparison, so that of equal distances the lowest index wins.
        let r = m0 + local.x;
        if (r < end_reference && sum.x < nearest) { nearest = sum.x; nearest_index = r; }
        if (r + TILE < end_reference && sum.y < nearest) { nearest = sum.y; nearest_index = r + TILE; }
        if (r + 2u * TILE < end_reference && sum.z < nearest) { nearest = sum.z; nearest_index = r + 2u * TILE; }
        if (r + 3u * TILE < end_reference && sum.w < nearest) { nearest = sum.w; nearest_index = r + 3u * TILE; }
    }

    let lane = local.y * TILE + local.x;
    best_distance[lane] = nearest;
    best_index[lane] = nearest_index;
    // All lanes of a query must have written before the first of them picks.
    workgroupBarrier();
    if (local.x == 0u && first_query + local.y < n) {
        for (var j = 1u; j < TILE; j += 1u) {
            let other = best_distance[lane + j];
            let index = best_index[lane + j];
            if (other < nearest || (other == nearest && index < nearest_index)) {
                nearest = other;
                nearest_index = index;
            }
        }
        distances[(first_query + local.y) * chunks + group.y] = nearest;
        indices[(first_query + local.y) * chunks + group.y] = i32(nearest_index);
    }
}
