//! Defects that a review found, each as the interleaving that showed it.
