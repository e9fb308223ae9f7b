//! Which kind of defect is it? Zero-shot by words, or learned from a few labelled photos: features of any backbones side by
//! side, standard scaler, a head. Arithmetic on embeddings; networks are run by `engine` and `model`.

pub mod augment;
pub mod cross_validation;
pub mod features;
pub mod fusion;
pub mod head;
pub mod job;
pub mod logistic;
mod objective;
pub mod outcome;
pub mod prompts;
pub mod saved;
pub mod scaler;
pub mod xray;
pub mod zero_shot;

pub use augment::Augmentation;
pub use cross_validation::{CrossValidation, FoldOptions, assign_folds, cross_validate, fold_warnings};
pub use features::Features;
pub use fusion::{Evaluation, FoldFigures, FusedPhotos};
pub use head::{Head, HeadKind, HeadOptions, Pipeline};
pub use job::{EmbeddedPhoto, EmbeddedPhotos};
pub use logistic::{ClassWeight, Logistic, LogisticOptions};
pub use outcome::{Classification, ClassificationFigures, ClassifiedPhoto};
pub use prompts::{LabelPhrases, LabelPrompts, NONE, PROMPTS_FILE, TEMPLATES_FILE};
pub use saved::{BackboneIdentity, Classifier};
pub use scaler::Scaler;
pub use xray::{Part, Xray, XrayRow};
pub use zero_shot::{TextBank, cosines, decide, probabilities};
