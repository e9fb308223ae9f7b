//! The overlay's side of `shaders/overlay.wgsl`: uploads a map when it changes, fills the uniforms, and draws inside
//! egui's own render pass. What is shown is decided by the caller; nothing here knows of panels.

use std::sync::Arc;

use eframe::egui_wgpu::{self, wgpu};
use egui::Rect;
use wgpu::util::DeviceExt as _;

use crate::anomaly::AnomalyMap;

/// What to draw over the photo.
#[derive(Clone)]
pub struct Overlay {
    /// The raw scores.
    pub map: Arc<AnomalyMap>,
    /// 256 sRGB colours from 0 to 1 on the fixed scale.
    pub colours: Arc<Vec<[u8; 4]>>,
    /// Position in the photo (0–1 across it) at the viewport's corners.
    pub uv: Rect,
    /// Raw score that is 0 on the fixed scale.
    pub low: f32,
    /// Raw score that is 0.5 on the fixed scale.
    pub threshold: f32,
    /// Opacity from the threshold upwards, 0–1.
    pub opacity: f32,
    /// Width of the contour at the threshold, in screen pixels; 0 for none.
    pub contour_px: f32,
    /// Colour of the contour, sRGB, not premultiplied.
    pub contour: [f32; 4],
    /// Left of this position (0–1 across the photo) the bare photo shows.
    pub split: f32,
    /// Format that the window draws to.
    pub target: wgpu::TextureFormat,
}

/// Mirrors `Uniforms` in shaders/overlay.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Uniforms {
    uv_min: [f32; 2],
    uv_max: [f32; 2],
    low: f32,
    threshold: f32,
    opacity: f32,
    contour_px: f32,
    split: f32,
    to_linear: f32,
    fade: f32,
    pad: f32,
    contour: [f32; 4],
}

/// Text of the shader, for the test that validates it.
pub const SHADER: &str = include_str!("../../shaders/overlay.wgsl");

/// What stays on the graphics device between frames.
struct Resources {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    uniforms: wgpu::Buffer,
    /// The uploaded map and colours, kept to see whether they are still the ones to draw.
    drawn: Option<Drawn>,
}

struct Drawn {
    map: Arc<AnomalyMap>,
    colours: Arc<Vec<[u8; 4]>>,
    group: wgpu::BindGroup,
}

impl Overlay {
    /// The shape to add to a painter; `viewport` is where [`Self::uv`] lies on the screen, in points.
    pub fn shape(self, viewport: Rect) -> egui::Shape {
        egui::Shape::Callback(egui_wgpu::Callback::new_paint_callback(viewport, self))
    }

    fn values(&self) -> Uniforms {
        Uniforms {
            uv_min: self.uv.min.into(),
            uv_max: self.uv.max.into(),
            low: self.low,
            threshold: self.threshold,
            opacity: self.opacity,
            contour_px: self.contour_px,
            split: self.split,
            to_linear: f32::from(u8::from(self.target.is_srgb())),
            fade: 1.0,
            pad: 0.0,
            contour: self.contour,
        }
    }
}

impl egui_wgpu::CallbackTrait for Overlay {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &egui_wgpu::ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut egui_wgpu::CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if resources.get::<Resources>().is_none() {
            resources.insert(Resources::new(device, self.target));
        }
        if let Some(resources) = resources.get_mut::<Resources>() {
            queue.write_buffer(&resources.uniforms, 0, bytemuck::bytes_of(&self.values()));
            let same = |drawn: &Drawn| Arc::ptr_eq(&drawn.map, &self.map) && Arc::ptr_eq(&drawn.colours, &self.colours);
            if !resources.drawn.as_ref().is_some_and(same) {
                resources.drawn = Some(resources.upload(device, queue, &self.map, &self.colours));
            }
        }
        Vec::new()
    }

    fn paint(
        &self,
        info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &egui_wgpu::CallbackResources,
    ) {
        let Some(resources) = resources.get::<Resources>() else { return };
        let Some(drawn) = &resources.drawn else { return };
        let viewport = info.viewport_in_pixels();
        if viewport.width_px <= 0 || viewport.height_px <= 0 {
            return;
        }
        pass.set_pipeline(&resources.pipeline);
        pass.set_bind_group(0, &drawn.group, &[]);
        pass.draw(0..3, 0..1);
    }
}

impl Resources {
    fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("overlay.wgsl"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let texture = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: false },
                view_dimension: wgpu::TextureViewDimension::D2,
                multisampled: false,
            },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("overlay"),
            entries: &[
                wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                    count: None,
                },
                texture(1),
                texture(2),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("overlay"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("overlay"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("cover"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("shade"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(wgpu::ColorTargetState {
                    format: target,
                    blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                    write_mask: wgpu::ColorWrites::ALL,
                })],
            }),
            multiview_mask: None,
            cache: None,
        });
        let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("overlay"),
            size: size_of::<Uniforms>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { pipeline, layout, uniforms, drawn: None }
    }

    fn upload(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        map: &Arc<AnomalyMap>,
        colours: &Arc<Vec<[u8; 4]>>,
    ) -> Drawn {
        let texture = |label, width: usize, height: usize, format, bytes: &[u8]| {
            let descriptor = wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
                view_formats: &[],
            };
            let order = wgpu::util::TextureDataOrder::LayerMajor;
            device
                .create_texture_with_data(queue, &descriptor, order, bytes)
                .create_view(&wgpu::TextureViewDescriptor::default())
        };
        let scores: &[u8] = bytemuck::cast_slice(&map.scores);
        let scores = texture("anomaly map", map.width, map.height, wgpu::TextureFormat::R32Float, scores);
        let bytes: &[u8] = bytemuck::cast_slice(colours);
        let table = texture("colour map", colours.len(), 1, wgpu::TextureFormat::Rgba8Unorm, bytes);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("overlay"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.uniforms.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&scores) },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(&table) },
            ],
        });
        Drawn { map: map.clone(), colours: colours.clone(), group }
    }
}
