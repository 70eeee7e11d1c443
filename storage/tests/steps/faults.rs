//! One run for each call and each kind of fault.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::resume_unwind;
use std::time::Duration;

use abide_storage::fault::{DiskFault, DiskStep, EngineFault, EngineOperation};

use futures_util::{StreamExt as _, stream};

use crate::history::History;
use crate::machine::Machine;
use crate::operations::Operation;
use crate::verdict::{self, Verdict};

/// Long enough for others to overtake, short enough for some hundred of them.
const STALL: Duration = Duration::from_millis(30);
/// A background thread may make one call less in a run: then the run is made again.
const ATTEMPTS: u32 = 5;
/// Of a hundred runs, how many may look for a call that only the counting run made.
const CHANCE_CALLS_PERCENT_MAX: usize = 15;
const RUNS_AT_ONCE: usize = 16;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Disk(DiskStep, DiskFault),
    Engine(EngineOperation, EngineFault),
}

/// Makes each call of the operation fail in each way. Answers a row of the table.
#[expect(
    clippy::disallowed_methods,
    reason = "no server runs here, and every task is awaited"
)]
pub(crate) async fn try_all(operation: Operation) -> String {
    let (disk_calls, engine_calls) = count(operation).await;
    let calls = disk_calls.values().sum::<u64>() + engine_calls.values().sum::<u64>();
    let on_disk = disk_calls.iter().flat_map(|(step, count)| {
        let faults = DiskFault::all_of(step.operation, STALL).into_iter();
        faults.map(|fault| (Fault::Disk(*step, fault), *count))
    });
    let on_engine = engine_calls.iter().flat_map(|(operation, count)| {
        let faults = engine_faults_of(*operation).into_iter();
        faults.map(|fault| (Fault::Engine(*operation, fault), *count))
    });
    let cases = on_disk
        .chain(on_engine)
        .flat_map(|(fault, count)| (1..=count).map(move |nth| (fault, nth)));
    // They wait for the store's threads most of the time.
    let judged: Vec<_> = stream::iter(cases)
        .map(|(fault, nth)| tokio::spawn(run(operation, fault, nth)))
        .buffer_unordered(RUNS_AT_ONCE)
        .map(|run| run.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic())))
        .collect()
        .await;
    let wanted = judged.len();
    let judged: Vec<Verdict> = judged.into_iter().flatten().collect();
    let runs = judged.len();
    assert!(
        (wanted - runs) * 100 <= wanted * CHANCE_CALLS_PERCENT_MAX,
        "{operation:?}: of {wanted} calls and faults only {runs} were met"
    );
    let mut verdicts: BTreeMap<Verdict, u64> = BTreeMap::new();
    for verdict in judged {
        *verdicts.entry(verdict).or_default() += 1;
    }
    let mut row = format!("| {operation:?} | {calls} | {runs} |");
    for verdict in Verdict::ALL {
        let count = verdicts.get(&verdict).copied().unwrap_or(0);
        write!(row, " {count} |").unwrap();
    }
    row
}

/// The calls of the operation, without any fault.
async fn count(operation: Operation) -> (BTreeMap<DiskStep, u64>, BTreeMap<EngineOperation, u64>) {
    let machine = operation.machine();
    let mut history = History::default();
    let store = operation.prepare(&machine, &mut history).await;
    let (disk_before, engine_before) = machine.calls();
    let ended = operation.run(&machine, store, &mut history).await;
    let (mut disk, mut engine) = machine.calls();
    drop(ended);
    for (step, before) in disk_before {
        *disk.get_mut(&step).unwrap() -= before;
    }
    for (step, before) in engine_before {
        *engine.get_mut(&step).unwrap() -= before;
    }
    (disk, engine)
}

/// Nothing if the operation does not always make this call. A counting run on a busy machine may have made one more spare
/// than others do, or lasted until the free space was looked at again.
async fn run(operation: Operation, fault: Fault, nth: u64) -> Option<Verdict> {
    for _ in 0..ATTEMPTS {
        let mut machine = operation.machine();
        let mut history = History::default();
        let store = operation.prepare(&machine, &mut history).await;
        history.begin();
        arm(&machine, fault, nth);
        let ended = operation.run(&machine, store, &mut history).await;
        if machine.is_armed() {
            continue;
        }
        let at = format!("{operation:?}, call {nth} of {fault:?}");
        return Some(verdict::judge(&mut machine, history, ended, fault, &at).await);
    }
    let (disk_calls, engine_calls) = count(operation).await;
    let counted = match fault {
        Fault::Disk(step, _) => disk_calls.get(&step),
        Fault::Engine(step, _) => engine_calls.get(&step),
    };
    assert!(
        counted.is_none_or(|count| *count < nth),
        "{operation:?}: call {nth} of {fault:?} is never made"
    );
    None
}

fn arm(machine: &Machine, fault: Fault, nth: u64) {
    match fault {
        Fault::Disk(step, fault) => machine.disk.fault_at_step(step, nth, fault),
        Fault::Engine(step, fault) => machine.engine.fault_at_step(step, nth, fault),
    }
}

fn engine_faults_of(operation: EngineOperation) -> Vec<EngineFault> {
    let mut faults = vec![EngineFault::Fail, EngineFault::Stall(STALL)];
    match operation {
        EngineOperation::Get | EngineOperation::Scan => {}
        EngineOperation::Sync => faults.push(EngineFault::DiskFull),
        EngineOperation::Apply => faults.extend([EngineFault::DiskFull, EngineFault::Tear]),
    }
    faults
}
