//! Names of result files: one stem per photo, equal stems from different folders told apart, so that no result ever
//! overwrites another.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// One stem per path, in order. A stem that is taken already gets its folder's name in front, and a number if that is
/// taken too. Compared without regard to case, because some file systems do not tell cases apart.
pub fn unique_stems(paths: &[PathBuf]) -> Vec<String> {
    // A name that one photo has by nature is never given to another by numbering.
    let natural: HashSet<String> = paths.iter().map(|path| stem(path).to_lowercase()).collect();
    let mut taken = HashSet::new();
    paths
        .iter()
        .map(|path| {
            let plain = stem(path);
            if taken.insert(plain.to_lowercase()) {
                return plain;
            }
            let mut free = |candidate: &str| {
                let key = candidate.to_lowercase();
                !natural.contains(&key) && taken.insert(key)
            };
            let folder = path.parent().and_then(Path::file_name).map(|name| clean(&name.to_string_lossy()));
            let base = folder.map_or_else(|| plain.clone(), |folder| format!("{folder}_{plain}"));
            if base != plain && free(&base) {
                return base;
            }
            let mut number = 2usize;
            loop {
                let candidate = format!("{base}_{number}");
                if free(&candidate) {
                    return candidate;
                }
                number += 1;
            }
        })
        .collect()
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| clean(&stem.to_string_lossy())).unwrap_or_default();
    if stem.is_empty() { "photo".to_owned() } else { stem }
}

/// Characters that some file system or shell trips over become `_`; at most 150 bytes are kept, because a suffix
/// follows and names end at 255 bytes.
fn clean(name: &str) -> String {
    let mut kept = String::new();
    for c in name.chars() {
        let c = if c.is_control() || "/\\:*?\"<>|\u{fffd}".contains(c) { '_' } else { c };
        if kept.len() + c.len_utf8() > 150 {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(paths: &[&str]) -> Vec<String> {
        unique_stems(&paths.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn equal_stems_take_their_folder_and_then_a_number() {
        assert_eq!(
            stems(&["good/000.png", "crack/000.png", "x/crack/000.png", "crack_000.png", "crack/000.jpg"]),
            ["000", "crack_000_2", "crack_000_3", "crack_000", "crack_000_4"]
        );
        assert_eq!(stems(&["a/1.png", "b/1.png"]), ["1", "b_1"]);
    }

    #[test]
    fn names_differ_on_file_systems_without_case_and_odd_characters_go() {
        assert_eq!(stems(&["A.png", "a.png"]), ["A", "a_2"]);
        assert_eq!(stems(&["x/a:b?.png"]), ["a_b_"]);
        let long = format!("{}.png", "ä".repeat(120));
        assert!(stems(&[&long])[0].len() <= 150);
    }

    #[test]
    fn a_thousand_equal_names_stay_a_thousand() {
        let paths: Vec<PathBuf> = (0..1000).map(|i| PathBuf::from(format!("{}/p.png", i % 7))).collect();
        let stems: HashSet<String> = unique_stems(&paths).into_iter().collect();
        assert_eq!(stems.len(), 1000);
    }
}
