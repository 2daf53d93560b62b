//! What each checker accepts, what it must reject, and when it must not tell.

mod brute_force;
mod exports;
mod finals;
mod histories;
mod linearizability;
mod linearizability_properties;
mod sessions;
