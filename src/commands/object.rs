//! What the commands on one object share.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::str::FromStr;
use std::{fmt, fs};

use abide_storage::{Namespace, Object, ObjectId};
use clap::Args;

use crate::admin_client::segment;
use crate::error::{Error, Result};
use crate::protocol::{InvalidObjectName, split_address};

/// Largest file that is read, bytes: as much as the server takes.
const FILE_SIZE_MAX_BYTES: u64 = 64 << 20;

/// `namespace/name`, or `namespace/id:<64 hex digits>`.
#[derive(Debug, Clone)]
pub(super) struct ObjectName {
    namespace: String,
    name: String,
}

impl ObjectName {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Its identity.
    ///
    /// # Errors
    /// [`Error::ObjectName`] when the namespace is none, or the id belongs to another.
    pub(super) fn object(&self) -> Result<Object> {
        let invalid = |problem: String| Error::ObjectName {
            object: self.to_string(),
            problem,
        };
        let namespace = Namespace::new(&self.namespace).map_err(|e| invalid(e.to_string()))?;
        let id = match self.name.strip_prefix("id:") {
            Some(id) => ObjectId::parse(&namespace, id).map_err(|e| invalid(e.to_string()))?,
            None => ObjectId::from_name(&namespace, &self.name),
        };
        Ok(Object { namespace, id })
    }

    /// Where the admin API has it.
    pub(super) fn path(&self) -> String {
        let (namespace, name) = (segment(&self.namespace), segment(&self.name));
        format!("/admin/v1/objects/{namespace}/{name}")
    }
}

impl FromStr for ObjectName {
    type Err = InvalidObjectName;

    fn from_str(text: &str) -> Result<Self, InvalidObjectName> {
        let (namespace, name) = split_address(text)?;
        Ok(Self::new(namespace, name))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Which object may be replaced, and with what.
#[derive(Debug, Args)]
pub(super) struct Terms {
    /// Replaces the object when it is there.
    #[arg(long)]
    replace: bool,
    /// Replaces it only when it is at this version.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// Leaves the alarms out, so that the object does nothing by itself.
    #[arg(long)]
    without_alarms: bool,
}

impl Terms {
    /// As the admin API takes them.
    pub(super) fn query(&self) -> String {
        let Self {
            replace,
            if_version,
            without_alarms,
        } = self;
        let version = if_version.map_or(String::new(), |version| format!("&version={version}"));
        format!("replace={replace}&without_alarms={without_alarms}{version}")
    }
}

/// All of a file, or of standard input.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin()
            .take(FILE_SIZE_MAX_BYTES + 1)
            .read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(FILE_SIZE_MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    let read = read.and_then(|size| {
        if size as u64 > FILE_SIZE_MAX_BYTES {
            let said = format!("it is larger than {FILE_SIZE_MAX_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, said));
        }
        Ok(())
    });
    read.map_err(|source| Error::file(path, source))?;
    Ok(bytes)
}

/// Writes a file that is not there yet, whole and durable or not at all.
pub(super) fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .open(path)
        .map(|file| (file, Unfinished(Some(path))))
        .and_then(|(mut file, mut unfinished)| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // Its name, too, is to outlast a loss of power.
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            unfinished.0 = None;
            Ok(())
        });
    written.map_err(|source| Error::file(path, source))
}

/// Removes what was not finished: half a file must not be taken for an export.
struct Unfinished<'a>(Option<&'a Path>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            drop(fs::remove_file(path));
        }
    }
}
