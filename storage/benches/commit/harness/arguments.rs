//! The command line.

use std::time::Duration;

use super::Subject;

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
    pub(super) fn read(subjects: Vec<Subject>) -> Self {
        let mut arguments = Self {
            duration: Duration::from_secs(2),
            rounds: 1,
            subjects,
            writers: vec![1, 16, 64, 256],
            value_size_bytes: 100,
            keys: 30,
            history_size_bytes: 0,
        };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let value = words.next().unwrap();
            match &*word {
                "--seconds" => arguments.duration = Duration::from_secs_f64(value.parse().unwrap()),
                "--rounds" => arguments.rounds = value.parse().unwrap(),
                "--keys" => arguments.keys = value.parse().unwrap(),
                "--history-mib" => {
                    arguments.history_size_bytes = value.parse::<u64>().unwrap() << 20;
                }
                "--value" => arguments.value_size_bytes = value.parse().unwrap(),
                "--writers" => {
                    arguments.writers = value.split(',').map(|n| n.parse().unwrap()).collect();
                }
                "--only" => {
                    arguments
                        .subjects
                        .retain(|subject| value.split(',').any(|n| n == subject.name));
                }
                other => panic!("unknown argument {other}"),
            }
        }
        arguments
    }
}
