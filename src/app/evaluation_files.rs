//! The evaluation as files: matrix as picture and table, every photo, figures, and a report in words.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::ImageFormat;
use serde_json::json;

use super::evaluation::{Evaluation, Row, VERDICTS};
use super::photo_list::Agreement;
use super::state::State;
use crate::anomaly::Verdict;
use crate::report::{CellKind, MatrixPicture, ModelIdentity, create_folder, utc, write_file};
use crate::{Error, Recipe, Result};

/// Everything that the files are made of.
#[derive(Debug)]
pub struct EvaluationFiles {
    evaluation: Arc<Evaluation>,
    photos: Vec<Judged>,
    recipe: Recipe,
    model: ModelIdentity,
}

/// One photo with label and verdict.
#[derive(Debug)]
struct Judged {
    path: PathBuf,
    truth: String,
    verdict: Verdict,
    agreement: Agreement,
    image_score: f32,
    normalised_score: f32,
}

impl EvaluationFiles {
    /// Takes what there is now.
    pub fn new(evaluation: Arc<Evaluation>, state: &State) -> Self {
        let classes = state.photos.classes();
        let photos = state.photos.iter().filter_map(|entry| {
            let inspection = entry.inspection()?;
            Some(Judged {
                path: entry.path.clone(),
                truth: entry.label.as_ref()?.to_string(),
                verdict: inspection.verdict,
                agreement: entry.agreement(classes)?,
                image_score: inspection.image_score,
                normalised_score: inspection.normalised_score,
            })
        });
        let model = state.engine.model.as_ref();
        Self {
            photos: photos.collect(),
            recipe: state.recipe.clone(),
            model: ModelIdentity {
                id: model.map_or_else(|| state.recipe.model.clone(), |model| model.id.clone()),
                sha256: model.map_or_else(String::new, |model| model.sha256.clone()),
            },
            evaluation,
        }
    }

    /// Writes `confusion.png`, `confusion.csv`, `verdicts.csv`, `metrics.json` and `report.txt`; returns the folder.
    ///
    /// # Errors
    /// [`Error::Io`] naming what cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        create_folder(folder)?;
        let picture = self.picture().draw();
        let mut png = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut png, ImageFormat::Png)
            .map_err(|e| Error::bug(format!("the matrix cannot be encoded as PNG ({e}).")))?;
        write_file(&folder.join("confusion.png"), |out| out.write_all(png.get_ref()))?;
        write_file(&folder.join("confusion.csv"), |out| self.matrix_table(out))?;
        write_file(&folder.join("verdicts.csv"), |out| self.photo_table(out))?;
        let figures = serde_json::to_string_pretty(&self.figures())
            .map_err(|e| Error::bug(format!("the figures cannot be written as JSON ({e}).")))?;
        write_file(&folder.join("metrics.json"), |out| writeln!(out, "{figures}"))?;
        let report = self.report(&utc(std::time::SystemTime::now()));
        write_file(&folder.join("report.txt"), |out| out.write_all(report.as_bytes()))?;
        Ok(folder.to_owned())
    }

    fn rows(&self) -> &[Row] {
        self.evaluation.rows(false)
    }

    fn picture(&self) -> MatrixPicture {
        let kind = |row: &Row, verdict: Verdict| match Agreement::of(verdict, row.normal) {
            Agreement::Right => CellKind::Right,
            Agreement::Open => CellKind::Open,
            Agreement::FalseAlarm | Agreement::Miss => CellKind::Wrong,
        };
        MatrixPicture {
            title: format!("Verdicts on {} labelled photos", self.evaluation.judged()),
            axes: ["truly".to_owned(), "verdict".to_owned()],
            rows: self.rows().iter().map(|row| row.name.clone()).collect(),
            columns: VERDICTS.iter().map(|verdict| verdict.word().to_owned()).collect(),
            counts: self.rows().iter().map(|row| VERDICTS.map(|verdict| row.count(verdict)).into()).collect(),
            kinds: self.rows().iter().map(|row| VERDICTS.map(|verdict| kind(row, verdict)).into()).collect(),
        }
    }

    fn matrix_table(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let mut table = csv::Writer::from_writer(out);
        table.write_field("truth")?;
        table.write_record(VERDICTS.map(Verdict::name))?;
        for row in self.rows() {
            table.write_field(&row.name)?;
            table.write_record(VERDICTS.map(|verdict| row.count(verdict).to_string()))?;
        }
        table.flush()
    }

    fn photo_table(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let mut table = csv::Writer::from_writer(out);
        table.write_record(["path", "truth", "verdict", "agreement", "image_score", "normalised_score"])?;
        for photo in &self.photos {
            table.write_record([
                photo.path.to_string_lossy().as_ref(),
                &photo.truth,
                photo.verdict.name(),
                photo.agreement.word(),
                &photo.image_score.to_string(),
                &photo.normalised_score.to_string(),
            ])?;
        }
        table.flush()
    }

    fn figures(&self) -> serde_json::Value {
        let curves = self.evaluation.curves.as_ref();
        let rows: Vec<_> = self
            .rows()
            .iter()
            .map(|row| {
                let count = |verdict| row.count(verdict);
                json!({ "truth": row.name, "normal": row.normal, "ok": count(Verdict::Ok),
                    "uncertain": count(Verdict::Uncertain), "ng": count(Verdict::Ng) })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "recipe": self.recipe,
            "model": self.model,
            "n": self.evaluation.judged(),
            "accuracy": self.evaluation.report.accuracy,
            "macro_f1": self.evaluation.report.macro_average.f1,
            "per_class": self.evaluation.report.per_class,
            "image_auroc": curves.and_then(|curves| curves.figures.auroc),
            "image_ap": curves.and_then(|curves| curves.figures.ap),
            "image_f1_max": curves.and_then(|curves| curves.figures.f1_max).map(|f1| f1.value),
            "image_threshold": curves.map(|curves| curves.threshold),
            "verdicts": rows,
        })
    }

    fn report(&self, time: &str) -> String {
        let mut text = format!("Hairline evaluation\n{time}\n\n");
        let hash = self.model.sha256.get(..16).unwrap_or(&self.model.sha256);
        let _ = writeln!(text, "Model       {} {hash}", self.model.id);
        let _ = writeln!(text, "Method      {}", self.recipe.method);
        let _ = writeln!(text, "Object      {}", self.recipe.object);
        let _ = writeln!(text, "References  {}", self.recipe.references.len());
        if let Some(curves) = &self.evaluation.curves {
            let figure = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
            let _ = writeln!(text, "Threshold   {:.4}", curves.threshold);
            let _ = writeln!(text, "AUROC       {}", figure(curves.figures.auroc));
            let _ = writeln!(text, "AP          {}", figure(curves.figures.ap));
        }
        let width = self.rows().iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(5);
        let _ = writeln!(text, "\n{:>width$}  {:>9}  {:>9}  {:>9}", "truly", "OK", "uncertain", "NG");
        for row in self.rows() {
            let [ok, uncertain, ng] = VERDICTS.map(|verdict| row.count(verdict));
            let _ = writeln!(text, "{:>width$}  {ok:>9}  {uncertain:>9}  {ng:>9}", row.name);
        }
        let _ = writeln!(text, "\n{}", self.evaluation.report.to_text());
        let mut wrong = self
            .photos
            .iter()
            .filter(|photo| matches!(photo.agreement, Agreement::FalseAlarm | Agreement::Miss))
            .peekable();
        if wrong.peek().is_some() {
            let _ = writeln!(text, "Mistakes");
            for photo in wrong {
                let _ = writeln!(text, "  {:<12}{:<16}{}", photo.agreement.word(), photo.truth, photo.path.display());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::photo_list::Outcome;
    use crate::app::testing::inspection;

    #[test]
    fn everything_is_written_and_says_the_same() {
        let mut state = State::default();
        state.add_photos(vec!["a.png".into(), "b.png".into(), "c.png".into()]);
        for (id, score, verdict, label) in
            [(0, 1.0, Verdict::Ok, "good"), (1, 8.0, Verdict::Ng, "defect"), (2, 2.0, Verdict::Ok, "defect")]
        {
            state.photos.set_outcome(id, Outcome::Inspected(Arc::new(inspection("x.png", score, verdict))));
            state.label_photo(id, Some(label.into()));
        }
        let evaluation = Arc::new(Evaluation::of(&state.photos).expect("counts"));
        let dir = tempfile::tempdir().expect("a temporary folder");
        EvaluationFiles::new(evaluation, &state).write(dir.path()).expect("writes");
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("a file");
        assert_eq!(read("confusion.csv"), "truth,ok,uncertain,ng\ngood,1,0,0\ndefect,1,0,1\n");
        assert!(read("verdicts.csv").contains("c.png,defect,ok,miss,2,"));
        let figures: serde_json::Value = serde_json::from_str(&read("metrics.json")).expect("JSON");
        assert_eq!(figures["n"], 3);
        assert_eq!(figures["image_auroc"], 1.0);
        let report = read("report.txt");
        assert!(report.contains("miss        defect          c.png") && report.contains("accuracy"), "{report}");
        assert!(image::open(dir.path().join("confusion.png")).is_ok());
    }
}
