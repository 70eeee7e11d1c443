//! The threads on which the engine is read: its reads may wait for a disk, and the threads of the
//! async runtime must not.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::Sender;
use tokio::sync::{Semaphore, oneshot};

use crate::engine::Engine;
use crate::store::ReadError;

/// Reads that wait for a thread, at most; more wait outside, in their own tasks.
const QUEUE_JOBS_MAX: usize = 1_024;

type Job = Box<dyn FnOnce(&dyn Engine) + Send>;

/// Hands reads to the reader threads, which end when this is dropped.
pub(super) struct Readers {
    engine: Arc<dyn Engine>,
    jobs: Sender<Job>,
    /// One permit per place in the queue, so that sending never blocks.
    places: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn start(
        engine: Arc<dyn Engine>,
        threads: usize,
    ) -> io::Result<(Self, Vec<thread::JoinHandle<()>>)> {
        let (jobs, queue) = crossbeam_channel::bounded::<Job>(QUEUE_JOBS_MAX);
        let mut handles = Vec::new();
        // An engine in memory is read where the caller stands.
        let threads = if engine.reads_are_memory() {
            0
        } else {
            threads
        };
        for number in 0..threads {
            let (engine, queue) = (engine.clone(), queue.clone());
            let thread = thread::Builder::new().name(format!("abide-reader-{number}"));
            handles.push(thread.spawn(move || queue.iter().for_each(|job| job(&*engine)))?);
        }
        let places = Arc::new(Semaphore::new(QUEUE_JOBS_MAX));
        Ok((
            Self {
                engine,
                jobs,
                places,
            },
            handles,
        ))
    }

    /// Runs the read on a reader thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Engine) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        if self.engine.reads_are_memory() {
            return read(&*self.engine);
        }
        let place = self
            .places
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| ReadError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |engine| {
            // Whoever asked may have gone away meanwhile.
            if !answer.is_closed() {
                _ = answer.send(read(engine));
            }
            drop(place);
        });
        self.jobs.try_send(job).map_err(|_| ReadError::Closed)?;
        // No answer: the read panicked, or the threads ended.
        answered.await.unwrap_or(Err(ReadError::Closed))
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("waiting", &self.jobs.len())
            .finish_non_exhaustive()
    }
}
