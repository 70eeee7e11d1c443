//! Every input of the fuzzers' corpus, through its target, in a moment: what was once found stays
//! found; and some thousands of inputs near them. Looking for new ones in earnest is `cargo xtask
//! fuzz`; `docs/reliability.md` says more.

mod mutations;
mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, panic};

use fastrand::Rng;

use targets::{TARGETS, Target};

/// Set to write the seeds instead of comparing them, after a format has changed on purpose.
const WRITE_SEEDS: &str = "ABIDE_WRITE_SEEDS";
/// All of the corpus: it is part of the repository.
const CORPUS_SIZE_MAX_BYTES: u64 = 300 * 1024;

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz"))
}

fn corpus(target: &Target) -> PathBuf {
    here().join("corpus").join(target.name)
}

fn inputs(target: &Target) -> Vec<PathBuf> {
    let folder = corpus(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_of_the_corpus_keeps_every_promise() {
    for target in &TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() >= 5, "{} has hardly a corpus", target.name);
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            // Said before, because some failures end the process.
            println!("{}", input.display());
            (target.run)(&bytes);
        }
    }
}

/// Times [`MUTATIONS`]; 1 in every test run, so that it stays within seconds.
const ROUNDS: &str = "ABIDE_FUZZ_ROUNDS";
/// Inputs made for each target in one round.
const MUTATIONS: u64 = 3_000;

#[test]
fn inputs_near_the_corpus_keep_every_promise() {
    let rounds: u64 = env::var(ROUNDS).map_or(1, |rounds| rounds.parse().unwrap());
    for target in &TARGETS {
        let read = |path| fs::read(path).unwrap();
        let corpus: Vec<_> = inputs(target).into_iter().map(read).collect();
        for seed in 0..rounds * MUTATIONS {
            let input = mutations::mutate(&mut Rng::with_seed(seed), &corpus);
            let failed = panic::catch_unwind(|| (target.run)(&input)).is_err();
            assert!(!failed, "{}, seed {seed}: {input:02x?}", target.name);
        }
    }
}

/// The formats are readable forever, so the seeds stay as they are.
#[test]
fn the_corpus_begins_with_valid_encodings_of_today() {
    for target in &TARGETS {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            let path = corpus(target).join(format!("seed-{number:02}"));
            if env::var_os(WRITE_SEEDS).is_some() {
                fs::create_dir_all(corpus(target)).unwrap();
                fs::write(&path, &seed).unwrap();
            }
            let found = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert!(
                found == seed,
                "{path:?} is not today's encoding; {WRITE_SEEDS}=1 writes it"
            );
        }
    }
}

#[test]
fn every_target_has_its_program_and_the_corpus_is_small() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.into()).collect();
    let stems = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(here().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
    let size_bytes: u64 = TARGETS
        .iter()
        .flat_map(inputs)
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(size_bytes <= CORPUS_SIZE_MAX_BYTES, "{size_bytes} bytes");
}
