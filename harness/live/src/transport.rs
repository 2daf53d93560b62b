//! How replicas and clients talk: frames on TCP connections of 127.0.0.1.

mod connection;
mod frame;

pub use connection::{Inbound, Outbound, accept, dial, listen};
pub use frame::{
    FRAME_BYTES_MAX, FrameError, FrameReader, FrameWriter, MESSAGE_BYTES_MAX, Received,
};
