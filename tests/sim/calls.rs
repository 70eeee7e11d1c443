//! **calls**
