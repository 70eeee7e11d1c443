//! The fuzzers' side of [`targets`]: one program per target, made by `cargo fuzz`.

mod targets;

/// Gives one input to a target.
///
/// # Panics
/// When a promise about the bytes does not hold, or there is no such target.
pub fn run(target: &str, data: &[u8]) {
    (named(target).run)(data);
}

/// The inputs that a target's corpus starts from.
///
/// # Panics
/// When there is no such target.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    (named(target).seeds)()
}

fn named(name: &str) -> &'static targets::Target {
    let mut targets = targets::TARGETS.iter();
    let found = targets.find(|target| target.name == name);
    found.expect("every program is named after a target")
}
