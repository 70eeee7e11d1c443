//! **one-turn**
