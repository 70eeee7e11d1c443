//! The server from outside: real sockets, free ports, and where it matters the real binary.
//!
//! One test program with many modules, because linking is what takes the time. Each says
//! `cfg(test)` for clippy, which lets helpers outside a test function unwrap only there.

#[cfg(test)]
mod support;

#[cfg(test)]
mod admin;
#[cfg(test)]
mod alarms;
#[cfg(test)]
mod assets;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod check;
#[cfg(test)]
mod config;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod durable;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod heartbeat;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod large_state;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod raw_http;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod send;
#[cfg(test)]
mod sse;
#[cfg(test)]
mod surface;
#[cfg(test)]
mod websocket;
#[cfg(test)]
mod write_through;
