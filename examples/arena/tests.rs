//! The simulation by itself, then rooms in a world without ports.

mod away;
mod rooms;
mod simulation;
