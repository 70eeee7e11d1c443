//! The server from outside: real sockets, free ports, and where it matters the real binary.
//!
//! One test program with many modules, because linking is what takes the time.

mod support;

mod bad_input;
mod calls;
mod config;
mod crash;
mod drain;
mod limits;
mod raw_http;
mod surface;
mod websocket;
