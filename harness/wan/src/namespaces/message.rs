//! Messages between a network's processes: JSON behind a length, on pipes and sockets.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::identity::ProcessIdentity;
use super::{NetRequest, NetState, Place};

/// No message is longer: a profile of 254 regions takes some 20 MB.
const BYTES_MAX: u32 = 64 << 20;

/// What the supervisor sends to the holder.
#[derive(Serialize, Deserialize)]
pub(super) struct Start {
    pub request: NetRequest,
    pub directory: PathBuf,
    pub name: String,
}

/// What holder and init pass on.
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    pub request: NetRequest,
    pub directory: PathBuf,
    pub name: String,
    pub holder: ProcessIdentity,
    /// What was refused on the way that is not essential.
    pub warnings: Vec<String>,
}

impl Envelope {
    pub(super) fn place(&self) -> Result<Place, super::NetError> {
        Place::within(self.directory.clone(), &self.name)
    }
}

/// What the supervisor hears, once.
#[derive(Serialize, Deserialize)]
pub(super) enum Outcome {
    Ready(NetState),
    Failed(String),
}

/// The byte with which a supervisor says that the network is to outlive it.
pub(super) const OUTLIVE: u8 = b'o';

/// The byte with which a holder says to init that it will remove the files itself.
pub(super) const QUIT: u8 = b'q';

pub(super) fn send<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(&text);
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads exactly one message and nothing behind it.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > BYTES_MAX {
        let why = format!("a message of {length} bytes is announced, at most {BYTES_MAX} are read");
        return Err(io::Error::other(why));
    }
    let mut text = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut text)?;
    if text.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&text)?)
}

/// Returns standard input as a descriptor of its own.
pub(super) fn standard_input() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}

/// Opens `/dev/null` for reading and writing.
pub(super) fn nothing() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_one_by_one() {
        let mut bytes = Vec::new();
        send(&mut bytes, &vec![1, 2, 3]).unwrap();
        send(&mut bytes, &"second").unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(receive::<Vec<u8>>(&mut from).unwrap(), [1, 2, 3]);
        assert_eq!(receive::<String>(&mut from).unwrap(), "second");
        let end = receive::<String>(&mut from).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_message_that_is_cut_short_or_too_long_is_an_error() {
        let mut bytes = Vec::new();
        send(&mut bytes, &"text").unwrap();
        assert!(receive::<String>(&mut &bytes[..bytes.len() - 1]).is_err());
        assert!(receive::<String>(&mut [0xff; 8].as_slice()).is_err());
    }
}
