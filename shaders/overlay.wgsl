// The anomaly overlay of the window: looks up the raw score under each screen pixel, colours it on the fixed scale and
// draws the contour where the score crosses the threshold. Drawn over the photo by `src/app/overlay.rs`.

// Mirrors `Uniforms` in src/app/overlay.rs; 64 bytes, every member on its natural alignment.
struct Uniforms {
    // Position in the photo (0–1 across it) at the top left and bottom right corners of the viewport.
    uv_min: vec2<f32>,
    uv_max: vec2<f32>,
    // Raw scores that are 0 and 0.5 on the fixed scale.
    low: f32,
    threshold: f32,
    // Opacity from the threshold upwards, 0–1.
    opacity: f32,
    // Width of the contour in screen pixels; 0 switches it off.
    contour_px: f32,
    // Left of this position across the photo the overlay is left out, for comparing; 0 shows it everywhere.
    split: f32,
    // 1 where the target converts from linear to sRGB by itself, else 0.
    to_linear: f32,
    // 0 for a photo that shows the bare map (opacity everywhere), 1 to fade below the threshold.
    fade: f32,
    pad: f32,
    contour: vec4<f32>,
};

@group(0) @binding(0) var<uniform> u: Uniforms;
// Raw scores at the network's input resolution, one channel of 32 bits. Not filterable everywhere, so bilinear by hand.
@group(0) @binding(1) var map: texture_2d<f32>;
// The colour map: 256 × 1, sRGB values.
@group(0) @binding(2) var colours: texture_2d<f32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
};

// One triangle that covers the viewport; its corners lie at (0,0), (2,0), (0,2) of the viewport.
@vertex
fn cover(@builtin(vertex_index) index: u32) -> Corner {
    let at = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    var corner: Corner;
    corner.position = vec4<f32>(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0, 0.0, 1.0);
    corner.uv = mix(u.uv_min, u.uv_max, at);
    return corner;
}

// Bilinear with half-pixel centres and clamped borders, the same rule as `AnomalyMap::at_photo`.
fn score_at(uv: vec2<f32>) -> f32 {
    let size = vec2<i32>(textureDimensions(map));
    let at = clamp(uv * vec2<f32>(size) - 0.5, vec2<f32>(0.0), vec2<f32>(size - 1));
    let a = vec2<i32>(floor(at));
    let b = min(a + 1, size - 1);
    let f = at - floor(at);
    let top = mix(textureLoad(map, a, 0).r, textureLoad(map, vec2<i32>(b.x, a.y), 0).r, f.x);
    let bottom = mix(textureLoad(map, vec2<i32>(a.x, b.y), 0).r, textureLoad(map, b, 0).r, f.x);
    return mix(top, bottom, f.y);
}

fn colour_at(normalised: f32) -> vec3<f32> {
    let at = clamp(normalised, 0.0, 1.0) * 255.0;
    let a = i32(floor(at));
    let b = min(a + 1, 255);
    return mix(textureLoad(colours, vec2<i32>(a, 0), 0).rgb, textureLoad(colours, vec2<i32>(b, 0), 0).rgb, fract(at));
}

fn linear_from_srgb(c: vec3<f32>) -> vec3<f32> {
    return select(pow((c + 0.055) / 1.055, vec3<f32>(2.4)), c / 12.92, c <= vec3<f32>(0.04045));
}

@fragment
fn shade(corner: Corner) -> @location(0) vec4<f32> {
    // Derivatives must be taken in uniform control flow, so before anything is discarded.
    let score = score_at(corner.uv);
    let slope = length(vec2<f32>(dpdx(score), dpdy(score)));
    let outside = any(corner.uv < vec2<f32>(0.0)) || any(corner.uv >= vec2<f32>(1.0)) || corner.uv.x < u.split;
    if (outside) {
        discard;
    }
    let normalised = 0.5 * (score - u.low) / (u.threshold - u.low);
    // Nothing over typical pixels, all of the opacity from the threshold upwards: a good part does not glow.
    let t = mix(1.0, smoothstep(0.0, 0.5, normalised), u.fade);
    var colour = vec4<f32>(colour_at(normalised), u.opacity * t);
    if (u.contour_px > 0.0 && slope > 1e-9) {
        let distance_px = abs(score - u.threshold) / slope;
        let line = 1.0 - smoothstep(0.5 * u.contour_px - 0.5, 0.5 * u.contour_px + 0.5, distance_px);
        colour = mix(colour, vec4<f32>(u.contour.rgb, 1.0), line * u.contour.a);
    }
    var rgb = colour.rgb;
    if (u.to_linear > 0.5) {
        rgb = linear_from_srgb(rgb);
    }
    // Premultiplied, as the window blends.
    return vec4<f32>(rgb * colour.a, colour.a);
}
