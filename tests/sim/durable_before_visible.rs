//! **durable-before-visible**
