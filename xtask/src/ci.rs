//! The steps of `cargo xtask ci`, quickest first, so that a small slip is heard of early.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, bail};

use crate::tidy;

/// One thing a change has to pass.
struct Step {
    name: &'static str,
    run: fn(&Path) -> anyhow::Result<Outcome>,
}

/// How a step that did not fail ended.
pub(crate) enum Outcome {
    Passed,
    /// A part could not run here; the sentence says which and why.
    Partly(String),
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        run: |root| cargo(root, &["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        run: |root| tidy::run(root).map(|()| Outcome::Passed),
    },
    Step {
        name: "locks",
        run: locks,
    },
    Step {
        name: "deny",
        run: deny,
    },
    Step {
        name: "clippy",
        run: |root| {
            let arguments = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            cargo(root, &arguments)
        },
    },
    Step {
        name: "doc",
        run: doc,
    },
    Step {
        name: "clients",
        run: clients,
    },
    Step {
        name: "teeth",
        run: teeth,
    },
    // Builds the examples and runs the documentation's examples too.
    Step {
        name: "test",
        run: |root| cargo(root, &["test", "--workspace"]),
    },
];

/// Runs the steps but those in `skip`, and stops at the first that fails.
pub(crate) fn run(root: &Path, skip: &[&str]) -> anyhow::Result<()> {
    run_steps(STEPS, root, skip)
}

fn run_steps(steps: &[Step], root: &Path, skip: &[&str]) -> anyhow::Result<()> {
    for name in skip {
        if !steps.iter().any(|step| step.name == *name) {
            let known: Vec<_> = steps.iter().map(|step| step.name).collect();
            bail!(
                "there is no step '{name}' to skip, there are: {}",
                known.join(", ")
            );
        }
    }
    let mut summary = Vec::new();
    for step in steps {
        if skip.contains(&step.name) {
            summary.push(format!("{:<8} skipped, as asked", step.name));
            continue;
        }
        println!("── {}", step.name);
        let (outcome, took) = timed(|| (step.run)(root));
        let seconds = took.as_secs_f64();
        let outcome =
            outcome.with_context(|| format!("{} failed after {seconds:.1} s", step.name))?;
        summary.push(match outcome {
            Outcome::Passed => format!("{:<8} passed {seconds:>7.1} s", step.name),
            Outcome::Partly(what) => format!("{:<8} passed {seconds:>7.1} s, {what}", step.name),
        });
        println!("{}", summary[summary.len() - 1]);
    }
    println!("\n── ci passed\n{}", summary.join("\n"));
    Ok(())
}

/// Workspaces of their own, which no other step builds: what they pin must fit what they ask for.
const APART: [&str; 2] = ["storage/benches/commit/sqlite", "tests/fuzz"];

fn locks(root: &Path) -> anyhow::Result<Outcome> {
    for folder in APART {
        let manifest = format!("{folder}/Cargo.toml");
        cargo(root, &["fetch", "--locked", "--manifest-path", &manifest]).with_context(|| {
            format!("update it: cargo update --workspace --manifest-path {manifest}")
        })?;
    }
    Ok(Outcome::Passed)
}

fn doc(root: &Path) -> anyhow::Result<Outcome> {
    let mut command = Command::new("cargo");
    command
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    succeed(command.current_dir(root))
}

/// Licences, doubled versions and sources always; advisories when their database can be reached,
/// because a machine without network must be able to run everything else.
fn deny(root: &Path) -> anyhow::Result<Outcome> {
    if !quietly(root, "cargo", &["deny", "--version"]) {
        let what = "nothing was checked: cargo-deny is missing (cargo install cargo-deny --locked)";
        return Ok(Outcome::Partly(what.to_owned()));
    }
    let check = ["deny", "--workspace", "check"];
    cargo(
        root,
        &[&check[..], &["bans", "licenses", "sources"]].concat(),
    )?;
    if !quietly(root, "cargo", &["deny", "fetch", "db"]) {
        let what = "advisories were not checked: their database cannot be reached";
        return Ok(Outcome::Partly(what.to_owned()));
    }
    cargo(root, &[&check[..], &["advisories"]].concat())
}

/// Our client for TypeScript and the clients others wrote, against the binary as a user would run it.
fn clients(root: &Path) -> anyhow::Result<Outcome> {
    if !quietly(root, "npm", &["--version"]) {
        return Ok(Outcome::Partly(
            "nothing was run: npm is missing".to_owned(),
        ));
    }
    cargo(
        root,
        &[
            "build",
            "--bin",
            "abide",
            "--example",
            "editor",
            "--example",
            "arena",
        ],
    )?;
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |set| root.join(set));
    for folder in ["clients/typescript", "tests/clients"] {
        let folder = root.join(folder);
        if !is_installed(&folder)? {
            succeed(
                Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund"])
                    .current_dir(&folder),
            )?;
        }
        let mut command = Command::new("npm");
        command
            .args(["run", "--silent", "test"])
            .env("ABIDE_BIN", target.join("debug/abide"));
        succeed(command.current_dir(&folder))?;
    }
    Ok(Outcome::Passed)
}

/// Whether the packages of a folder are those its lock file names: npm leaves the time of the last
/// installation.
fn is_installed(folder: &Path) -> anyhow::Result<bool> {
    let modified = |path: &str| fs::metadata(folder.join(path)).and_then(|file| file.modified());
    let Ok(installed) = modified("node_modules/.package-lock.json") else {
        return Ok(false);
    };
    Ok(modified("package-lock.json")? <= installed)
}

/// Breaks every promise of the product that can be broken, one at a time: the simulation must notice
/// each.
pub(crate) fn teeth(root: &Path) -> anyhow::Result<Outcome> {
    let arguments = [
        "test",
        "--quiet",
        "--package",
        "abide",
        "--features",
        "teeth",
        "--test",
        "sim",
        "node::teeth",
        "--",
        "--nocapture",
    ];
    cargo(root, &arguments)
}

/// The tests make two thousand cuts; this is for as many as one likes.
pub(crate) fn powercut(root: &Path, options: &[&str]) -> anyhow::Result<()> {
    let run = ["run", "--quiet", "--package", "abide-powercut", "--"];
    cargo(root, &[&run, options].concat()).map(|_| ())
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<Outcome> {
    succeed(Command::new("cargo").args(arguments).current_dir(root))
}

fn succeed(command: &mut Command) -> anyhow::Result<Outcome> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} did not start"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(Outcome::Passed)
}

/// Whether a command succeeds, when its output would only confuse.
fn quietly(root: &Path, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stopwatch for people, no behaviour hangs on it"
)]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const PASSES: Step = Step {
        name: "passes",
        run: |_| Ok(Outcome::Passed),
    };
    const FAILS: Step = Step {
        name: "fails",
        run: |_| bail!("no"),
    };
    const NEVER: Step = Step {
        name: "never",
        run: |_| panic!("a step ran after one that failed"),
    };

    fn ci(steps: &[Step], skip: &[&str]) -> anyhow::Result<()> {
        run_steps(steps, Path::new("."), skip)
    }

    #[test]
    fn the_first_failure_ends_the_run_and_is_named() {
        let error = format!("{:#}", ci(&[PASSES, FAILS, NEVER], &[]).unwrap_err());
        assert!(error.starts_with("fails failed after"), "{error}");
    }

    #[test]
    fn a_skipped_step_does_not_run() {
        ci(&[PASSES, FAILS], &["fails"]).unwrap();
    }

    #[test]
    fn an_unknown_step_cannot_be_skipped() {
        let error = ci(&[PASSES], &["clipy"]).unwrap_err().to_string();
        assert_eq!(error, "there is no step 'clipy' to skip, there are: passes");
    }

    #[test]
    fn packages_are_installed_again_when_the_lock_file_is_newer() {
        let folder = env::temp_dir().join(format!("abide-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (lock, mark) = ("package-lock.json", "node_modules/.package-lock.json");
        let write = |path: &str, seconds: u64| {
            let file = fs::File::create(folder.join(path)).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        write(lock, 10);
        assert!(!is_installed(&folder).unwrap());
        fs::create_dir(folder.join("node_modules")).unwrap();
        write(mark, 10);
        assert!(is_installed(&folder).unwrap());
        write(lock, 11);
        assert!(!is_installed(&folder).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_command_that_fails_is_a_failure() {
        assert!(succeed(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }
}
