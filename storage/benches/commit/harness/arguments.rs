//! The command line.

use std::num::NonZero;
use std::process;
use std::str::FromStr;
use std::time::Duration;

use super::Subject;

const USAGE: &str = "\
Options:
  --seconds S        How long one run takes [default: 2]
  --rounds N         Runs of each line, of which the median is told [default: 1]
  --only NAMES       Subjects, with commas between [default: all]
  --writers NUMBERS  Writers at one time, with commas between [default: 1,16,64,256]
  --value BYTES      Size of a value [default: 100]
  --keys N           Keys that each writer goes round [default: 30]
  --history-mib N    What history may take; 0 keeps none [default: 0]
";

/// What to measure.
pub(super) struct Arguments {
    pub(super) duration: Duration,
    pub(super) rounds: usize,
    pub(super) subjects: Vec<Subject>,
    pub(super) writers: Vec<usize>,
    pub(super) value_size_bytes: usize,
    /// Keys each writer goes round: few are the state rows of an actor, many a growing table.
    pub(super) keys: u64,
    /// What history may take, bytes; 0 keeps none.
    pub(super) history_size_bytes: u64,
}

impl Arguments {
    /// Ends the process with the usage when it is asked for, or when the arguments are none.
    pub(super) fn read(subjects: Vec<Subject>) -> Self {
        let words: Vec<_> = std::env::args().skip(1).collect();
        if words.iter().any(|word| word == "--help" || word == "-h") {
            print!("{USAGE}");
            process::exit(0);
        }
        Self::parse(subjects, words).unwrap_or_else(|problem| {
            eprint!("{problem}\n\n{USAGE}");
            process::exit(2);
        })
    }

    fn parse(subjects: Vec<Subject>, words: Vec<String>) -> Result<Self, String> {
        let mut arguments = Self {
            duration: Duration::from_secs(2),
            rounds: 1,
            subjects,
            writers: vec![1, 16, 64, 256],
            value_size_bytes: 100,
            keys: 30,
            history_size_bytes: 0,
        };
        let mut words = words.into_iter().filter(|word| word != "--bench");
        while let Some(name) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{name} lacks its value"))?;
            match &*name {
                "--seconds" => {
                    let seconds = Duration::try_from_secs_f64(number(&value)?);
                    arguments.duration = seconds.map_err(|error| format!("'{value}': {error}"))?;
                }
                "--rounds" => arguments.rounds = number::<NonZero<usize>>(&value)?.get(),
                "--keys" => arguments.keys = number::<NonZero<u64>>(&value)?.get(),
                "--history-mib" => {
                    arguments.history_size_bytes = u64::from(number::<u32>(&value)?) << 20;
                }
                "--value" => arguments.value_size_bytes = number(&value)?,
                "--writers" => {
                    let writers = value.split(',').map(number::<NonZero<usize>>);
                    let writers: Result<Vec<_>, _> = writers.collect();
                    arguments.writers = writers?.into_iter().map(NonZero::get).collect();
                }
                "--only" => {
                    let known = &arguments.subjects;
                    if let Some(name) = value
                        .split(',')
                        .find(|name| known.iter().all(|subject| subject.name != *name))
                    {
                        return Err(format!("no subject '{name}'"));
                    }
                    arguments
                        .subjects
                        .retain(|subject| value.split(',').any(|name| name == subject.name));
                }
                other => return Err(format!("unknown argument '{other}'")),
            }
        }
        Ok(arguments)
    }
}

fn number<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("'{text}': {error}"))
}
