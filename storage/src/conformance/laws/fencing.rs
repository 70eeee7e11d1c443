//! Who may commit: the newest opening of an object, and nobody else.

use super::{activate, get};
use crate::batch::Section;
use crate::conformance::{Activation, Fixture, object, put};
use crate::id::{Epoch, Version};
use crate::store::{CommitError, Effect};

/// Only the newest opening of an object may commit.
pub async fn a_newer_opening_fences_the_older(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let lobby = object("chat", "lobby");
    let mut old = activate(&store, &lobby).await;
    old.commit(vec![put("k", "1")]).await;
    let mut new = activate(&store, &lobby).await;
    assert!(new.epoch > old.epoch);
    assert_eq!(new.version, Version(1));
    let epoch = old.epoch;
    let error = old
        .try_commit(vec![put("k", "2")])
        .expect_err("the older epoch is fenced");
    assert_eq!(error, CommitError::Fenced { epoch });
    assert_eq!(error.effect(), Effect::None);
    new.commit(vec![put("k", "3")]).await;
    assert_eq!(new.get("k").await, Some("3".into()));

    let mut never_opened = Activation {
        epoch: Epoch(new.epoch.0 + 1),
        ..old
    };
    never_opened
        .try_commit(vec![put("k", "4")])
        .expect_err("an epoch never given is fenced");
}

/// A closed activation may not commit; closing an older one does not touch the newer.
pub async fn closing_fences_its_own_epoch_only(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let lobby = object("chat", "lobby");
    let old = activate(&store, &lobby).await;
    let mut new = activate(&store, &lobby).await;
    store.close(&lobby, old.epoch);
    let pending = new.try_commit(vec![put("k", "1")]).expect("still open");
    store.close(&lobby, new.epoch);
    new.try_commit(vec![put("k", "2")]).expect_err("closed");
    pending
        .await
        .expect("what was accepted before the closing completes");
    store.close(&lobby, new.epoch);
    assert_eq!(
        get(&store, &lobby, Section::Data, "k").await,
        Some("1".into())
    );
}

/// Every opening has a higher epoch than all before, through restarts and crashes.
pub async fn epochs_grow_through_everything(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut last = Epoch(0);
    for round in 0..6 {
        let mut writer = activate(&fixture.store(), &lobby).await;
        assert!(writer.epoch > last, "{} after {last}", writer.epoch);
        last = writer.epoch;
        writer.commit(vec![put("k", "1")]).await;
        drop(writer);
        match round % 3 {
            0 => fixture.reopen().await,
            1 => fixture.crash(),
            _ => {}
        }
    }
}
