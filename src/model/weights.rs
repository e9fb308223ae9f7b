//! Weights from safetensors files into modules, and CLIP's back. Files are mapped, not read; each tensor is
//! converted to f32, laid out as burn wants it and let go before the next, so loading needs little beyond the weights
//! themselves. Missing, extra, misshapen and non-finite tensors are errors that name them. Configuration is not read here.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::clip::Clip;
use super::clipseg::{ClipSeg, Lone};
use super::names::{Naming, Slot, is_no_weight, slot};
use crate::{Error, Result};

/// Names shown at most in one message.
const SHOWN: usize = 8;

/// A weight file's bytes.
#[derive(Debug)]
pub enum Bytes {
    /// Compiled into the program.
    Embedded(&'static [u8]),
    /// Mapped from disk.
    Mapped(Mmap),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Embedded(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// The weight files of one model, open.
#[derive(Debug)]
pub struct WeightFiles {
    /// In the order of their names; one, or the shards.
    pub parts: Vec<(PathBuf, Bytes)>,
    pub naming: Naming,
}

impl WeightFiles {
    /// The one embedded file.
    pub fn embedded(name: &str, bytes: &'static [u8]) -> Self {
        Self { parts: vec![(PathBuf::from(name), Bytes::Embedded(bytes))], naming: Naming::HuggingFace }
    }

    /// Finds and maps the weight files of `folder`: `model.safetensors`, its shards, or open_clip's file.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = [
            ("model.safetensors", Naming::HuggingFace),
            ("open_clip_model.safetensors", Naming::OpenClip),
            ("open_clip_pytorch_model.safetensors", Naming::OpenClip),
        ];
        // A folder may carry the same weights under both names; its configuration decides which form is meant.
        let open_clip = !folder.join("config.json").is_file() && folder.join("open_clip_config.json").is_file();
        let fits = |naming: &Naming| (*naming == Naming::OpenClip) == open_clip;
        for (name, naming) in single.iter().filter(|(_, naming)| fits(naming)) {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(Self { parts: vec![mapped(path)?], naming: *naming });
            }
        }
        let index = folder.join("model.safetensors.index.json");
        if index.is_file() {
            return Self::shards(folder, &index);
        }
        let pickle =
            ["pytorch_model.bin", "open_clip_pytorch_model.bin"].into_iter().find(|name| folder.join(name).is_file());
        Err(Error::model(match pickle {
            Some(name) => format!("The folder has its weights only as {name}, a format that can run code when it is opened. Convert it to model.safetensors."),
            None => "The folder has no model.safetensors. Download the model again, or choose the folder that holds its weights.".to_owned(),
        })
        .at(folder))
    }

    fn shards(folder: &Path, index: &Path) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = std::fs::read_to_string(index)
            .map_err(|error| Error::io("Cannot read the list of weight files", index, &error))?;
        let list: Index = serde_json::from_str(&text).map_err(|error| {
            Error::model(format!("The list of weight files cannot be read: {error}. Download the model again."))
                .at(index)
        })?;
        let mut files: Vec<_> = list.weight_map.values().collect();
        files.sort();
        files.dedup();
        if let Some(outside) =
            files.iter().find(|name| Path::new(name).components().count() != 1 || name.contains(".."))
        {
            return Err(Error::model(format!(
                "The list of weight files names `{outside}`, which is not in the folder."
            ))
            .at(index));
        }
        if files.is_empty() {
            return Err(Error::model("The list of weight files is empty. Download the model again.").at(index));
        }
        let parts = files.into_iter().map(|name| mapped(folder.join(name))).collect::<Result<Vec<_>>>()?;
        let files = Self { parts, naming: Naming::HuggingFace };
        let mut absent: Vec<String> = Vec::new();
        let views = files.views()?;
        for (tensor, file) in &list.weight_map {
            let there = views
                .get(tensor.as_str())
                .is_some_and(|(path, _)| path.file_name().is_some_and(|name| name == file.as_str()));
            if !there {
                absent.push(format!("{tensor} ({file})"));
            }
        }
        if absent.is_empty() {
            drop(views);
            return Ok(files);
        }
        Err(Error::model(format!(
            "Weight files lack tensors that the list promises: {}. Download the model again.",
            listed(&absent)
        ))
        .at(index))
    }

    /// Every tensor by name, with its file.
    fn views(&self) -> Result<BTreeMap<String, (&Path, TensorView<'_>)>> {
        let mut all = BTreeMap::new();
        for (path, bytes) in &self.parts {
            let file = SafeTensors::deserialize(bytes.as_ref()).map_err(|error| {
                Error::model(format!("The weight file is damaged or cut off ({error}). Download it again.")).at(path)
            })?;
            for (name, view) in file.tensors() {
                if all.contains_key(&name) {
                    return Err(Error::model(format!(
                        "The tensor {name} is in two weight files. Download the model again."
                    ))
                    .at(path));
                }
                all.insert(name, (path.as_path(), view));
            }
        }
        Ok(all)
    }

    /// One file of weights, under the names of `naming`.
    pub fn single(path: &Path, naming: Naming) -> Result<Self> {
        Ok(Self { parts: vec![mapped(path.to_owned())?], naming })
    }

    /// [`WeightFiles::open`] for a CLIPSeg folder.
    pub fn open_clipseg(folder: &Path) -> Result<Self> {
        Ok(Self::open(folder)?.named(Naming::ClipSeg))
    }

    /// The same files, read under other names.
    #[must_use]
    pub fn named(self, naming: Naming) -> Self {
        Self { naming, ..self }
    }

    /// Shape of every tensor by its name in the files.
    pub fn shapes(&self) -> Result<BTreeMap<String, Vec<usize>>> {
        Ok(self.views()?.into_iter().map(|(name, (_, view))| (name, view.shape().to_vec())).collect())
    }

    /// `module` with every weight taken from the files, as f32 on `device`.
    pub fn load_into<M: Module>(&self, module: M, device: &Device) -> Result<M> {
        let mut loader = Loader {
            views: self.views()?,
            naming: self.naming,
            device,
            trail: Trail::default(),
            problems: Problems::default(),
        };
        let module = module.map(&mut loader);
        let extra = loader.views.keys().filter(|name| !is_no_weight(name, self.naming)).cloned().collect();
        loader.problems.into_result(extra).map_err(|error| match self.parts.first() {
            Some((path, _)) => error.at(path),
            None => error,
        })?;
        Ok(module)
    }
}

fn mapped(path: PathBuf) -> Result<(PathBuf, Bytes)> {
    let file = File::open(&path).map_err(|error| Error::io("Cannot open the weight file", &path, &error))?;
    #[expect(unsafe_code, reason = "a memory map is the only way to read weights without holding them twice")]
    // SAFETY: the map is read-only and private to this loader. Another process that shortens the file meanwhile could
    // still end ours; that is the documented limit of mapping and the same for every reader of such files.
    let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::io("Cannot map the weight file", &path, &error))?;
    Ok((path, Bytes::Mapped(map)))
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What does not fit, by kind, with names.
#[derive(Default)]
struct Problems {
    missing: Vec<String>,
    misshapen: Vec<String>,
    wrong_type: Vec<String>,
    not_finite: Vec<String>,
}

impl Problems {
    fn into_result(self, extra: Vec<String>) -> Result<()> {
        let sentences: Vec<_> = [
            ("Missing", self.missing),
            ("Not part of this model", extra),
            ("Of another shape than config.json says", self.misshapen),
            ("Of a number type that is not read (f32, f16 and bf16 are)", self.wrong_type),
            ("Holding values that are not finite", self.not_finite),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}.", listed(&names)))
        .collect();
        if sentences.is_empty() {
            return Ok(());
        }
        Err(Error::model(format!(
            "The weights do not fit the model. {} Check that weights and config.json belong together, or download both again.",
            sentences.join(" ")
        )))
    }
}

/// Where a walk through the modules is.
#[derive(Default)]
struct Trail {
    /// (name of the field, kind of module that holds it), outermost first.
    steps: Vec<(String, String)>,
}

impl Trail {
    fn enter(&mut self, name: &str, container: &str) {
        self.steps.push((name.to_owned(), container.to_owned()));
    }

    fn leave(&mut self) {
        self.steps.pop();
    }

    /// The weight's path in our modules, `encoder.blocks.0.norm1.gamma`.
    fn path(&self) -> String {
        self.steps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    /// What the weight here is called in files of this naming.
    fn slot(&self, naming: Naming) -> Slot {
        let linear = self.steps.last().is_some_and(|(name, kind)| name == "weight" && kind == "Struct:Linear");
        slot(&self.path(), linear, naming)
    }
}

/// Walks the modules and takes each weight's tensor out of `views`.
struct Loader<'a> {
    views: BTreeMap<String, (&'a Path, TensorView<'a>)>,
    naming: Naming,
    device: &'a Device,
    trail: Trail,
    problems: Problems,
}

impl Loader<'_> {
    /// The values for a parameter of this shape, or `None` with the reason noted.
    fn values(&mut self, shape: &[usize], slot: &Slot) -> Option<Vec<f32>> {
        let count = slot.names.len();
        let mut out = vec![0.0_f32; shape.iter().product()];
        let mut fine = true;
        for (index, name) in slot.names.iter().enumerate() {
            let Some((_, view)) = self.views.remove(name) else {
                self.problems.missing.push(name.clone());
                fine = false;
                continue;
            };
            // Side by side along the output axis, which is the last one of ours.
            let mut wanted = shape.to_vec();
            if let Some(last) = wanted.last_mut() {
                *last /= count;
            }
            if slot.transposed {
                wanted.reverse();
            }
            if without_leading_ones(view.shape()) != without_leading_ones(&wanted) {
                self.problems.misshapen.push(format!("{name} (is {:?}, should be {wanted:?})", view.shape()));
                fine = false;
                continue;
            }
            let target =
                Target { columns: *shape.last().unwrap_or(&1), first: index * shape.last().unwrap_or(&1) / count };
            let part = (slot.transposed, wanted.as_slice());
            let data = view.data();
            match view.dtype() {
                Dtype::F32 => target.fill(&mut out, data, f32::from_le_bytes, part),
                Dtype::F16 => target.fill(&mut out, data, |bytes| half::f16::from_le_bytes(bytes).to_f32(), part),
                Dtype::BF16 => target.fill(&mut out, data, |bytes| half::bf16::from_le_bytes(bytes).to_f32(), part),
                other => {
                    self.problems.wrong_type.push(format!("{name} ({other:?})"));
                    fine = false;
                }
            }
        }
        if fine && !out.par_iter().all(|value| value.is_finite()) {
            self.problems.not_finite.push(slot.names.join(" or "));
            fine = false;
        }
        fine.then_some(out)
    }
}

/// Where a file's tensor goes in our row-major array: columns `first..` of rows that are `columns` long.
struct Target {
    columns: usize,
    first: usize,
}

impl Target {
    /// Copies `data`, elements of `SIZE` bytes. `transposed` sources are `[out, in]` matrices.
    fn fill<const SIZE: usize>(
        &self,
        out: &mut [f32],
        data: &[u8],
        decode: impl Fn([u8; SIZE]) -> f32 + Sync,
        (transposed, shape): (bool, &[usize]),
    ) {
        let (elements, _) = data.as_chunks::<SIZE>();
        if transposed {
            // 32 of our rows at a time: the source is then read in runs of 32 and written in 32 streams.
            const ROWS: usize = 32;
            let inputs = shape[1];
            out.par_chunks_mut(ROWS * self.columns).enumerate().for_each(|(block, rows)| {
                for (column, source) in elements.chunks_exact(inputs).enumerate() {
                    let run = &source[block * ROWS..(block * ROWS + rows.len() / self.columns)];
                    for (row, value) in run.iter().enumerate() {
                        rows[row * self.columns + self.first + column] = decode(*value);
                    }
                }
            });
        } else {
            // Whole tensors, and the biases of query, key and value one after the other.
            let count = elements.len();
            out[self.first..self.first + count].par_iter_mut().zip(elements).for_each(|(to, from)| *to = decode(*from));
        }
    }
}

/// Files keep tokens and tables as `[1, …]`, and a number as a scalar or `[1]`; the values are the same.
fn without_leading_ones(shape: &[usize]) -> &[usize] {
    &shape[shape.iter().take_while(|side| **side == 1).count()..]
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.trail.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.trail.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().to_vec();
        let slot = self.trail.slot(self.naming);
        match self.values(&shape, &slot) {
            Some(values) => {
                let id = param.id;
                let tensor = Tensor::from_data(TensorData::new(values, shape), self.device);
                param.transform_for_load(tensor, id)
            }
            None => param,
        }
    }
}

/// Number type of a written weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    F16,
}

/// Writes the weights of `clip` as a Hugging Face `model.safetensors` at `path`, which other programs read too.
pub fn save(clip: &Clip, path: &Path, precision: Precision) -> Result<()> {
    save_as(clip, Naming::HuggingFace, path, precision)
}

/// The same for a CLIPSeg network.
pub fn save_clipseg(network: &ClipSeg, path: &Path, precision: Precision) -> Result<()> {
    save_as(network, Naming::ClipSeg, path, precision)
}

/// The same for a CLIPSeg decoder alone.
pub fn save_decoder(decoder: &Lone, path: &Path, precision: Precision) -> Result<()> {
    save_as(decoder, Naming::ClipSeg, path, precision)
}

fn save_as<M: Module>(module: &M, naming: Naming, path: &Path, precision: Precision) -> Result<()> {
    let mut writer = Writer { trail: Trail::default(), naming, precision, tensors: Vec::new(), unreadable: None };
    module.visit(&mut writer);
    if let Some(reason) = writer.unreadable {
        return Err(Error::device(format!("The weights cannot be read from the device: {reason}.")));
    }
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
    };
    let views = writer
        .tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| Error::bug(format!("weights of the wrong size: {error}.")))?;
    let note = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    // The writer of the format uses a temporary name beside the file and renames it.
    safetensors::serialize_to_file(views, Some(note), path)
        .map_err(|error| Error::io("Cannot write the weights", path, &std::io::Error::other(error.to_string())))
}

/// Collects the tensors under their published names.
struct Writer {
    trail: Trail,
    naming: Naming,
    precision: Precision,
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
    unreadable: Option<String>,
}

impl Writer {
    fn encoded(&self, values: impl Iterator<Item = f32>) -> Vec<u8> {
        match self.precision {
            Precision::F32 => values.flat_map(f32::to_le_bytes).collect(),
            Precision::F16 => values.flat_map(|value| half::f16::from_f32(value).to_le_bytes()).collect(),
        }
    }
}

impl ModuleVisitor for Writer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.trail.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.trail.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        let shape = data.shape().to_vec();
        let values = match data.try_into_vec::<f32>() {
            Ok(values) => values,
            Err(error) => {
                self.unreadable.get_or_insert_with(|| format!("{} ({error:?})", self.trail.path()));
                return;
            }
        };
        let slot = self.trail.slot(self.naming);
        let count = slot.names.len();
        let columns = *shape.last().unwrap_or(&1);
        let width = columns / count;
        for (index, name) in slot.names.iter().enumerate() {
            let first = index * width;
            let (part_shape, bytes) = if slot.transposed {
                let at = |column: usize, row: usize| values[row * columns + first + column];
                let rows = shape[0];
                let order = (0..width).flat_map(|column| (0..rows).map(move |row| (column, row)));
                (vec![width, rows], self.encoded(order.map(|(column, row)| at(column, row))))
            } else if name == "logit_scale" {
                (vec![], self.encoded(values.iter().copied()))
            } else if count > 1 {
                (vec![width], self.encoded(values[first..first + width].iter().copied()))
            } else {
                (shape.clone(), self.encoded(values.iter().copied()))
            };
            self.tensors.push((name.clone(), part_shape, bytes));
        }
    }
}
