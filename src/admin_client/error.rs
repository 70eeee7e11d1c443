//! Why a command did not get what it asked for, and what that means for what it asked.

use std::io;

use http::uri::Authority;

use crate::protocol::Refused;

/// Why a command did not get what it asked the server for.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is none that can be connected to. Nothing was sent.
    #[error("'{url}' is no address of a listener for operators: write http://127.0.0.1:7879")]
    InvalidUrl {
        /// What `--admin` said.
        url: String,
    },
    /// Nothing answers there. Nothing was sent.
    #[error(
        "no server answers at http://{authority}: is it running, and is this its admin_listen? (--admin or ABIDE_ADMIN says another)"
    )]
    NoServer {
        /// Host and port.
        authority: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or fell silent, before the answer was whole; or somebody between here and
    /// the server answered for it.
    #[error(
        "the answer of http://{authority} was lost, so it is unknown whether it was done: look before you repeat it"
    )]
    AnswerLost {
        /// Host and port.
        authority: String,
        /// What broke.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What answers does not speak this API: another program, or a server of another release.
    #[error(
        "what answers at http://{authority} is no server of this release: {found}. --admin takes the address of admin_listen"
    )]
    NotOurs {
        /// Host and port.
        authority: String,
        /// What it said.
        found: String,
    },
    /// The server said no, or failed.
    #[error("{detail} ({code}; effect {effect}: {})", effect_said(effect))]
    Refused {
        /// The code; its page is `/errors/{code}`.
        code: String,
        /// Sentence for people.
        detail: String,
        /// "none" or "unknown".
        effect: String,
    },
}

fn effect_said(effect: &str) -> &'static str {
    match effect {
        "none" => "nothing was changed",
        _ => "it may have been done",
    }
}

impl AdminError {
    pub(super) fn lost(
        authority: &Authority,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::AnswerLost {
            authority: authority.to_string(),
            source: source.into(),
        }
    }

    pub(super) fn not_ours(authority: &Authority, found: String) -> Self {
        Self::NotOurs {
            authority: authority.to_string(),
            found,
        }
    }

    /// The exit code of a command that ends with it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoServer { .. } => 3,
            Self::AnswerLost { .. } => 4,
            Self::Refused { effect, .. } if effect != "none" => 4,
            Self::InvalidUrl { .. } | Self::NotOurs { .. } | Self::Refused { .. } => 1,
        }
    }
}

impl From<Refused> for AdminError {
    fn from(refused: Refused) -> Self {
        let Refused {
            code,
            detail,
            effect,
        } = refused;
        Self::Refused {
            code,
            detail,
            effect,
        }
    }
}
