//! The simulation bites: every promise that the product can be made to break is noticed.

use abide_actors::teeth as of_the_runtime;
use abide_storage::teeth as of_the_store;

use super::simulate;

/// Seeds in which a broken promise must be noticed. Most need a few; this bounds the time of a miss.
const SEEDS_MAX: u64 = 150;

/// A promise to break.
#[derive(Debug, Clone, Copy)]
enum Tooth {
    Runtime(of_the_runtime::Tooth),
    Store(of_the_store::Tooth),
}

/// Mends all when it is dropped.
struct Broken;

impl Broken {
    fn by(tooth: Tooth) -> Self {
        match tooth {
            Tooth::Runtime(tooth) => of_the_runtime::choose(Some(tooth)),
            Tooth::Store(tooth) => of_the_store::choose(Some(tooth)),
        }
        Self
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        of_the_runtime::choose(None);
        of_the_store::choose(None);
    }
}

/// As a row of the table in the README.
fn bite(tooth: Tooth) -> Result<String, String> {
    let _broken = Broken::by(tooth);
    let noticed = (0..SEEDS_MAX).find_map(|seed| {
        let violations = simulate(seed).violations;
        let mut checkers: Vec<_> = violations.iter().map(|violation| violation.of).collect();
        checkers.sort_unstable();
        checkers.dedup();
        (!checkers.is_empty()).then(|| (seed + 1, checkers.join(", ")))
    });
    let (crate_name, name) = match tooth {
        Tooth::Runtime(tooth) => ("actors", format!("{tooth:?}")),
        Tooth::Store(tooth) => ("storage", format!("{tooth:?}")),
    };
    match noticed {
        Some((seeds, checkers)) => Ok(format!(
            "| {crate_name} | `{name}` | {seeds} | {checkers} |"
        )),
        None => Err(format!("{name} was not noticed in {SEEDS_MAX} seeds")),
    }
}

#[test]
fn every_broken_promise_is_noticed() {
    let runtime = of_the_runtime::Tooth::ALL.map(Tooth::Runtime);
    let store = of_the_store::Tooth::ALL.map(Tooth::Store);
    let mut missed = Vec::new();
    for tooth in runtime.into_iter().chain(store) {
        match bite(tooth) {
            Ok(row) => eprintln!("{row}"),
            Err(what) => missed.push(what),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
