//! `results.csv`: one row per photo and per failure, for spreadsheets. The JSON document has everything; this has what
//! one sorts and filters by.

use std::io::Write;

use super::Run;

const HEADER: [&str; 22] = [
    "path",
    "verdict",
    "normalised_score",
    "image_score",
    "image_threshold",
    "p_value",
    "regions",
    "x",
    "y",
    "width",
    "height",
    "confidence",
    "severity",
    "location",
    "description",
    "blur_score",
    "brightness_score",
    "quality_passed",
    "quality_reason",
    "photo_width",
    "photo_height",
    "error",
];

/// Writes the table. The columns `x` to `description` are those of the strongest region, empty without one.
pub fn write(run: &Run, out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(HEADER)?;
    for photo in &run.photos {
        let inspection = &photo.inspection;
        let strongest = inspection.regions.first();
        let of_region = |value: fn(&crate::anomaly::Region) -> String| strongest.map(value).unwrap_or_default();
        table.write_record([
            inspection.photo.path.to_string_lossy().into_owned(),
            inspection.verdict.name().to_owned(),
            inspection.normalised_score.to_string(),
            inspection.image_score.to_string(),
            inspection.image_threshold.to_string(),
            inspection.p_value.map(|p| p.to_string()).unwrap_or_default(),
            inspection.regions.len().to_string(),
            of_region(|r| r.x.to_string()),
            of_region(|r| r.y.to_string()),
            of_region(|r| r.width.to_string()),
            of_region(|r| r.height.to_string()),
            of_region(|r| r.confidence.to_string()),
            of_region(|r| r.severity.name().to_owned()),
            of_region(|r| r.location.clone()),
            of_region(|r| r.description.clone()),
            inspection.photo.quality.blur_score.to_string(),
            inspection.photo.quality.brightness_score.to_string(),
            inspection.quality.passed.to_string(),
            inspection.quality.reason.clone(),
            inspection.photo.width.to_string(),
            inspection.photo.height.to_string(),
            String::new(),
        ])?;
    }
    for (path, error) in &run.failures {
        let mut row = [const { String::new() }; HEADER.len()];
        row[0] = path.to_string_lossy().into_owned();
        row[1] = String::from("failed");
        row[HEADER.len() - 1] = error.to_string();
        table.write_record(row)?;
    }
    table.flush()
}
