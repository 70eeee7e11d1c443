//! The simulation by itself, then rooms in a world without ports.

mod rooms;
mod simulation;
