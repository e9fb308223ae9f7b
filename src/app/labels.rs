//! The true classes that photos can have, and changes to classes and labels that can be taken back. A label says what a
//! part is; it is no decision (accepted, rejected) and never changes a verdict.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::PhotoId;

/// The true class of a photo, by name.
pub type Label = Arc<str>;

/// Classes that keys can set.
pub const KEYED: usize = 9;

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Its name, as in files and folders.
    pub name: Label,
    /// Parts of this class are good; a verdict NG on one is a false alarm.
    pub normal: bool,
}

impl Class {
    /// A class that is normal if its name says so: `good`, `ok` and `normal`.
    pub fn named(name: impl Into<Label>) -> Self {
        let name = name.into();
        let normal = ["good", "ok", "normal"].contains(&name.to_lowercase().as_str());
        Self { name, normal }
    }
}

/// The classes that a bench starts with.
pub fn starters() -> Vec<Class> {
    vec![Class::named("good"), Class::named("defect")]
}

/// A change of classes or labels. Carrying it out gives the change that takes it back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelStep {
    /// The classes to have; `None` leaves them.
    pub classes: Option<Vec<Class>>,
    /// The labels to have.
    pub photos: Vec<(PhotoId, Option<Label>)>,
}

/// A wish about the list of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassEdit {
    Add(String),
    /// Photos of the class take the new name.
    Rename {
        from: Label,
        to: String,
    },
    /// Photos of the class have no label then.
    Remove(Label),
    /// Whether its parts are good.
    Normal(Label, bool),
    /// One place up; the place decides the key.
    Up(Label),
}

/// Name of the folder that a photo lies in, as a class.
pub fn folder_class(path: &Path) -> Option<Label> {
    let name = path.parent()?.file_name()?.to_string_lossy();
    (!name.is_empty()).then(|| Label::from(&*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_normal_from_anomalous() {
        let normal: Vec<bool> =
            ["good", "OK", "Normal", "crack", "not good"].map(|name| Class::named(name).normal).into();
        assert_eq!(normal, [true, true, true, false, false]);
        assert_eq!(folder_class(Path::new("a/crack/1.png")).as_deref(), Some("crack"));
        assert_eq!(folder_class(Path::new("1.png")), None);
    }
}
