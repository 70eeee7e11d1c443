//! What the tests share: a server in this process, a server in its own, and clients that send
//! exactly what they are told.

pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod objects;
pub(crate) mod process;
pub(crate) mod socket;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use abide::config::Engine;
use abide::{Config, Running, Server};

/// How long a test waits for anything before it takes it that nothing will come. Never reached
/// by a passing test, on a slow and busy machine either.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Any free port of loopback.
pub(crate) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Settings for a server that leaves no trace.
pub(crate) fn config() -> Config {
    Config {
        listen: ANY_PORT,
        admin_listen: ANY_PORT,
        engine: Engine::Memory,
        ..Config::default()
    }
}

/// As many open files as this process may have: all tests share them, and a connection to a server
/// in this process is two. To be called by a test with hundreds, before it opens them.
pub(crate) fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Pulls the plug of a client's socket: whatever comes to it is dropped by the system before TCP sees it, so
/// that nothing is acknowledged, as when the machine or its network is gone.
#[cfg(target_os = "linux")]
pub(crate) fn unplug(socket: &tokio::net::TcpStream) {
    const RETURN_NOTHING: socket2::SockFilter = socket2::SockFilter::new(0x06, 0, 0, 0);
    let socket = socket2::SockRef::from(socket);
    socket.attach_filter(&[RETURN_NOTHING]).unwrap();
}

/// A server in this process with the objects of [`objects`].
pub(crate) async fn server() -> Running {
    server_with(config()).await
}

/// The same with other settings.
pub(crate) async fn server_with(config: Config) -> Running {
    Server::builder()
        .actor::<objects::Tally>("tally")
        .actor::<objects::Room>("room")
        .actor::<objects::Site>("site")
        .config(config)
        .start()
        .await
        .unwrap()
}
