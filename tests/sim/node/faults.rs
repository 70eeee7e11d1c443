//! What happens to a simulated node: one fault after the other, chosen by the seed.

use std::time::Duration;

use abide_storage::{Commit, Room, Section, Store, Write, WriteBatch};
use bytes::Bytes;
use tokio::time::sleep;

use super::Sim;
use super::machine::{Crash, NAMESPACE};
use super::workload::OBJECTS;

/// How fast the disk is when it is well.
pub(super) const USUAL_PACE: Duration = Duration::from_millis(3);

/// Does one thing after the other to the machine, until it is dropped.
pub(super) async fn make_trouble(sim: &Sim, mut random: fastrand::Rng) {
    loop {
        let pause = random.u64(5..250);
        sleep(Duration::from_millis(pause)).await;
        if sim.is_over() {
            return;
        }
        match random.u8(0..100) {
            0..12 => restart(sim, &mut random, Crash::Power).await,
            12..17 => restart(sim, &mut random, Crash::Process).await,
            17..27 => cut_power_at_an_operation(sim, &mut random).await,
            27..35 => lose_a_sync(sim, &mut random).await,
            35..43 => fill_the_disk(sim, &mut random).await,
            43..63 => slow_down(sim, &mut random).await,
            63..75 => take_an_object(sim, &mut random).await,
            75..95 => ask_to_end(sim).await,
            _ => {}
        }
    }
}

/// The process ends, and starts again some time later.
async fn restart(sim: &Sim, random: &mut fastrand::Rng, crash: Crash) {
    sim.event(format_args!("crash: {crash:?}"));
    sim.machine.borrow_mut().crash(crash);
    let pause = random.u64(0..30);
    sleep(Duration::from_millis(pause)).await;
    sim.start();
}

/// The power goes in the middle of what the store does.
async fn cut_power_at_an_operation(sim: &Sim, random: &mut fastrand::Rng) {
    let operations = random.u64(1..12);
    let is_of_the_engine = random.u8(0..3) == 0;
    sim.event(format_args!("the power goes in {operations} operations"));
    if is_of_the_engine {
        sim.machine.borrow().cut_engine_after(operations);
    } else {
        sim.machine.borrow().disk.cut_power_after(operations);
    }
    wait_until_broken(sim).await;
    restart(sim, random, Crash::Power).await;
}

/// A sync fails; the process is started anew after a while, with what the page cache has or
/// without.
async fn lose_a_sync(sim: &Sim, random: &mut fastrand::Rng) {
    sim.event(format_args!("the next sync fails"));
    sim.machine.borrow().disk.fail_next_sync();
    wait_until_broken(sim).await;
    let pause = random.u64(0..100);
    sleep(Duration::from_millis(pause)).await;
    let crash = if random.bool() {
        Crash::Process
    } else {
        Crash::Power
    };
    restart(sim, random, crash).await;
}

async fn wait_until_broken(sim: &Sim) {
    for _ in 0..100 {
        if sim.machine.borrow().is_broken() {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

async fn fill_the_disk(sim: &Sim, random: &mut fastrand::Rng) {
    sim.event(format_args!("the disk is full"));
    sim.machine.borrow().disk.set_room(Room::Full);
    let pause = random.u64(5..400);
    sleep(Duration::from_millis(pause)).await;
    sim.machine.borrow().disk.set_room(Room::Free);
    sim.event(format_args!("the disk has space"));
}

async fn slow_down(sim: &Sim, random: &mut fastrand::Rng) {
    let pace = Duration::from_millis(random.u64(10..250));
    sim.event(format_args!("the disk is slow: {pace:?}"));
    *sim.machine.borrow().pace.lock() = pace;
    let pause = random.u64(20..600);
    sleep(Duration::from_millis(pause)).await;
    if random.u8(0..3) > 0 {
        // Much is on its way now.
        restart(sim, random, Crash::Power).await;
    }
    *sim.machine.borrow().pace.lock() = USUAL_PACE;
}

/// **fenced**: another owner takes an object, writes something that is none of the clients'
/// business, and lets it lie. Whoever had it may write no more.
async fn take_an_object(sim: &Sim, random: &mut fastrand::Rng) {
    let Some(node) = sim.machine.borrow().node.clone() else {
        return;
    };
    let name = OBJECTS[random.usize(0..OBJECTS.len())];
    let target = node
        .runtime
        .target(NAMESPACE, name)
        .expect("the namespace is there");
    let taking = async {
        let opened = node.store.open(&target.object).await.ok()?;
        let mut batch = WriteBatch::default();
        batch.writes.push(Write::Put {
            section: Section::Data,
            key: Bytes::from_static(b"taken"),
            value: Bytes::from_static(b"by another owner"),
        });
        let committed = node.store.commit(Commit {
            object: target.object.clone(),
            name: target.name.clone(),
            epoch: opened.epoch,
            version: opened.version.next(),
            batch,
        });
        Some(committed.is_ok())
    };
    let taken = tokio::select! {
        biased;
        () = node.is_gone.cancelled() => None,
        taken = tokio::time::timeout(Duration::from_secs(1), taking) => taken.ok().flatten(),
    };
    sim.event(format_args!("another owner takes {name}: {taken:?}"));
}

async fn ask_to_end(sim: &Sim) {
    sim.event(format_args!("the node is asked to end"));
    sim.drain().await;
    sim.start();
}
