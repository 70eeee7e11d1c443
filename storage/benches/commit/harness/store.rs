//! Writers of a [`LogStore`].

use std::sync::Arc;

use abide_storage::{
    Commit, Epoch, LogStore, Namespace, Object, ObjectId, Section, Store, Version, Write,
    WriteBatch,
};

use super::drive::Committing;
use super::rows::{Shape, rows};

pub(super) struct StoreWriter {
    pub(super) store: Arc<LogStore>,
    pub(super) writer: usize,
    pub(super) shape: Shape,
    pub(super) open: Option<(Object, Epoch, Version)>,
}

impl Committing for StoreWriter {
    async fn commit(&mut self) {
        let (object, epoch, version) = match self.open.take() {
            Some(open) => open,
            None => {
                let namespace = Namespace::new("bench").unwrap();
                let id = ObjectId::from_name(&namespace, &self.writer.to_string());
                let object = Object { namespace, id };
                let opened = self.store.open(&object).await.unwrap();
                (object, opened.epoch, opened.version)
            }
        };
        self.store.room().await;
        let version = version.next();
        let puts = rows(self.writer, version.0, self.shape);
        let writes = puts
            .map(|(key, value)| Write::Put {
                section: Section::Data,
                key,
                value,
            })
            .into();
        let batch = WriteBatch { writes };
        let commit = Commit {
            object: object.clone(),
            name: None,
            epoch,
            version,
            batch,
        };
        self.store.commit(commit).unwrap().await.unwrap();
        self.open = Some((object, epoch, version));
    }
}
