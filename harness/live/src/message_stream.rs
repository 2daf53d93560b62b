//! Messages between the coordinator and an agent's process, over a Unix socket: frames as on the
//! connections between replicas, written and read by threads that may block.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use longhaul_experiment::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::transport::{FrameReader, FrameWriter};

/// The most bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// The writing end.
pub(crate) struct MessageWriter {
    stream: UnixStream,
    frames: FrameWriter,
}

impl MessageWriter {
    pub(crate) fn new(stream: UnixStream) -> MessageWriter {
        MessageWriter {
            stream,
            frames: FrameWriter::default(),
        }
    }

    /// Writes a message. Blocks while the other end does not read.
    ///
    /// # Errors
    ///
    /// The system's, and messages that are too long.
    pub(crate) fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.frames.clear();
        // Nothing on this connection is delayed, so nothing depends on when it was sent.
        self.frames
            .push(Time::ZERO, message)
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        self.stream.write_all(self.frames.as_slice())
    }
}

/// The reading end.
pub(crate) struct MessageReader {
    stream: UnixStream,
    frames: FrameReader,
    bytes: Vec<u8>,
}

impl MessageReader {
    pub(crate) fn new(stream: UnixStream) -> MessageReader {
        MessageReader {
            stream,
            frames: FrameReader::default(),
            bytes: vec![0; READ_BYTES],
        }
    }

    /// Waits for a message; `None` when the other end has closed the connection.
    ///
    /// # Errors
    ///
    /// The system's, and bytes that are no such message.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            let frame = self.frames.next_frame();
            let frame = frame.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
            if let Some(frame) = frame {
                return Ok(Some(frame.message));
            }
            let count = match self.stream.read(&mut self.bytes) {
                Ok(0) => return Ok(None),
                Ok(count) => count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return Err(why),
            };
            self.frames.buffer().extend_from_slice(&self.bytes[..count]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn messages_arrive_whole_and_in_order_until_the_other_end_closes() {
        let (one, other) = UnixStream::pair().unwrap();
        // The second is longer than what is read at once and than a socket holds.
        let messages = [vec![1_u8; 3], vec![2; 1 << 20], Vec::new()];
        let sent = messages.clone();
        let sending = thread::spawn(move || {
            let mut writer = MessageWriter::new(one);
            sent.iter()
                .for_each(|message| writer.send(message).unwrap());
        });
        let mut reader = MessageReader::new(other);
        for message in &messages {
            assert_eq!(reader.receive::<Vec<u8>>().unwrap().as_ref(), Some(message));
        }
        sending.join().unwrap();
        assert_eq!(reader.receive::<Vec<u8>>().unwrap(), None);
    }
}
