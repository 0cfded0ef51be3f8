//! Frames of the watch stream between controller and router
