//! Frames: a length, the logical send time, and a message.
//!
//! A frame is a 4-byte big-endian length (of what follows), 8 bytes of little-endian logical send
//! time in nanoseconds of the run's clock, and a postcard-encoded message. Whatever arrives, the
//! reader holds at most one frame of [`FRAME_BYTES_MAX`] and one read of the socket.

use bytes::{Buf, BytesMut};
use longhaul_experiment::Time;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

/// The most bytes of a frame after its length: 16 MiB.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// What a frame adds to its message: length and send time.
pub const HEADER_BYTES: usize = LENGTH_BYTES + TIME_BYTES;

const LENGTH_BYTES: usize = 4;
const TIME_BYTES: usize = 8;

/// Why a connection's bytes are refused. The connection is of no further use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stated length is above the maximum.
    #[error(
        "a frame states more than {FRAME_BYTES_MAX} bytes: the peer does not speak this protocol"
    )]
    TooLong,
    /// The frame is shorter than its send time.
    #[error("a frame of {bytes} bytes is too short for its send time")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// The message does not decode.
    #[error("a frame of {bytes} bytes does not hold a message: {why}")]
    Malformed {
        /// Its length.
        bytes: usize,
        /// What the decoder says.
        why: postcard::Error,
    },
    /// Bytes follow the message.
    #[error("{bytes} bytes follow the message of a frame")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The message to be sent is longer than a frame may be.
    #[error("a message of {bytes} bytes does not fit into a frame of {FRAME_BYTES_MAX}")]
    MessageTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<T> {
    /// When the sender says it sent it.
    pub sent_at: Time,
    /// The frame's bytes, length and time included.
    pub bytes: usize,
    /// What it carries.
    pub message: T,
}

/// Collects frames to be written in one go.
#[derive(Debug, Default)]
pub struct FrameWriter {
    buffer: Vec<u8>,
}

impl FrameWriter {
    /// Appends a frame and returns its bytes.
    ///
    /// # Errors
    ///
    /// [`FrameError::MessageTooLong`]; nothing is appended then.
    pub fn push<T: Serialize>(&mut self, sent_at: Time, message: &T) -> Result<usize, FrameError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        self.buffer
            .extend_from_slice(&sent_at.as_nanos().to_le_bytes());
        postcard::serialize_with_flavor(message, Appending(&mut self.buffer))
            .expect("encoding into memory succeeds");
        let length = self.buffer.len() - start - LENGTH_BYTES;
        if length > FRAME_BYTES_MAX {
            self.buffer.truncate(start);
            return Err(FrameError::MessageTooLong { bytes: length });
        }
        self.buffer[start..start + LENGTH_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(length + LENGTH_BYTES)
    }

    /// Says whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Returns the bytes that wait.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Swaps the frames out against an empty buffer.
    pub fn swap(&mut self, empty: &mut Vec<u8>) {
        debug_assert!(empty.is_empty());
        std::mem::swap(&mut self.buffer, empty);
    }

    /// Returns the frames' bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }
}

/// A postcard flavor that appends to a buffer.
struct Appending<'a>(&'a mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Splits a stream of bytes into frames.
#[derive(Debug)]
pub struct FrameReader {
    codec: LengthDelimitedCodec,
    buffer: BytesMut,
}

impl Default for FrameReader {
    fn default() -> FrameReader {
        FrameReader {
            codec: LengthDelimitedCodec::builder()
                .length_field_length(LENGTH_BYTES)
                .max_frame_length(FRAME_BYTES_MAX)
                .new_codec(),
            buffer: BytesMut::with_capacity(64 << 10),
        }
    }
}

impl FrameReader {
    /// Returns the buffer that the socket is read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < 16 << 10 {
            self.buffer.reserve(64 << 10);
        }
        &mut self.buffer
    }

    /// Takes the next complete frame; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// The bytes are no frame of such messages.
    pub fn next_frame<T: DeserializeOwned>(&mut self) -> Result<Option<Received<T>>, FrameError> {
        let frame = self
            .codec
            .decode(&mut self.buffer)
            .map_err(|_| FrameError::TooLong)?;
        let Some(mut frame) = frame else {
            return Ok(None);
        };
        let length = frame.len();
        if length < TIME_BYTES {
            return Err(FrameError::TooShort { bytes: length });
        }
        let sent_at = Time::from_nanos(frame.get_u64_le());
        let (message, rest) = postcard::take_from_bytes(&frame)
            .map_err(|why| FrameError::Malformed { bytes: length, why })?;
        if !rest.is_empty() {
            return Err(FrameError::Trailing { bytes: rest.len() });
        }
        Ok(Some(Received {
            sent_at,
            bytes: length + LENGTH_BYTES,
            message,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all<T: DeserializeOwned>(
        reader: &mut FrameReader,
        bytes: &[u8],
    ) -> Result<Vec<Received<T>>, FrameError> {
        reader.buffer().extend_from_slice(bytes);
        let mut received = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            received.push(frame);
        }
        Ok(received)
    }

    #[test]
    fn frames_survive_a_sender_that_writes_one_byte_at_a_time() {
        let mut writer = FrameWriter::default();
        for number in 0..3u64 {
            writer
                .push(Time(number), &(number, "message".to_owned()))
                .unwrap();
        }
        let mut reader = FrameReader::default();
        let mut received = Vec::new();
        for byte in writer.as_slice() {
            received.extend(read_all::<(u64, String)>(&mut reader, &[*byte]).unwrap());
        }
        let numbers: Vec<u64> = received.iter().map(|frame| frame.message.0).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let bytes: usize = received.iter().map(|frame| frame.bytes).sum();
        assert_eq!(bytes, writer.len());
    }

    #[test]
    fn a_truncated_frame_waits_and_an_oversize_one_is_refused_before_memory_is_taken() {
        let mut writer = FrameWriter::default();
        writer.push(Time(1), &7u64).unwrap();
        let mut reader = FrameReader::default();
        let cut = &writer.as_slice()[..writer.len() - 1];
        assert_eq!(read_all::<u64>(&mut reader, cut).unwrap(), []);

        let mut reader = FrameReader::default();
        let length = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
        assert_eq!(
            read_all::<u64>(&mut reader, &length),
            Err(FrameError::TooLong)
        );
        assert!(reader.buffer.capacity() <= 128 << 10);
    }

    #[test]
    fn a_frame_with_too_little_or_too_much_in_it_is_refused() {
        let short = [0, 0, 0, 2, 1, 2];
        assert_eq!(
            read_all::<u64>(&mut FrameReader::default(), &short),
            Err(FrameError::TooShort { bytes: 2 })
        );
        let mut writer = FrameWriter::default();
        writer.push(Time(1), &(7u8, 9u8)).unwrap();
        assert_eq!(
            read_all::<u8>(&mut FrameReader::default(), writer.as_slice()),
            Err(FrameError::Trailing { bytes: 1 })
        );
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_the_writer_as_it_was() {
        let mut writer = FrameWriter::default();
        writer.push(Time(1), &1u8).unwrap();
        let before = writer.len();
        let long = vec![1u8; FRAME_BYTES_MAX];
        assert!(matches!(
            writer.push(Time(1), &long),
            Err(FrameError::MessageTooLong { .. })
        ));
        assert_eq!(writer.len(), before);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn garbage_is_refused_or_waits_but_never_panics_nor_grows(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)
        ) {
            let mut reader = FrameReader::default();
            for piece in &pieces {
                if read_all::<Vec<(u64, String)>>(&mut reader, piece).is_err() {
                    break;
                }
            }
            prop_assert!(reader.buffer.capacity() <= 2 * FRAME_BYTES_MAX);
        }

        #[test]
        fn what_is_written_is_read(messages in proptest::collection::vec(any::<(u64, String)>(), 0..20)) {
            let mut writer = FrameWriter::default();
            for message in &messages {
                writer.push(Time(message.0), message).unwrap();
            }
            let received = read_all::<(u64, String)>(&mut FrameReader::default(), writer.as_slice()).unwrap();
            prop_assert!(received.iter().all(|frame| frame.sent_at == Time(frame.message.0)));
            let read: Vec<_> = received.into_iter().map(|frame| frame.message).collect();
            prop_assert_eq!(read, messages);
        }
    }
}
