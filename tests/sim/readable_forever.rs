//! **readable-forever**
