//! Why a server did not start, or a command did not do what was asked.

use std::error::Error as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use abide_actors::RegisterError;
use abide_storage::{HistoryError, OpenError, RepairError, Target};

use crate::admin_client::AdminError;
use crate::assets::InvalidAssets;
use crate::config::ConfigError;
use crate::protocol::InvalidObjectFile;

mod hint;

/// What the functions of [`Server`](crate::Server) return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server did not start, or a command did not do what was asked. Each says what to do about it.
#[derive(thiserror::Error)]
pub enum Error {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A namespace is not well formed, or registered twice.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Files of the program cannot be served as they were given.
    #[error(transparent)]
    Assets(#[from] InvalidAssets),
    /// The data folder cannot be opened: in use, damaged, of a newer release, of another engine.
    #[error("{0}{hint}", hint = hint::of_open(.0))]
    Store(#[from] OpenError),
    /// An address cannot be listened on.
    #[error("{key} = {address}: {}", listen_hint(source, key))]
    Listen {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// `abide check` found problems, and has told them.
    #[error(
        "the data folder has {count} problem{}, told above; {}",
        if *count == 1 { "" } else { "s" }, hint::repair_or_restore(.data)
    )]
    Unsound {
        /// How many.
        count: u64,
        /// The folder.
        data: PathBuf,
    },
    /// `abide repair` did not repair, or not all.
    #[error("{source}{}", hint::of_repair(.source, .data))]
    Repair {
        /// The folder.
        data: PathBuf,
        /// Why.
        source: RepairError,
    },
    /// A backup, a restore, or a look into history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// There was no such object then.
    #[error("{object} does not exist in {target}")]
    NoObject {
        /// As it was asked for.
        object: String,
        /// When.
        target: Target,
    },
    /// The text names no object.
    #[error("{object} names no object: {problem}")]
    ObjectName {
        /// The text.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `abide backup --verify` found damage, and has told it.
    #[error("the backups have {count} damaged file{}, told above", if *count == 1 { "" } else { "s" })]
    Damaged {
        /// How many.
        count: usize,
    },
    /// A command did not get from a running server what it asked for.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A file is no exported object.
    #[error("{}: {source}", .path.display())]
    ObjectFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidObjectFile,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Threads or signal handlers could not be set up.
    #[error("the process could not be set up")]
    Process(#[source] io::Error),
}

impl Error {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// The exit code of a process that ends with it; `commands/mod.rs` says what each means.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Admin(error) => error.exit_code(),
            Self::Config(_)
            | Self::Register(_)
            | Self::Assets(_)
            | Self::Store(_)
            | Self::Listen { .. }
            | Self::Unsound { .. }
            | Self::Repair { .. }
            | Self::ObjectFile { .. }
            | Self::File { .. }
            | Self::History(_)
            | Self::NoObject { .. }
            | Self::ObjectName { .. }
            | Self::Damaged { .. }
            | Self::Process(_) => 1,
        }
    }
}

fn listen_hint(error: &io::Error, key: &str) -> String {
    let flag = key.replace('_', "-");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process listens there: stop it, or choose another port with --{flag}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("this user may not listen there: choose a port above 1023 with --{flag}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address: choose one it has with --{flag}")
        }
        _ => format!("cannot be listened on: {error}"),
    }
}

/// The same sentence as `Display`, with its causes: what `fn main() -> abide::Result<()>` prints
/// when it fails is the `Debug` form, and that is read by people.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.to_string();
        f.write_str(&told)?;
        let mut source = self.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some errors speak for their cause already.
            if !told.contains(&text) {
                write!(f, ": {text}")?;
                told.push_str(&text);
            }
            source = cause.source();
        }
        Ok(())
    }
}
