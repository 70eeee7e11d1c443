//! Names of this machine, as a list in one setting.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Host names, written with commas between them; may be empty. Compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

/// The text is no list of host names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is no host name: write names without scheme and port, with commas between them")]
pub struct InvalidHostName {
    found: String,
}

impl HostNames {
    /// Whether the name is one of them.
    #[must_use]
    pub fn contain(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl FromStr for HostNames {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, InvalidHostName> {
        let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let name = |name: &str| {
            if name.chars().all(plain) {
                Ok(name.to_owned())
            } else {
                let found = name.chars().take(80).collect();
                Err(InvalidHostName { found })
            }
        };
        names.map(name).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for HostNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl Serialize for HostNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::HostNames;

    #[test]
    fn names_are_read_and_compared_without_regard_to_case() {
        let names: HostNames = " abide.internal, b ,".parse().unwrap();
        assert!(names.contain("Abide.Internal") && names.contain("b"));
        assert!(!names.contain("") && !names.contain("abide"));
        assert_eq!(names.to_string(), "abide.internal,b");
        for wrong in ["http://a", "a:1", "a b", "*"] {
            assert!(wrong.parse::<HostNames>().is_err(), "{wrong}");
        }
    }
}
