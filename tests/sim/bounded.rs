//! **bounded**
