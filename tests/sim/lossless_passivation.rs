//! **lossless-passivation**
