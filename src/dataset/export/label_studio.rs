//! Label Studio's tasks with predictions (labelstud.io, "Import pre-annotated data"): `label_studio/tasks.json` for import,
//! and `label_config.xml` for the project's labelling interface. Photos are served by its local file storage, whose root
//! has to hold them (`LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=/` holds all).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ExportPhoto, ExportSet};
use crate::Result;
use crate::report::{create_folder, write_file, write_json};

pub(super) fn write(set: &ExportSet, out: &Path) -> Result<Vec<PathBuf>> {
    let dir = out.join("label_studio");
    create_folder(&dir)?;
    let tasks: Vec<Value> = set.photos.iter().map(|photo| task(set, photo)).collect();
    Ok(vec![
        write_json(&dir.join("tasks.json"), &tasks)?,
        write_file(&dir.join("label_config.xml"), |out| out.write_all(interface(set).as_bytes()))?,
    ])
}

fn task(set: &ExportSet, photo: &ExportPhoto) -> Value {
    let choice = |label: usize, id: &str| {
        json!({
            "id": id, "type": "choices", "from_name": "label", "to_name": "image",
            "value": {"choices": [set.labels[label]]},
        })
    };
    let mut result = Vec::new();
    if let Some((label, score)) = photo.prediction {
        let mut choice = choice(label, "label");
        choice["score"] = json!(score);
        result.push(choice);
    }
    for (at, region) in photo.regions.iter().enumerate() {
        let percent = |pixels: u32, side: u32| 100.0 * f64::from(pixels) / f64::from(side.max(1));
        result.push(json!({
            "id": format!("region-{}", at + 1), "type": "rectanglelabels", "from_name": "regions", "to_name": "image",
            "original_width": photo.width, "original_height": photo.height, "image_rotation": 0,
            "value": {
                "x": percent(region.x, photo.width), "y": percent(region.y, photo.height),
                "width": percent(region.width, photo.width), "height": percent(region.height, photo.height),
                "rotation": 0, "rectanglelabels": [set.labels[region.label]],
            },
            "score": region.score,
        }));
    }
    let mut task = json!({"data": {"image": address(&photo.path)}});
    if !result.is_empty() {
        let score = photo.prediction.map_or(0.0, |(_, score)| score);
        task["predictions"] = json!([{"model_version": set.made_by, "score": score, "result": result}]);
    }
    if let Some(label) = photo.truth {
        task["annotations"] = json!([{"ground_truth": true, "result": [choice(label, "truth")]}]);
    }
    task
}

/// The address under which local file storage serves a photo, every byte that is special in a URL escaped.
fn address(path: &Path) -> String {
    let name = path.to_string_lossy().replace('\\', "/");
    let mut address = String::from("/data/local-files/?d=");
    for byte in name.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

fn interface(set: &ExportSet) -> String {
    let escaped =
        |label: &str| label.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut text = String::from("<View>\n  <Image name=\"image\" value=\"$image\"/>\n");
    let mut list = |tag: &str, name: &str, item: &str| {
        let _ = writeln!(text, "  <{tag} name=\"{name}\" toName=\"image\">");
        for label in &set.labels {
            let _ = writeln!(text, "    <{item} value=\"{}\"/>", escaped(label));
        }
        let _ = writeln!(text, "  </{tag}>");
    };
    list("Choices", "label", "Choice");
    if set.has_regions() {
        list("RectangleLabels", "regions", "Label");
    }
    text.push_str("</View>\n");
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde_json::json;

    use crate::dataset::export::testing::{read, set};

    #[test]
    fn tasks_refer_to_the_names_of_the_interface() {
        let dir = tempfile::tempdir().unwrap();
        let files = super::write(&set(), dir.path()).unwrap();
        let tasks = read(&files[0]);
        assert_eq!(tasks[0]["predictions"][0]["result"][0]["value"], json!({"choices": ["crack"]}));
        assert_eq!(tasks[0]["annotations"][0]["result"][0]["value"], json!({"choices": ["good"]}));
        assert_eq!(tasks[1], json!({"data": {"image": "/data/local-files/?d=photos/%C3%A4%20b.png"}}));
        let region = &tasks[2]["predictions"][0]["result"][1];
        assert_eq!(region["value"]["width"], 25.0);
        let interface = std::fs::read_to_string(&files[1]).unwrap();
        for name in [&tasks[0]["predictions"][0]["result"][0], region] {
            assert!(interface.contains(&format!("name={}", name["from_name"])), "{interface}");
        }
        assert!(interface.contains("<Choice value=\"crack\"/>"), "{interface}");
    }
}
