//! Histories in the forms of other checkers: Knossos, Elle and Porcupine.

mod elle;
mod events;
mod knossos;
mod porcupine;

pub use elle::to_elle_edn;
pub use knossos::to_knossos_edn;
pub use porcupine::to_porcupine;
