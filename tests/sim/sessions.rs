//! **sessions**
