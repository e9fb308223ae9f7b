//! What is going to be measured: classes, runs, protocol. A [`Matrix`] of methods, models, shots and seeds becomes a list
//! of runs; what cannot be combined is left out and said.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::protocol::Protocol;
use crate::count::count;
use crate::dataset::choose;
use crate::dataset::mvtec::{self, MvtecClass};
use crate::model::ModelSource;
use crate::recipe::{Comparison, Method};
use crate::{Error, Recipe, Result};

/// How many reference photos a run takes from `train/good`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shots {
    /// This many, chosen by the seed; 0 judges by words alone.
    Count(u32),
    /// Every one.
    All,
}

impl Default for Shots {
    fn default() -> Self {
        Self::Count(4)
    }
}

impl std::fmt::Display for Shots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Shots {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "all" {
            return Ok(Self::All);
        }
        let count = text.parse().map_err(|_| Error::input(format!("`{text}` is neither a number nor `all`.")))?;
        Ok(Self::Count(count))
    }
}

impl Serialize for Shots {
    /// A number, or `"all"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

/// What to combine; an empty list stands for what the base recipe says (of shots: 4).
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// Everything that is not varied.
    pub base: Recipe,
    pub methods: Vec<Method>,
    /// Catalogue ids or folders.
    pub models: Vec<String>,
    /// Networks of the memory map; `None` compares patches of the model itself.
    pub memory_models: Vec<Option<String>>,
    pub shots: Vec<Shots>,
    pub seeds: Vec<u64>,
    pub protocol: Protocol,
    /// What is being looked at; `None` takes the name of each class.
    pub object: Option<String>,
}

/// One run: a recipe without references, and how many it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// With the protocol applied; object and references are set per class.
    pub recipe: Recipe,
    pub shots: Shots,
    /// Where its files go.
    pub folder: PathBuf,
}

/// Everything that is going to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub classes: Vec<MvtecClass>,
    pub runs: Vec<RunPlan>,
    pub protocol: Protocol,
    pub object: Option<String>,
    /// Where all files go.
    pub out: PathBuf,
    /// Write the raw maps as measured.
    pub save_maps: bool,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

impl Plan {
    /// Reads the folder tree at `root` and lays out the runs. One run writes into `out` itself, several into a folder each.
    ///
    /// # Errors
    /// [`Error::Input`] for a folder that is not in the layout, a class without the photos a run needs, a recipe out of
    /// range, or where nothing is left to run.
    pub fn new(root: &Path, out: &Path, matrix: Matrix) -> Result<Self> {
        let classes = mvtec::read(root)?;
        let mut notes = Vec::new();
        let mut runs = runs(&matrix, &mut notes)?;
        if runs.is_empty() {
            return Err(Error::input(notes.join(" ")));
        }
        if let Some(class) = classes.iter().find(|class| class.train.is_empty())
            && runs.iter().any(|run| run.shots != Shots::Count(0))
        {
            return Err(Error::input(
                "The class has no reference photos. Put normal photos into `train/good`, or use `--shots 0`.",
            )
            .at(class.root.join("train").join("good")));
        }
        let most = runs.iter().filter_map(|run| if let Shots::Count(count) = run.shots { Some(count) } else { None });
        let most = most.max().unwrap_or(0) as usize;
        for class in classes.iter().filter(|class| class.train.len() < most) {
            notes.push(format!(
                "{} has {}; where more are asked for, all of them are used.",
                class.name,
                count(class.train.len(), "reference photo", "reference photos")
            ));
        }
        if let [run] = &mut runs[..] {
            out.clone_into(&mut run.folder);
        } else {
            let mut taken = HashSet::new();
            for run in &mut runs {
                let name = folder_name(run);
                let mut free = name.clone();
                let mut number = 2;
                while !taken.insert(free.to_lowercase()) {
                    free = format!("{name}-{number}");
                    number += 1;
                }
                run.folder = out.join(free);
            }
        }
        Ok(Self {
            classes,
            runs,
            protocol: matrix.protocol,
            object: matrix.object,
            out: out.to_owned(),
            save_maps: false,
            notes,
        })
    }

    /// The recipe of a run for one class: its object and its reference photos.
    pub fn recipe(&self, run: &RunPlan, class: &MvtecClass) -> Recipe {
        let count = match run.shots {
            Shots::Count(count) => count as usize,
            Shots::All => class.train.len(),
        };
        let recipe = Recipe {
            object: self.object.clone().unwrap_or_else(|| class.name.replace('_', " ")),
            references: choose(class.train.clone(), count, run.recipe.seed),
            ..run.recipe.clone()
        };
        recipe.among(class.test.iter().map(|photo| photo.path.clone()))
    }

    /// Test photos of all classes and runs.
    pub fn photos(&self) -> usize {
        self.runs.len() * self.classes.iter().map(|class| class.test.len()).sum::<usize>()
    }
}

/// Method, model and references in words.
pub(super) fn title(recipe: &Recipe, shots: Shots) -> String {
    let shots = match shots {
        Shots::Count(0) => "no references".to_owned(),
        Shots::Count(1) => "1 reference".to_owned(),
        Shots::Count(count) => format!("{count} references"),
        Shots::All => "all references".to_owned(),
    };
    format!("{} · {shots}", name(recipe, " · ", " + "))
}

fn runs(matrix: &Matrix, notes: &mut Vec<String>) -> Result<Vec<RunPlan>> {
    let models = or_base(&matrix.models, &matrix.base.model);
    let memory_models = or_base(&matrix.memory_models, &matrix.base.memory_model);
    let shots = or_base(&matrix.shots, &Shots::default());
    let seeds = or_base(&matrix.seeds, &matrix.base.seed);
    let methods: Vec<Option<Method>> =
        if matrix.methods.is_empty() { vec![None] } else { matrix.methods.iter().copied().map(Some).collect() };
    let mut runs: Vec<RunPlan> = Vec::new();
    let networks = models.iter().flat_map(|model| memory_models.iter().map(move |memory| (model, memory)));
    for (model, memory_model) in networks {
        for method in &methods {
            for shots in &shots {
                let mut recipe = Recipe { model: model.clone(), references: Vec::new(), ..matrix.base.clone() };
                if let Some(method) = method {
                    recipe.apply_method(*method);
                }
                // Test photos that are compared with each other are all there is, once.
                let mutual = recipe.comparison == Comparison::Mutual;
                let shots = if mutual { &Shots::Count(0) } else { shots };
                let none = *shots == Shots::Count(0);
                // Without references there is no memory, and its network has nothing to do.
                let memory_model = memory_model.clone().filter(|_| !none || mutual);
                if memory_model.is_none() {
                    (recipe.memory_layers, recipe.memory_input) = (None, None);
                }
                recipe.memory_model = memory_model;
                matrix.protocol.apply(&mut recipe);
                recipe.check()?;
                if none && recipe.method.needs_references() {
                    notes.push(format!(
                        "The method `{}` needs reference photos and is left out for 0 shots.",
                        recipe.method
                    ));
                    continue;
                }
                // Without references nothing is left to chance.
                for seed in seeds.iter().take(if none { 1 } else { seeds.len() }) {
                    let run = RunPlan {
                        recipe: Recipe { seed: *seed, ..recipe.clone() },
                        shots: *shots,
                        folder: PathBuf::new(),
                    };
                    if !runs.contains(&run) {
                        runs.push(run);
                    }
                }
            }
        }
    }
    notes.dedup();
    Ok(runs)
}

fn or_base<T: Clone>(list: &[T], base: &T) -> Vec<T> {
    if list.is_empty() { vec![base.clone()] } else { list.to_vec() }
}

/// The model's name in reports and folders.
fn model_name(model: &str) -> String {
    ModelSource::resolve(model).map_or_else(|_| model.to_owned(), |source| source.id())
}

/// Method, model and, where it is another one, the memory's model.
fn name(recipe: &Recipe, after_method: &str, between_models: &str) -> String {
    let memory = recipe.memory_model.as_deref().map(|model| format!("{between_models}{}", model_name(model)));
    format!("{}{after_method}{}{}", recipe.method, model_name(&recipe.model), memory.unwrap_or_default())
}

/// E.g. `fused_pocket_4-shot_seed-0`.
fn folder_name(run: &RunPlan) -> String {
    let seed = match run.shots {
        Shots::Count(0) => String::new(),
        _ => format!("_seed-{}", run.recipe.seed),
    };
    let name = format!("{}_{}-shot{seed}", name(&run.recipe, "_", "_"), run.shots);
    name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn tree(classes: &[(&str, usize)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (class, references) in classes {
            let file = |path: String| {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "").unwrap();
            };
            for i in 0..*references {
                file(format!("{class}/train/good/{i:03}.png"));
            }
            file(format!("{class}/test/good/000.png"));
            file(format!("{class}/test/crack/000.png"));
        }
        root
    }

    fn matrix() -> Matrix {
        Matrix {
            methods: vec![Method::Fused, Method::Memory],
            shots: vec![Shots::Count(0), Shots::Count(2), Shots::All],
            seeds: vec![5, 6],
            ..Matrix::default()
        }
    }

    #[test]
    fn combinations_become_runs_with_folders_of_their_own() {
        let root = tree(&[("ring", 5)]);
        let plan = Plan::new(root.path(), Path::new("out"), matrix()).unwrap();
        let names: Vec<_> = plan.runs.iter().map(|run| run.folder.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "fused_pocket_0-shot",
                "fused_pocket_2-shot_seed-5",
                "fused_pocket_2-shot_seed-6",
                "fused_pocket_all-shot_seed-5",
                "fused_pocket_all-shot_seed-6",
                "memory_pocket_2-shot_seed-5",
                "memory_pocket_2-shot_seed-6",
                "memory_pocket_all-shot_seed-5",
                "memory_pocket_all-shot_seed-6",
            ]
        );
        assert!(plan.notes[0].contains("`memory`"), "{:?}", plan.notes);
        let recipe = plan.recipe(&plan.runs[1], &plan.classes[0]);
        assert_eq!((recipe.references.len(), recipe.seed, recipe.object.as_str()), (2, 5, "ring"));
        assert_eq!(plan.recipe(&plan.runs[3], &plan.classes[0]).references.len(), 5);
    }

    #[test]
    fn a_memory_of_its_own_is_a_run_of_its_own_where_there_are_references() {
        let root = tree(&[("ring", 5)]);
        let matrix = Matrix {
            memory_models: vec![None, Some("org/dino".into())],
            shots: vec![Shots::Count(0), Shots::Count(2)],
            protocol: Protocol::Origin224,
            ..Matrix::default()
        };
        let plan = Plan::new(root.path(), Path::new("out"), matrix).unwrap();
        let titles: Vec<String> = plan.runs.iter().map(|run| title(&run.recipe, run.shots)).collect();
        assert_eq!(
            titles,
            [
                "fused · pocket · no references",
                "fused · pocket · 2 references",
                "fused · pocket + org/dino · 2 references"
            ]
        );
        assert_eq!(plan.runs[2].folder, Path::new("out/fused_pocket_org-dino_2-shot_seed-0"));
        let input = plan.runs[2].recipe.memory_input.unwrap();
        assert_eq!((input.short_side, input.keep_aspect), (Some(224), false), "both networks see the same");
        assert_eq!(plan.runs[1].recipe.memory_input, None);
    }

    #[test]
    fn photos_against_each_other_are_one_run_whose_references_are_the_test_photos() {
        let root = tree(&[("ring", 5)]);
        let matrix = Matrix { methods: vec![Method::Batch], ..matrix() };
        let plan = Plan::new(root.path(), Path::new("out"), matrix).unwrap();
        assert_eq!((plan.runs.len(), plan.runs[0].shots), (1, Shots::Count(0)));
        let test: Vec<_> = plan.classes[0].test.iter().map(|photo| photo.path.clone()).collect();
        assert_eq!(plan.recipe(&plan.runs[0], &plan.classes[0]).references, test);
    }

    #[test]
    fn one_run_writes_into_the_folder_itself() {
        let root = tree(&[("metal_nut", 3)]);
        let plan = Plan::new(root.path(), Path::new("out"), Matrix::default()).unwrap();
        assert_eq!((plan.runs.len(), plan.runs[0].folder.as_path()), (1, Path::new("out")));
        assert_eq!(plan.runs[0].shots, Shots::Count(4));
        assert!(plan.notes[0].contains("metal_nut has 3"), "{:?}", plan.notes);
        assert_eq!(plan.recipe(&plan.runs[0], &plan.classes[0]).object, "metal nut");
    }

    #[test]
    fn what_cannot_be_run_says_why() {
        let root = tree(&[("ring", 0)]);
        let say = |matrix| Plan::new(root.path(), Path::new("out"), matrix).unwrap_err().to_string();
        assert!(say(matrix()).contains("train/good"), "{}", say(matrix()));
        let memory = Matrix { methods: vec![Method::Memory], shots: vec![Shots::Count(0)], ..Matrix::default() };
        assert!(say(memory).contains("needs reference photos"));
        assert!(
            Plan::new(root.path(), Path::new("out"), Matrix { shots: vec![Shots::Count(0)], ..Matrix::default() })
                .is_ok()
        );
        assert!("four".parse::<Shots>().unwrap_err().to_string().contains("all"));
    }
}
