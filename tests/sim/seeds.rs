//! Random schedules that can be had again: every failure names its seed.

/// Runs a test once per seed: `count` seeds from 0 on, unless the environment asks for
/// `ABIDE_SIM_SEEDS` many from `ABIDE_SIM_FROM` on, or for the one `ABIDE_SIM_SEED` alone.
pub(crate) fn each_seed(count: u64, test: impl Fn(u64)) {
    let (first, count) = match number("ABIDE_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("ABIDE_SIM_FROM").unwrap_or(0),
            number("ABIDE_SIM_SEEDS").unwrap_or(count),
        ),
    };
    for seed in first..first.saturating_add(count) {
        let _named = Named(seed);
        test(seed);
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    // A seed that is not obeyed would make a failure look mended.
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is a number, not '{text}'")))
}

/// Names the seed when the test unwinds.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed with seed {0}: `cargo xtask sim --seed {0}` runs it alone",
                self.0
            );
        }
    }
}
