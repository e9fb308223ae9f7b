//! A trained classifier as one safetensors file: scaler and head as tensors, labels and the backbones' identities as
//! metadata. Features mean something only to the networks they came from, so a file is used with exactly those.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::features::Features;
use super::head::{Centroid, Head, HeadKind, Knn, Pipeline};
use super::logistic::Logistic;
use super::scaler::Scaler;
use crate::count::count;
use crate::photo::hex;
use crate::report::write_file;
use crate::{Error, Result};

/// What the file says that it is.
const FORMAT: &str = "hairline-classifier";
/// Version of the file's own format.
const FORMAT_VERSION: &str = "1";

/// A backbone that features came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackboneIdentity {
    /// As it was asked for: a catalogue id, a folder, or `pocket`.
    pub name: String,
    /// Name in reports.
    pub id: String,
    /// SHA-256 over its files, hexadecimal.
    pub sha256: String,
    /// Numbers per photo.
    pub dim: usize,
}

/// A trained classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    pub labels: Vec<String>,
    /// In the order in which their features stand side by side.
    pub backbones: Vec<BackboneIdentity>,
    /// Features of each backbone were scaled to length 1 before they were put side by side.
    pub normalised: bool,
    pub pipeline: Pipeline,
}

impl Classifier {
    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<PathBuf> {
        let Pipeline { scaler, head, present, .. } = &self.pipeline;
        let (width, classes) = (scaler.mean.len(), present.len());
        let present: Vec<f64> = present.iter().map(|&class| class as f64).collect();
        let mut tensors: Vec<(&str, Vec<usize>, Vec<f64>)> = vec![
            ("scaler.mean", vec![width], scaler.mean.clone()),
            ("scaler.scale", vec![width], scaler.scale.clone()),
            ("classes", vec![classes], present),
        ];
        match head {
            Head::Logistic(head) => {
                tensors.push(("logistic.weights", vec![classes, width], head.weights.clone()));
                tensors.push(("logistic.intercepts", vec![classes], head.intercepts.clone()));
            }
            Head::Centroid(head) => {
                tensors.push(("centroid.means", vec![classes, width], head.means.clone()));
                tensors.push(("centroid.spread", vec![1], vec![head.spread]));
            }
            Head::Knn(head) => {
                let truth = head.truth.iter().map(|&class| class as f64).collect();
                tensors.push(("knn.features", vec![head.features.len(), width], head.features.values().to_vec()));
                tensors.push(("knn.truth", vec![head.features.len()], truth));
                tensors.push(("knn.neighbours", vec![1], vec![head.neighbours as f64]));
            }
        }
        let metadata: HashMap<String, String> = [
            ("format", FORMAT.to_owned()),
            ("format_version", FORMAT_VERSION.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("labels", json(&self.labels)?),
            ("backbones", json(&self.backbones)?),
            ("head", head.kind().name().to_owned()),
            ("normalised", self.normalised.to_string()),
            ("checksum", checksum(tensors.iter().map(|(name, _, values)| (*name, values.as_slice())))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let views = tensors
            .iter()
            .map(|(name, shape, values)| {
                TensorView::new(Dtype::F64, shape.clone(), bytemuck::cast_slice(values)).map(|view| (*name, view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| Error::bug(format!("a classifier does not fit its own shape ({e}).")))?;
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|e| Error::bug(format!("a classifier cannot be serialised ({e}).")))?;
        write_file(path, |out| out.write_all(&bytes))
    }

    /// Reads the file and checks all of it.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file: no classifier, of a newer version, damaged, or with a value that is not finite.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("Cannot read the classifier", path, &e))?;
        Self::parse(&bytes).map_err(|error| error.at(path))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::input(format!("The classifier is damaged: {what}. Train or copy it again."));
        let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(&format!("it is no safetensors file ({e})")))?;
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|e| damaged(&format!("its header cannot be read ({e})")))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let text = |name: &str| metadata.get(name).cloned().ok_or_else(|| damaged(&format!("`{name}` is missing")));
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(Error::input(
                "This is a safetensors file, but no classifier. Make one with `hairline fusion train`.",
            ));
        }
        let version = text("format_version")?;
        if version != FORMAT_VERSION {
            return Err(Error::input(format!(
                "The classifier is of format {version}, this program reads {FORMAT_VERSION}. Use a newer program, or train it again."
            )));
        }
        let mut tensors: Vec<(String, Vec<usize>, Vec<f64>)> = Vec::new();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F64 {
                return Err(damaged(&format!("`{name}` is not of the type float64")));
            }
            let values: Vec<f64> =
                view.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            if values.iter().any(|value| !value.is_finite()) {
                return Err(damaged(&format!("`{name}` holds a value that is not finite")));
            }
            tensors.push((name, view.shape().to_vec(), values));
        }
        if checksum(tensors.iter().map(|(name, _, values)| (name.as_str(), values.as_slice()))) != text("checksum")? {
            return Err(damaged("its content does not fit its checksum"));
        }
        let labels: Vec<String> =
            serde_json::from_str(&text("labels")?).map_err(|e| damaged(&format!("its labels cannot be read ({e})")))?;
        let backbones: Vec<BackboneIdentity> = serde_json::from_str(&text("backbones")?)
            .map_err(|e| damaged(&format!("its backbones cannot be read ({e})")))?;
        let width: usize = backbones.iter().map(|backbone| backbone.dim).sum();
        let tensor = |name: &str, shape: &[usize]| {
            let found = tensors.iter().find(|(other, ..)| other == name);
            let (_, found, values) = found.ok_or_else(|| damaged(&format!("`{name}` is missing")))?;
            let fits = found.len() == shape.len() && found.iter().zip(shape).all(|(a, b)| a == b || *b == usize::MAX);
            if fits { Ok(values.clone()) } else { Err(damaged(&format!("`{name}` is of shape {found:?}"))) }
        };
        let index = |value: &f64, below: usize, name: &str| {
            let whole = value.fract() == 0.0 && *value >= 0.0 && *value < below as f64;
            if whole { Ok(*value as usize) } else { Err(damaged(&format!("`{name}` holds {value}"))) }
        };
        let present: Vec<usize> = tensor("classes", &[usize::MAX])?
            .iter()
            .map(|class| index(class, labels.len(), "classes"))
            .collect::<Result<_>>()?;
        let classes = present.len();
        let head = match text("head")?.parse::<HeadKind>()? {
            HeadKind::Logistic => Head::Logistic(Logistic {
                weights: tensor("logistic.weights", &[classes, width])?,
                intercepts: tensor("logistic.intercepts", &[classes])?,
                converged: true,
            }),
            HeadKind::Centroid => Head::Centroid(Centroid {
                means: tensor("centroid.means", &[classes, width])?,
                spread: tensor("centroid.spread", &[1])?[0],
            }),
            HeadKind::Knn => {
                let truth = tensor("knn.truth", &[usize::MAX])?;
                let features = tensor("knn.features", &[truth.len(), width])?;
                let neighbours = index(&tensor("knn.neighbours", &[1])?[0], usize::MAX, "knn.neighbours")?;
                Head::Knn(Knn {
                    features: Features::from_values(features, width),
                    truth: truth.iter().map(|class| index(class, classes, "knn.truth")).collect::<Result<_>>()?,
                    classes,
                    neighbours,
                })
            }
        };
        let scaler = Scaler { mean: tensor("scaler.mean", &[width])?, scale: tensor("scaler.scale", &[width])? };
        if scaler.scale.iter().any(|scale| *scale <= 0.0) {
            return Err(damaged("`scaler.scale` holds a value that is not above 0"));
        }
        let classes = labels.len();
        let normalised = text("normalised")? == "true";
        Ok(Self { labels, backbones, normalised, pipeline: Pipeline { scaler, head, present, classes } })
    }

    /// Whether these are the backbones that the classifier was trained on, in order.
    ///
    /// # Errors
    /// [`Error::Input`] saying which one differs, with both hashes.
    pub fn check_backbones(&self, loaded: &[BackboneIdentity]) -> Result<()> {
        if loaded.len() != self.backbones.len() {
            return Err(Error::input(format!(
                "The classifier was trained on {} ({}), but {} given. Give the same ones in the same order.",
                count(self.backbones.len(), "backbone", "backbones"),
                self.backbones.iter().map(|backbone| backbone.id.as_str()).collect::<Vec<_>>().join(", "),
                count(loaded.len(), "is", "are")
            )));
        }
        for (trained, given) in self.backbones.iter().zip(loaded) {
            if trained.sha256 != given.sha256 {
                let short = |sha256: &str| sha256.get(..16).unwrap_or(sha256).to_owned();
                return Err(Error::input(format!(
                    "The classifier was trained on {} with SHA-256 {}…, but {} has {}…: their features differ. Use the \
                     backbone it was trained on, or train it again.",
                    trained.id,
                    short(&trained.sha256),
                    given.id,
                    short(&given.sha256)
                )));
            }
        }
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::bug(format!("metadata of a classifier is no JSON ({e}).")))
}

/// SHA-256 over names and values, sorted by name.
fn checksum<'a>(tensors: impl Iterator<Item = (&'a str, &'a [f64])>) -> String {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let mut hasher = Sha256::new();
    for (name, values) in tensors {
        hasher.update(name.as_bytes());
        hasher.update((values.len() as u64).to_le_bytes());
        for value in values {
            hasher.update(value.to_le_bytes());
        }
    }
    hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::classify::head::HeadOptions;

    fn classifier(kind: HeadKind) -> (Classifier, Features) {
        let rows: Vec<Vec<f32>> = (0..12).map(|i| vec![(i % 3) as f32, (i * i % 5) as f32 / 3.0, 1.0 / 3.0]).collect();
        let features = Features::from_rows(rows.iter().map(Vec::as_slice)).unwrap();
        let truth: Vec<usize> = (0..12).map(|i| [0, 2, 3][i % 3]).collect();
        let pipeline = Pipeline::fit(&features, &truth, 4, HeadOptions { kind, ..HeadOptions::default() }).unwrap();
        let backbone = |name: &str, dim| BackboneIdentity {
            name: name.to_owned(),
            id: name.to_owned(),
            sha256: name.repeat(20),
            dim,
        };
        let labels = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let backbones = vec![backbone("pocket", 2), backbone("dino", 1)];
        (Classifier { labels, backbones, normalised: false, pipeline }, features)
    }

    #[test]
    fn what_is_saved_decides_the_same_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        for kind in HeadKind::ALL {
            let (classifier, features) = classifier(kind);
            let path = classifier.save(&dir.path().join("c.safetensors")).unwrap();
            let opened = Classifier::open(&path).unwrap();
            assert_eq!(opened, classifier, "{}", kind.name());
            assert_eq!(opened.pipeline.scores(&features).unwrap(), classifier.pipeline.scores(&features).unwrap());
        }
    }

    #[test]
    fn another_backbone_is_refused_with_both_hashes() {
        let (classifier, _) = classifier(HeadKind::Logistic);
        classifier.check_backbones(&classifier.backbones).unwrap();
        let mut others = classifier.backbones.clone();
        others[1].sha256 = "f".repeat(64);
        let error = classifier.check_backbones(&others).unwrap_err().to_string();
        assert!(error.contains("dinodinodinodino") && error.contains("ffffffffffffffff"), "{error}");
        assert!(
            classifier.check_backbones(&others[..1]).unwrap_err().to_string().contains("2 backbones (pocket, dino)")
        );
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.safetensors");
        let (classifier, _) = classifier(HeadKind::Logistic);
        classifier.save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let last = flipped.len() - 3;
        flipped[last] ^= 0x40;
        let mut nan = classifier.clone();
        nan.pipeline.scaler.mean[0] = f64::NAN;
        let nan_path = nan.save(&dir.path().join("nan.safetensors")).unwrap();
        let nan = std::fs::read(nan_path).unwrap();
        let empty = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), None).unwrap();
        for (bytes, said) in [
            (&whole[..whole.len() / 2], "no safetensors file"),
            (&flipped, "damaged"),
            (&nan, "not finite"),
            (b"", "no safetensors file"),
            (&empty, "no classifier"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = Classifier::open(&path).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("c.safetensors"), "{error}");
        }
    }
}
