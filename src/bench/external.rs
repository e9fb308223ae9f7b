//! The same figures from files that other programs made: a table of scores, and anomaly maps with masks. Everything is
//! checked by name, file and line before it counts.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageReader};
use rayon::prelude::*;
use serde::Serialize;

use super::ScoredMap;
use crate::dataset::mask::read_mask;
use crate::metrics::{Figures, PixelPool, Ranking, measure};
use crate::{Error, Result};

/// Maps read at the same time; bounds the memory beside the pool.
const BATCH: usize = 16;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct External<'a> {
    /// CSV with the columns `path`, `label` (`normal` or `anomalous`) and `score`.
    pub scores: &'a Path,
    /// Folder of maps `<stem>_map.npy` or `.png`, and folder of masks `<stem>_mask.png`.
    pub maps: Option<(&'a Path, &'a Path)>,
}

/// The figures, with the keys of `hairline metrics --json`. Fractions 0–1; `null` where the data has no such figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ExternalFigures {
    pub image_auroc: Option<f64>,
    pub image_ap: Option<f64>,
    pub image_f1_max: Option<f64>,
    pub pixel_auroc: Option<f64>,
    pub pixel_ap: Option<f64>,
    pub pixel_f1_max: Option<f64>,
    pub aupro: Option<f64>,
    /// Score at which `image_f1_max` is reached.
    pub image_f1_threshold: Option<f64>,
    /// Value of the maps at which `pixel_f1_max` is reached; of PNG maps a fraction of white.
    pub pixel_f1_threshold: Option<f64>,
    pub n_test: usize,
    pub n_anomalous: usize,
    /// Connected defects in the masks.
    pub n_regions: usize,
    /// Anomalous photos without a mask, whose pixels counted as normal.
    pub n_unmasked: usize,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    path: PathBuf,
    anomalous: bool,
    score: f64,
    /// Line of the file, for messages.
    line: u64,
}

/// Measures. `progress(done, total)` counts maps and returns false to stop.
///
/// # Errors
/// [`Error::Input`] naming file and line: a missing column, an unknown label, a score that is no finite number, a map that
/// is missing, of another size than its mask, or holds something else than finite numbers. [`Error::Cancelled`] when
/// `progress` said stop.
pub fn measure_files(files: External<'_>, mut progress: impl FnMut(usize, usize) -> bool) -> Result<ExternalFigures> {
    let rows = read_rows(files.scores)?;
    let (image, _) = measure(&Ranking::labelled(rows.iter().map(|row| (row.score, row.anomalous))));
    let mut figures = ExternalFigures {
        image_auroc: image.auroc,
        image_ap: image.ap,
        image_f1_max: image.f1_max.map(|best| best.value),
        image_f1_threshold: image.f1_max.map(|best| best.threshold),
        n_test: rows.len(),
        n_anomalous: rows.iter().filter(|row| row.anomalous).count(),
        ..ExternalFigures::default()
    };
    let Some((maps, masks)) = files.maps else { return Ok(figures) };
    let pixel = measure_pixels(&rows, files.scores, maps, masks, &mut figures, &mut progress)?;
    figures.pixel_auroc = pixel.auroc;
    figures.pixel_ap = pixel.ap;
    figures.pixel_f1_max = pixel.f1_max.map(|best| best.value);
    figures.pixel_f1_threshold = pixel.f1_max.map(|best| best.threshold);
    figures.aupro = pixel.aupro;
    Ok(figures)
}

fn measure_pixels(
    rows: &[Row],
    table: &Path,
    maps: &Path,
    masks: &Path,
    figures: &mut ExternalFigures,
    progress: &mut impl FnMut(usize, usize) -> bool,
) -> Result<Figures> {
    for folder in [maps, masks] {
        if !folder.is_dir() {
            return Err(Error::input("There is no such folder. Check the spelling of the path.").at(folder));
        }
    }
    let mut used = HashSet::new();
    let mut pairs = Vec::with_capacity(rows.len());
    for row in rows {
        let map = locate(maps, &row.path, &["_map.npy", "_map.png"]).ok_or_else(|| {
            let stem = row.path.file_stem().unwrap_or_default().to_string_lossy();
            Error::input(format!(
                "Line {} of {}: there is no map {stem}_map.npy or {stem}_map.png for {}. Add it, or leave the row out.",
                row.line,
                table.display(),
                row.path.display()
            ))
            .at(maps)
        })?;
        if !used.insert(map.clone()) {
            return Err(Error::input(format!(
                "Line {} of {}: {} has the same map as an earlier row. Put maps of equal names into folders named as \
                 those of the photos.",
                row.line,
                table.display(),
                row.path.display()
            ))
            .at(map));
        }
        pairs.push((row, map, locate(masks, &row.path, &["_mask.png"])));
    }
    let mut pool = PixelPool::default();
    let mut done = 0;
    for batch in pairs.chunks(BATCH) {
        let read: Vec<Result<(ScoredMap, Option<GrayImage>)>> = batch
            .par_iter()
            .map(|(_, map, mask)| Ok((read_map(map)?, mask.as_deref().map(read_mask).transpose()?)))
            .collect();
        for ((row, path, mask_path), read) in batch.iter().zip(read) {
            let (map, mask) = read?;
            match (&mask, mask_path) {
                (Some(mask), Some(mask_path)) => {
                    if !row.anomalous && mask.iter().any(|pixel| *pixel > 0) {
                        return Err(Error::input(format!(
                            "Line {} of {}: the photo is labelled normal, but its mask shows a defect. Correct one of the \
                             two.",
                            row.line,
                            table.display()
                        ))
                        .at(mask_path));
                    }
                    if mask.dimensions() != (map.width, map.height) {
                        return Err(Error::input(format!(
                            "The mask has {} × {} pixels, the map {} has {} × {}. Both must have the same size.",
                            mask.width(),
                            mask.height(),
                            path.display(),
                            map.width,
                            map.height
                        ))
                        .at(mask_path));
                    }
                }
                _ => figures.n_unmasked += usize::from(row.anomalous),
            }
            pool.add(&map.scores, map.width, map.height, mask.as_ref()).map_err(|e| e.at(path))?;
            done += 1;
        }
        if !progress(done, rows.len()) {
            return Err(Error::Cancelled);
        }
    }
    let ranking = pool.ranking();
    figures.n_regions = ranking.parts();
    Ok(measure(&ranking).0)
}

fn read_rows(path: &Path) -> Result<Vec<Row>> {
    let failed = |e: &csv::Error| Error::input(format!("The scores cannot be read: {e}. Correct the table.")).at(path);
    let file = std::fs::File::open(path).map_err(|e| Error::io("Cannot read the scores", path, &e))?;
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(std::io::BufReader::new(file));
    let header = table.headers().map_err(|e| failed(&e))?.clone();
    let column = |name: &str| {
        // Spreadsheets put a byte-order mark before the first heading.
        header.iter().position(|heading| heading.trim_start_matches('\u{feff}') == name).ok_or_else(|| {
            let found: Vec<&str> = header.iter().collect();
            Error::input(format!(
                "Line 1 lacks the column `{name}`; it has: {}. The columns path, label and score are needed.",
                found.join(", ")
            ))
            .at(path)
        })
    };
    let (path_at, label_at, score_at) = (column("path")?, column("label")?, column("score")?);
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    for record in table.records() {
        let record = record.map_err(|e| failed(&e))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |what: String| Error::input(format!("Line {line}: {what}")).at(path);
        let field = |at: usize| record.get(at).unwrap_or_default();
        let anomalous = match field(label_at) {
            "normal" => false,
            "anomalous" => true,
            other => return Err(wrong(format!("the label is `{other}`. Use `normal` or `anomalous`."))),
        };
        let score = field(score_at).parse().ok().filter(|score: &f64| score.is_finite()).ok_or_else(|| {
            wrong(format!("the score is `{}`, no finite number. Correct it, or leave the row out.", field(score_at)))
        })?;
        let photo = PathBuf::from(field(path_at));
        if photo.file_stem().is_none() {
            return Err(wrong(format!("`{}` names no photo. Correct the path.", field(path_at))));
        }
        if !seen.insert(photo.clone()) {
            return Err(wrong(format!("{} is listed twice. Leave one of the rows out.", photo.display())));
        }
        rows.push(Row { path: photo, anomalous, score, line });
    }
    if rows.is_empty() {
        return Err(Error::input("The table of scores has no row. Give one per photo.").at(path));
    }
    Ok(rows)
}

/// The file `<stem><ending>` of a photo in `folder`: in sub-folders named as the photo's own if there are such, the longest
/// first, else in `folder` itself.
fn locate(folder: &Path, photo: &Path, endings: &[&str]) -> Option<PathBuf> {
    let stem = photo.file_stem()?.to_string_lossy();
    let parents: Vec<_> = photo.parent().into_iter().flat_map(Path::components).collect();
    (0..=parents.len()).find_map(|skipped| {
        let below: PathBuf = parents[skipped..].iter().filter_map(|part| normal(*part)).collect();
        let place = folder.join(below);
        endings.iter().map(|ending| place.join(format!("{stem}{ending}"))).find(|path| path.is_file())
    })
}

/// A named folder; roots and dots are no names.
fn normal(part: std::path::Component<'_>) -> Option<&std::ffi::OsStr> {
    if let std::path::Component::Normal(name) = part { Some(name) } else { None }
}

/// Reads a map: a NumPy file of float32 or float64 (rounded to float32) `[height, width]`, or a grey PNG of 8 or 16 bit as
/// fractions of white.
fn read_map(path: &Path) -> Result<ScoredMap> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        read_npy(path)
    } else {
        read_grey(path)
    }
}

fn read_npy(path: &Path) -> Result<ScoredMap> {
    let failed = |e: std::io::Error| Error::input(format!("The map cannot be read: {e}. Write it again.")).at(path);
    let file = std::fs::File::open(path).map_err(|e| Error::io("Cannot read the map", path, &e))?;
    let npy = npyz::NpyFile::new(std::io::BufReader::with_capacity(1 << 20, file)).map_err(failed)?;
    let shape: Vec<u64> = npy.shape().to_vec();
    let leading = shape.iter().take_while(|side| **side == 1).count().min(shape.len().saturating_sub(2));
    let &[height, width] = &shape[leading..] else {
        return Err(Error::input(format!("The map has the shape {shape:?}; [height, width] is needed.")).at(path));
    };
    let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(Error::input(format!("The map has the shape {shape:?}, which is too large.")).at(path));
    };
    let by_columns = npy.order() == npyz::Order::Fortran;
    let kind = npy.dtype().descr();
    let scores: Vec<f32> = match npy.try_data::<f32>() {
        Ok(data) => data.collect::<std::io::Result<_>>().map_err(failed)?,
        Err(npy) => match npy.try_data::<f64>() {
            Ok(data) => {
                data.map(|score| score.map(|score| score as f32)).collect::<std::io::Result<_>>().map_err(failed)?
            }
            Err(_) => {
                return Err(
                    Error::input(format!("The map has numbers of the type {kind}; float32 is needed.")).at(path)
                );
            }
        },
    };
    let scores = if by_columns {
        let (width, height) = (width as usize, height as usize);
        (0..width * height).map(|at| scores[at % width * height + at / width]).collect()
    } else {
        scores
    };
    Ok(ScoredMap { width, height, scores })
}

fn read_grey(path: &Path) -> Result<ScoredMap> {
    let failed = |e: std::io::Error| Error::io("Cannot read the map", path, &e);
    let reader = ImageReader::open(path).map_err(failed)?.with_guessed_format().map_err(failed)?;
    let picture = reader
        .decode()
        .map_err(|e| Error::input(format!("The map cannot be decoded: {e}. Write it again.")).at(path))?;
    let (width, height) = (picture.width(), picture.height());
    let scores = match picture {
        DynamicImage::ImageLuma8(grey) => grey.iter().map(|value| f32::from(*value) / 255.0).collect(),
        DynamicImage::ImageLuma16(grey) => grey.iter().map(|value| f32::from(*value) / 65535.0).collect(),
        _ => {
            return Err(Error::input(
                "The map is a colour picture, from which scores cannot be read. Write raw scores as `_map.npy`, or as grey \
                 PNG.",
            )
            .at(path));
        }
    };
    Ok(ScoredMap { width, height, scores })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn files_are_found_by_the_folders_of_their_photo() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        ["crack/000_map.npy", "ring/crack/000_map.npy", "001_map.png"].into_iter().for_each(write);
        let found = |photo: &str| {
            let path = locate(dir.path(), Path::new(photo), &["_map.npy", "_map.png"])?;
            Some(path.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/"))
        };
        assert_eq!(found("/data/ring/crack/000.png").unwrap(), "ring/crack/000_map.npy");
        assert_eq!(found("../nut/crack/000.png").unwrap(), "crack/000_map.npy");
        assert_eq!(found("good/001.png").unwrap(), "001_map.png");
        assert_eq!(found("good/000.png"), None);
    }

    #[test]
    fn numpy_files_of_either_order_and_width_are_read() {
        use npyz::WriterBuilder as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a_map.npy");
        let options = || npyz::WriteOptions::<f64>::new().default_dtype().shape(&[2, 3]);
        for (order, values) in
            [(npyz::Order::C, [1., 2., 3., 4., 5., 6.]), (npyz::Order::Fortran, [1., 4., 2., 5., 3., 6.])]
        {
            let mut npy = options().order(order).writer(std::fs::File::create(&path).unwrap()).begin_nd().unwrap();
            npy.extend(values).unwrap();
            npy.finish().unwrap();
            let map = read_map(&path).unwrap();
            assert_eq!((map.width, map.height, map.scores), (3, 2, vec![1., 2., 3., 4., 5., 6.]));
        }
        let flat = npyz::WriteOptions::<i32>::new().default_dtype().shape(&[1, 2]);
        let mut npy = flat.writer(std::fs::File::create(&path).unwrap()).begin_nd().unwrap();
        npy.extend([1, 2]).unwrap();
        npy.finish().unwrap();
        assert!(read_map(&path).unwrap_err().to_string().contains("float32"));
    }
}
