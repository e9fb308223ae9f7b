//! Procedural datasets on disk and the MVTec-AD layout, written and read back; and the training that draws from them.
//! No other test here may draw random tensors: burn has one source of them for the whole process.

use std::path::Path;

use hairline::dataset::mvtec;
use hairline::dataset::synth::{SynthOptions, write_dataset};
use hairline::photo::Photo;
use hairline::train::pocket::{PocketOptions, run};

fn small(out: &Path) -> SynthOptions {
    SynthOptions {
        out: out.to_owned(),
        seed: 4,
        classes: 2,
        train: 2,
        good: 2,
        defective: 5,
        size: 48,
        ..SynthOptions::default()
    }
}

#[test]
fn a_written_dataset_reads_back_with_a_mask_per_defect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut last = (0, 0);
    let summary = write_dataset(&small(folder.path()), |done, total| {
        last = (done, total);
        true
    })
    .expect("writes");
    assert_eq!((summary.classes, summary.photos, summary.masks, last), (2, 18, 10, (18, 18)));
    let classes = mvtec::read(folder.path()).expect("reads");
    assert_eq!(classes.len(), 2);
    for class in &classes {
        assert_eq!((class.train.len(), class.test.len()), (2, 7));
        for photo in &class.test {
            assert_eq!(photo.anomalous(), photo.mask.is_some(), "{}", photo.path.display());
            let pixels = Photo::open(&photo.path).expect("opens").pixels;
            assert_eq!(pixels.dimensions(), (48, 48));
            if let Some(path) = &photo.mask {
                let mask = Photo::open(path).expect("opens").pixels;
                assert!(mask.pixels().all(|p| p.0[0] == 0 || p.0[0] == 255));
                assert!(mask.pixels().filter(|p| p.0[0] == 255).count() >= 6);
            }
        }
    }
    // One class alone is a root too.
    assert_eq!(mvtec::read(&classes[0].root).expect("reads"), vec![classes[0].clone()]);
}

#[test]
fn equal_seeds_give_equal_files_and_other_seeds_others() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a temporary folder")).collect();
    for (folder, seed) in folders.iter().zip([4, 4, 5]) {
        let options = SynthOptions { seed, classes: 1, ..small(folder.path()) };
        write_dataset(&options, |_, _| true).expect("writes");
    }
    let first = |folder: &tempfile::TempDir| {
        let class = mvtec::read(folder.path()).expect("reads").remove(0);
        std::fs::read(&class.train[0]).expect("reads")
    };
    assert_eq!(first(&folders[0]), first(&folders[1]));
    assert_ne!(first(&folders[0]), first(&folders[2]));
}

#[test]
fn bad_sizes_and_a_stop_are_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tiny = SynthOptions { size: 8, ..small(folder.path()) };
    assert!(write_dataset(&tiny, |_, _| true).expect_err("refused").to_string().contains("8 px"));
    let none = SynthOptions { classes: 0, ..small(folder.path()) };
    assert!(write_dataset(&none, |_, _| true).is_err());
    let stopped = write_dataset(&small(folder.path()), |done, _| done < 3).expect_err("stopped");
    assert!(matches!(stopped, hairline::Error::Cancelled));
}

#[test]
fn a_folder_of_another_layout_and_a_missing_mask_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let message = mvtec::read(folder.path()).expect_err("no class").to_string();
    assert!(message.contains("train/good") && message.contains(&folder.path().display().to_string()), "{message}");

    write_dataset(&SynthOptions { classes: 1, ..small(folder.path()) }, |_, _| true).expect("writes");
    let class = mvtec::read(folder.path()).expect("reads").remove(0);
    let mask = class.test.iter().find_map(|photo| photo.mask.clone()).expect("a mask");
    std::fs::remove_file(&mask).expect("removed");
    let message = mvtec::read(folder.path()).expect_err("a mask is missing").to_string();
    assert!(message.contains(&mask.file_name().expect("a name").to_string_lossy().into_owned()), "{message}");

    // Without any masks the photos are still there.
    std::fs::remove_dir_all(class.root.join("ground_truth")).expect("removed");
    let class = mvtec::read(folder.path()).expect("reads").remove(0);
    assert!(class.test.iter().all(|photo| photo.mask.is_none()) && class.test.len() == 7);
}

#[test]
fn a_training_is_decided_by_its_seed_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trained = |name: &str, seed: u64, stops: &[Option<usize>]| {
        let out = folder.path().join(name);
        for &stop_after in stops {
            let work = out.join("work");
            let options = PocketOptions {
                out: out.clone(),
                work,
                seed,
                steps: 8,
                first_steps: 5,
                stop_after,
                ..PocketOptions::default()
            };
            let options = PocketOptions { products: 2, crop: 32, save_every: 100, ..options };
            run(&options, |_| ()).expect("trains");
        }
        let log = std::fs::read_to_string(out.join("work/losses.csv")).expect("a log");
        assert_eq!(log.lines().count(), 9, "{log}");
        std::fs::read(out.join("model.safetensors")).expect("a model")
    };
    let whole = trained("whole", 5, &[None]);
    assert!(whole == trained("again", 5, &[None]), "the same seed gives the same weights");
    let stops = [Some(4), Some(6), None];
    assert!(whole == trained("in parts", 5, &stops), "a run that was stopped in either plan gives the same weights");
    assert!(whole != trained("other", 6, &[None]), "another seed gives others");
}
