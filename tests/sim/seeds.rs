//! Random schedules that can be had again: every failure names its seed.

/// Runs a test once per seed. With `ABIDE_SIM_SEED` set it runs for that one alone.
pub(crate) fn each_seed(count: u64, test: impl Fn(u64)) {
    let chosen = std::env::var("ABIDE_SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = chosen.map_or(0..count, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let _named = Named(seed);
        test(seed);
    }
}

/// Names the seed when the test unwinds.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed with seed {0}: ABIDE_SIM_SEED={0} runs it alone",
                self.0
            );
        }
    }
}
