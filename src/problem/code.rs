//! The table of error codes: each with its status, its title and its page.

/// One kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// Stable word for programs, kebab-case.
    pub(crate) name: &'static str,
    /// HTTP status, unless actor code chooses another.
    pub(crate) status: u16,
    /// The same few words every time, for people.
    pub(crate) title: &'static str,
    /// Markdown: meaning, effect, what to do, an example.
    pub(crate) page: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $name:literal, $status:literal, $title:literal;)+) => {
        $(
            pub(crate) static $constant: Code = Code {
                name: $name,
                status: $status,
                title: $title,
                page: include_str!(concat!("../../docs/errors/", $name, ".md")),
            };
        )+

        /// Every code there is, in the order of its status.
        pub(crate) static CODES: &[&Code] = &[$(&$constant),+];
    };
}

codes! {
    BODY_UNREADABLE = "body-unreadable", 400, "Body broke off";
    IDEMPOTENCY_KEY_INVALID = "idempotency-key-invalid", 400, "Not an idempotency key";
    INVALID_ARGUMENTS = "invalid-arguments", 400, "Arguments do not fit the method";
    INVALID_BODY = "invalid-body", 400, "Body is not what the path takes";
    INVALID_OBJECT_FILE = "invalid-object-file", 400, "Not an exported object";
    INVALID_DEADLINE = "invalid-deadline", 400, "Deadline cannot be obeyed";
    INVALID_HANDSHAKE = "invalid-handshake", 400, "Not a WebSocket handshake";
    INVALID_OBJECT = "invalid-object", 400, "Path names no object";
    INVALID_PRESENCE = "invalid-presence", 400, "Presence state too large or too deep";
    RESUME_FROM_THE_FUTURE = "resume-from-the-future", 400, "More counted than was sent";
    ADMIN_REFUSED = "admin-refused", 403, "Request may come from a web page";
    INVALID_RESUME_TOKEN = "invalid-resume-token", 403, "Resume token not valid here";
    PRESENCE_REFUSED = "presence-refused", 403, "Clients do not set their presence here";
    SESSION_REFUSED = "session-refused", 403, "Session refused by the object";
    NO_CALLBACK = "no-callback", 404, "Objects of this namespace do not take this";
    NOT_FOUND = "not-found", 404, "No such path";
    OBJECT_NOT_FOUND = "object-not-found", 404, "Object was never written";
    UNKNOWN_ALARM = "unknown-alarm", 404, "No such alarm";
    UNKNOWN_METHOD = "unknown-method", 404, "No such method";
    UNKNOWN_NAMESPACE = "unknown-namespace", 404, "No such namespace";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "HTTP method does not fit the path";
    NOT_A_READ = "not-a-read", 405, "Method writes and cannot be called by GET";
    BODY_TIMEOUT = "body-timeout", 408, "Body took too long";
    OBJECT_EXISTS = "object-exists", 409, "Object exists already";
    BACKUP_REFUSED = "backup-refused", 409, "Backup cannot be made like this";
    SESSION_TAKEN_OVER = "session-taken-over", 409, "Another connection took the session up";
    VERSION_MISMATCH = "version-mismatch", 412, "Object is at another version";
    BODY_TOO_LARGE = "body-too-large", 413, "Body too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "Arguments of a type that cannot be read";
    ACTOR_ERROR = "actor-error", 422, "Refused by the object";
    COMMIT_TOO_LARGE = "commit-too-large", 422, "Turn wrote too much";
    IMAGE_TOO_LARGE = "image-too-large", 422, "Object too large for an export";
    INVALID_IMAGE = "invalid-image", 422, "Object cannot be made of the file";
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused", 422, "Idempotency key came with another call";
    KIND_MISMATCH = "kind-mismatch", 422, "Objects of different kinds";
    INVALID_CRON = "invalid-cron", 422, "Cron expression cannot be used";
    LIMIT_EXCEEDED = "limit-exceeded", 422, "Limit of a turn exceeded";
    UPGRADE_REQUIRED = "upgrade-required", 426, "A session needs a WebSocket or an event stream";
    IDEMPOTENCY_KEYS_FULL = "idempotency-keys-full", 429, "Too many idempotency keys on the object";
    ACTOR_PANICKED = "actor-panicked", 500, "Object's code failed";
    BACKUP_FAILED = "backup-failed", 500, "Backup or history could not be read or written";
    CALL_DROPPED = "call-dropped", 500, "Call dropped without an answer";
    COMMIT_UNKNOWN = "commit-unknown", 500, "Outcome of the commit unknown";
    STATE_UNREADABLE = "state-unreadable", 500, "Stored state cannot be read";
    STORE_UNREADABLE = "store-unreadable", 500, "Store cannot be read";
    UNENCODABLE = "unencodable", 500, "Value cannot be encoded";
    CALL_FAILED = "call-failed", 502, "Call to another object failed";
    DRAINING = "draining", 503, "Server is shutting down";
    FENCED = "fenced", 503, "Object moved";
    MEMORY_EXHAUSTED = "memory-exhausted", 503, "Memory used up";
    OUTBOX_FULL = "outbox-full", 503, "Object has too many messages to deliver";
    OVERLOADED = "overloaded", 503, "Mailbox full";
    SERVER_BUSY = "server-busy", 503, "Server busy";
    STORE_REFUSED = "store-refused", 503, "Store takes no writes";
    TOO_MANY_CONNECTIONS = "too-many-connections", 503, "Too many connections";
    TOO_MANY_SESSIONS = "too-many-sessions", 503, "Too many sessions on the object";
    DEADLINE_EXCEEDED = "deadline-exceeded", 504, "Deadline passed";
    DISK_FULL = "disk-full", 507, "Disk full";
    DEADLOCK = "deadlock", 508, "Objects wait for each other";
}
