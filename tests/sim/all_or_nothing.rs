//! **all-or-nothing**
