//! **fenced**
