//! **single-activation**
