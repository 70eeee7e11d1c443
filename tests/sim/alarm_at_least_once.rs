//! **alarm-at-least-once**
