//! Features once computed are kept: in memory up to a budget, on disk up to another, under the photo's content hash,
//! the models' hashes and the recipe's feature variant. A damaged or foreign file on disk is a miss, never an error.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::anomaly::PhotoFeatures;
use crate::anomaly::features::{MemoryPatches, TextPatches, WINDOW_SIDES, WindowEmbeddings};
use crate::{Error, Result};

/// What features belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeatureKey {
    /// SHA-256 of the photo's file, hexadecimal.
    pub photo: String,
    /// SHA-256 of the model, hexadecimal.
    pub model: String,
    /// The same of the memory's model, where it is another one.
    pub memory_model: Option<String>,
    /// Layers, size and kind of features, see `anomaly::Networks::variant`.
    pub variant: String,
}

impl FeatureKey {
    fn path(&self, dir: &Path) -> PathBuf {
        let short = |hash: &str| hash.get(..16).unwrap_or(hash).to_owned();
        let folder = match &self.memory_model {
            None => short(&self.model),
            Some(memory) => format!("{}-{}", short(&self.model), short(memory)),
        };
        dir.join(folder).join(format!("{}-{}.safetensors", self.photo, self.variant))
    }
}

/// Bounded store of features.
#[derive(Debug)]
pub struct FeatureCache {
    entries: HashMap<FeatureKey, (u64, Arc<PhotoFeatures>)>,
    clock: u64,
    bytes: usize,
    budget: usize,
    disk: Option<PathBuf>,
    disk_budget: u64,
    disk_written: u64,
}

/// After this many bytes written the disk store is brought back under its budget.
const SWEEP_EVERY: u64 = 256 << 20;

impl FeatureCache {
    /// A cache of at most `budget` bytes in memory and, in the folder `disk` if given, `disk_budget` bytes on disk.
    pub fn new(budget: usize, disk: Option<PathBuf>, disk_budget: u64) -> Self {
        let cache = Self { entries: HashMap::new(), clock: 0, bytes: 0, budget, disk, disk_budget, disk_written: 0 };
        cache.sweep();
        cache
    }

    /// The features of `key`, from memory or disk.
    pub fn get(&mut self, key: &FeatureKey) -> Option<Arc<PhotoFeatures>> {
        self.clock += 1;
        if let Some((used, features)) = self.entries.get_mut(key) {
            *used = self.clock;
            return Some(features.clone());
        }
        let features = Arc::new(read(&key.path(self.disk.as_deref()?))?);
        self.keep(key.clone(), features.clone());
        Some(features)
    }

    /// Keeps features. A disk that cannot be written is reported once per call and changes nothing else.
    ///
    /// # Errors
    /// [`Error::Io`]; the features are in memory all the same.
    pub fn put(&mut self, key: FeatureKey, features: &Arc<PhotoFeatures>) -> Result<()> {
        let path = self.disk.as_deref().map(|dir| key.path(dir));
        self.keep(key, features.clone());
        if let Some(path) = path {
            write(&path, features)?;
            self.disk_written += features.bytes() as u64;
            if self.disk_written > SWEEP_EVERY {
                self.disk_written = 0;
                self.sweep();
            }
        }
        Ok(())
    }

    /// Stops using the disk, after a write to it failed.
    pub fn give_up_disk(&mut self) {
        self.disk = None;
    }

    fn keep(&mut self, key: FeatureKey, features: Arc<PhotoFeatures>) {
        self.clock += 1;
        self.bytes += features.bytes();
        if let Some((_, old)) = self.entries.insert(key, (self.clock, features)) {
            self.bytes -= old.bytes();
        }
        while self.bytes > self.budget && self.entries.len() > 1 {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            let Some((_, old)) = oldest.and_then(|key| self.entries.remove(&key)) else { break };
            self.bytes -= old.bytes();
        }
    }

    /// Removes the oldest files until the folder fits its budget.
    fn sweep(&self) {
        let Some(dir) = &self.disk else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for model in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            for file in std::fs::read_dir(model.path()).into_iter().flatten().flatten() {
                if let Ok(meta) = file.metadata() {
                    files.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len(), file.path()));
                }
            }
        }
        let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
        files.sort();
        for (_, len, path) in files {
            if total <= self.disk_budget {
                break;
            }
            if std::fs::remove_file(&path).is_ok() {
                total -= len;
            }
        }
    }
}

fn write(path: &Path, features: &PhotoFeatures) -> Result<()> {
    let PhotoFeatures { embedding, text, memory, windows } = features;
    let shape = [text.rows, text.cols, memory.rows, memory.cols, memory.dim].map(|side| side as u32);
    let mut tensors: Vec<(String, Vec<usize>, &[u8], Dtype)> = vec![
        ("shape".into(), vec![5], bytemuck::cast_slice(&shape), Dtype::U32),
        ("embedding".into(), vec![embedding.len()], bytemuck::cast_slice(embedding), Dtype::F32),
        ("memory".into(), vec![memory.values.len()], bytemuck::cast_slice(&memory.values), Dtype::F32),
    ];
    for (i, layer) in text.layers.iter().enumerate() {
        tensors.push((format!("text.{i}"), vec![layer.len()], bytemuck::cast_slice(layer), Dtype::F32));
    }
    for of_side in windows {
        let shape = vec![of_side.rows, of_side.cols, of_side.dim];
        tensors.push((window_name(of_side.side), shape, bytemuck::cast_slice(&of_side.values), Dtype::F32));
    }
    let views: Vec<(String, TensorView<'_>)> = tensors
        .into_iter()
        .map(|(name, shape, bytes, dtype)| TensorView::new(dtype, shape, bytes).map(|view| (name, view)))
        .collect::<Result<_, _>>()
        .map_err(|e| Error::bug(format!("features do not fit their own shape ({e}).")))?;
    let bytes =
        safetensors::serialize(views, None).map_err(|e| Error::bug(format!("features cannot be serialised ({e}).")))?;
    let fail = |e: std::io::Error| Error::io("Cannot write the feature cache", path, &e);
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(fail)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(fail)?;
    std::io::Write::write_all(&mut file, &bytes).map_err(fail)?;
    file.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
}

/// Name of the windows of `side` patches.
fn window_name(side: usize) -> String {
    format!("windows.{side}")
}

/// Reads what [`write`] wrote; anything else is `None`.
fn read(path: &Path) -> Option<PhotoFeatures> {
    let bytes = std::fs::read(path).ok()?;
    let file = SafeTensors::deserialize(&bytes).ok()?;
    let floats = |name: &str| -> Option<Vec<f32>> {
        let view = file.tensor(name).ok()?;
        (view.dtype() == Dtype::F32)
            .then(|| view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    };
    let shape = file.tensor("shape").ok()?;
    let shape: Vec<usize> =
        shape.data().as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize).collect();
    let [text_rows, text_cols, rows, cols, dim] = shape[..] else { return None };
    let layers: Vec<Vec<f32>> = (0..).map_while(|i| floats(&format!("text.{i}"))).collect();
    let embedding = floats("embedding")?;
    let values = floats("memory")?;
    let whole = values.len() == rows * cols * dim
        && layers.iter().all(|layer| layer.len() == text_rows * text_cols * embedding.len());
    let of_side = |side: usize| -> Option<WindowEmbeddings> {
        let name = window_name(side);
        let &[rows, cols, dim] = file.tensor(&name).ok()?.shape() else { return None };
        Some(WindowEmbeddings { side, rows, cols, dim, values: floats(&name)? })
    };
    let windows = WINDOW_SIDES.into_iter().filter_map(of_side).collect();
    let text = TextPatches { rows: text_rows, cols: text_cols, layers };
    whole.then_some(PhotoFeatures { embedding, text, memory: MemoryPatches { rows, cols, dim, values }, windows })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn features(seed: f32) -> Arc<PhotoFeatures> {
        Arc::new(PhotoFeatures {
            embedding: vec![seed; 4],
            text: TextPatches { rows: 2, cols: 3, layers: vec![vec![seed + 1.0; 24], vec![seed + 2.0; 24]] },
            memory: MemoryPatches { rows: 1, cols: 6, dim: 2, values: vec![seed + 3.0; 12] },
            windows: vec![WindowEmbeddings { side: 2, rows: 1, cols: 2, dim: 4, values: vec![seed + 4.0; 8] }],
        })
    }

    fn key(photo: &str) -> FeatureKey {
        let variant = "aspect96-l6-head".into();
        FeatureKey { photo: photo.into(), model: "m".repeat(64), memory_model: None, variant }
    }

    #[test]
    fn what_is_put_comes_back_from_disk_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let open = || FeatureCache::new(1 << 20, Some(dir.path().into()), 1 << 20);
        open().put(key("a"), &features(0.1)).unwrap();
        assert_eq!(open().get(&key("a")).unwrap(), features(0.1));
        assert_eq!(open().get(&key("b")), None);
        assert_eq!(open().get(&FeatureKey { memory_model: Some("n".repeat(64)), ..key("a") }), None);
    }

    #[test]
    fn a_damaged_file_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = FeatureCache::new(1 << 20, Some(dir.path().into()), 1 << 20);
        cache.put(key("a"), &features(0.5)).unwrap();
        let path = key("a").path(dir.path());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(FeatureCache::new(1 << 20, Some(dir.path().into()), 1 << 20).get(&key("a")), None);
    }

    #[test]
    fn memory_forgets_the_least_recently_used() {
        let one = features(0.0).bytes();
        let mut cache = FeatureCache::new(2 * one, None, 0);
        cache.put(key("a"), &features(1.0)).unwrap();
        cache.put(key("b"), &features(2.0)).unwrap();
        assert!(cache.get(&key("a")).is_some());
        cache.put(key("c"), &features(3.0)).unwrap();
        assert!(cache.get(&key("b")).is_none(), "b was used longest ago");
        assert!(cache.get(&key("a")).is_some() && cache.get(&key("c")).is_some());
    }

    #[test]
    fn the_disk_stays_within_its_budget() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = FeatureCache::new(1 << 20, Some(dir.path().into()), 1 << 20);
        for name in ["a", "b", "c"] {
            cache.put(key(name), &features(1.0)).unwrap();
        }
        let file = std::fs::metadata(key("a").path(dir.path())).unwrap().len();
        drop(FeatureCache::new(1 << 20, Some(dir.path().into()), 2 * file));
        let left = std::fs::read_dir(key("a").path(dir.path()).parent().unwrap()).unwrap().count();
        assert_eq!(left, 2);
    }
}
