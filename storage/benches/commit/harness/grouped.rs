//! A group commit for what has none of its own.

use std::path::Path;
use std::sync::Arc;

use abide_storage::Row;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::drive::Committing;
use super::rows::{Shape, rows};

/// Writes the commits of one group and makes them durable, all with one sync.
pub(crate) type Sink = Box<dyn FnMut(&[Vec<Row>]) + Send>;

/// Makes a sink in an empty folder.
pub(crate) type MakeSink = fn(&Path) -> Sink;

/// Group commit as plain as it can be, for what has none of its own.
pub(super) struct Grouped {
    shared: Arc<(Mutex<GroupQueue>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct GroupQueue {
    waiting: Vec<(Vec<Row>, oneshot::Sender<()>)>,
    is_closed: bool,
}

impl Grouped {
    pub(super) fn start(mut write: Sink) -> Self {
        let shared = Arc::new((Mutex::new(GroupQueue::default()), Condvar::new()));
        let mine = shared.clone();
        let thread = std::thread::spawn(move || {
            loop {
                let group = {
                    let mut queue = mine.0.lock();
                    while queue.waiting.is_empty() && !queue.is_closed {
                        mine.1.wait(&mut queue);
                    }
                    if queue.waiting.is_empty() {
                        return;
                    }
                    std::mem::take(&mut queue.waiting)
                };
                let (rows, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
                write(&rows);
                answers.into_iter().for_each(|answer| _ = answer.send(()));
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }
}

impl Drop for Grouped {
    fn drop(&mut self) {
        self.shared.0.lock().is_closed = true;
        self.shared.1.notify_all();
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(super) struct GroupedWriter {
    log: Arc<Grouped>,
    writer: usize,
    shape: Shape,
    version: u64,
}

impl GroupedWriter {
    pub(super) fn new(log: &Arc<Grouped>, writer: usize, shape: Shape) -> Self {
        Self {
            log: log.clone(),
            writer,
            shape,
            version: 0,
        }
    }
}

impl Committing for GroupedWriter {
    async fn commit(&mut self) {
        self.version += 1;
        let puts = rows(self.writer, self.version, self.shape);
        let rows = puts
            .map(|(key, value)| Row {
                key,
                value: Some(value),
            })
            .into();
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.log.shared.0.lock();
            queue.waiting.push((rows, answer));
        }
        self.log.shared.1.notify_one();
        answered.await.unwrap();
    }
}
