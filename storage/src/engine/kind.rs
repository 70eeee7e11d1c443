//! The engines there are, by name.

/// Which engine keeps the rows that have left the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// sled 0.34 with the measures that make it survive power loss. The default.
    #[cfg(feature = "sled")]
    Sled,
    /// redb 4.
    #[cfg(feature = "redb")]
    Redb,
    /// A map in memory. The log alone is durable, is never shortened and is read from its
    /// beginning at every opening: for tests and for small, short-lived data.
    Memory,
}

impl EngineKind {
    /// Whether it forgets its rows with the process.
    #[must_use]
    pub fn is_volatile(self) -> bool {
        matches!(self, Self::Memory)
    }

    /// The name in configuration and in the data folder's `FORMAT` file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            #[cfg(feature = "sled")]
            Self::Sled => "sled",
            #[cfg(feature = "redb")]
            Self::Redb => "redb",
            Self::Memory => "memory",
        }
    }

    /// The kind with this name, if this build has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let kinds = [
            #[cfg(feature = "sled")]
            Self::Sled,
            #[cfg(feature = "redb")]
            Self::Redb,
            Self::Memory,
        ];
        kinds.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Default for EngineKind {
    fn default() -> Self {
        #[cfg(feature = "sled")]
        return Self::Sled;
        #[cfg(all(feature = "redb", not(feature = "sled")))]
        return Self::Redb;
        #[cfg(not(any(feature = "redb", feature = "sled")))]
        return Self::Memory;
    }
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
