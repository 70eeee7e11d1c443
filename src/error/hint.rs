//! The command that mends what an error of a data folder tells. Storage knows no commands; here every such error
//! chooses one, or none.

use std::path::Path;

use abide_storage::{OpenError, RepairError};

/// What to run after an opening has failed; begins with `; ` when there is anything.
pub(super) fn of_open(error: &OpenError) -> String {
    match error {
        OpenError::CorruptLog { file, .. } => {
            // A segment of the log, or the folder of the log itself.
            let log = match file.file_name() {
                Some(name) if name == "log" => Some(file.as_path()),
                _ => file.parent(),
            };
            with_check(log.and_then(Path::parent))
        }
        OpenError::Engine { path, .. } => with_check(path.parent()),
        OpenError::RepairCutShort { path } => {
            format!("; `abide repair --data {}` finishes it", path.display())
        }
        // Their own words say what to do, and no command does it.
        OpenError::InUse { .. }
        | OpenError::NewerFormat { .. }
        | OpenError::OtherEngine { .. }
        | OpenError::NotADataFolder { .. }
        | OpenError::NotAFolder { .. }
        | OpenError::NotWritable { .. }
        | OpenError::DiskFull { .. }
        | OpenError::Io { .. } => String::new(),
    }
}

/// What to run after a repair that was refused or cut short.
pub(super) fn of_repair(error: &RepairError, data: &Path) -> String {
    match error {
        RepairError::Open(error) => of_open(error),
        RepairError::Lossy { .. } => format!(
            "; `abide repair --accept-loss --data {}` does it all the same, `abide restore` makes a folder of a \
             backup, which may have what is lost here",
            data.display()
        ),
        RepairError::VolatileEngine
        | RepairError::NoRoom { .. }
        | RepairError::Interrupted { .. } => String::new(),
    }
}

/// For a folder that is damaged.
pub(super) fn repair_or_restore(data: &Path) -> String {
    format!(
        "`abide repair --dry-run --data {}` says what can be mended and what is lost by it, `abide restore` makes a \
         folder of a backup",
        data.display()
    )
}

fn with_check(data: Option<&Path>) -> String {
    data.map_or_else(String::new, |data| {
        let next = repair_or_restore(data);
        format!(
            "; `abide check --data {}` looks at all of it, {next}",
            data.display()
        )
    })
}
