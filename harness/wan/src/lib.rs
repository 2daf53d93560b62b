//! The emulated wide-area network.
//!
//! Start with [`link`]: it says when a frame leaves a link, purely and from a seed, and the
//! simulator and the live transport share it. Then:
//!
//! 1. [`marginal`], [`jitter`], [`loss`]: the parts of a link's delay;
//! 2. [`clock`], [`delay_line`]: releasing frames at their instants on a real machine;
//! 3. [`calibrate`], [`machine`]: how exact that was, and what this machine permits;
//! 4. `namespaces`: regions as network namespaces (Linux);
//! 5. `tun`, `netem`: what delays packets between them, in user space and in the kernel (Linux).

pub mod calibrate;
pub mod clock;
pub mod delay_line;
pub mod jitter;
pub mod link;
pub mod loss;
pub mod machine;
pub mod marginal;
#[cfg(target_os = "linux")]
pub mod namespaces;
#[cfg(target_os = "linux")]
pub mod netem;
#[cfg(target_os = "linux")]
pub mod tun;

mod draws;
mod gamma;
mod normal;
