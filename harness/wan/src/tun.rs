//! A router in user space: packets between regions, delayed by the link core.
//!
//! Every region has a TUN device, and one thread reads what regions send, asks the link
//! ([`datagram`]) when or whether it arrives, and writes it to the receiver's device then. Programs
//! in the regions are unmodified, and so is their TCP: a lost packet is really sent again. A region
//! reaches itself through its own link too, so clients and replica of a region are a LAN apart.
//!
//! Left out: packets that are not IPv4 between regions are dropped; a packet's send time is when the
//! router read it, some 20 us after it was sent; nothing is reordered or duplicated.
//!
//! - [`datagram`]: what becomes of a packet (pure);
//! - [`router`]: the handle of the thread that moves packets;
//! - [`device`]: TUN devices;
//! - [`report`]: what passed.

pub mod datagram;
pub mod device;
mod fabric;
mod packet;
pub mod report;
pub mod router;
mod worker;

pub use fabric::TunFabric;
pub use report::RouterReport;
