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

/// Frames of 40 bytes (32 of a message) and messages of 100.
const SMALL: Limits = Limits {
    frame_bytes: 40,
    message_bytes: 100,
};

fn small_writer() -> FrameWriter {
    FrameWriter {
        limits: SMALL,
        ..FrameWriter::default()
    }
}

/// A message that is encoded in so many bytes: one of length before them.
fn message_of(bytes: usize) -> Vec<u8> {
    (1..bytes).map(|byte| byte as u8).collect()
}

#[test]
fn a_message_that_does_not_fit_leaves_the_writer_as_it_was() {
    let mut writer = small_writer();
    writer.push(Time(1), &1u8).unwrap();
    let before = writer.len();
    assert_eq!(
        writer.push(Time(1), &message_of(101)),
        Err(FrameError::MessageTooLong { bytes: 101 })
    );
    assert_eq!(writer.len(), before);
}

#[test]
fn a_long_message_travels_in_parts_between_others_however_slowly_it_comes() {
    // Parts of 32 bytes: 31 fit into one frame; 32 take a full one and an empty one that ends
    // the message; 100 take three full ones and 4 bytes.
    for (bytes, frames) in [(31, 1), (32, 2), (33, 2), (64, 3), (65, 3), (100, 4)] {
        let mut writer = small_writer();
        writer.push(Time(1), &message_of(4)).unwrap();
        let pushed = writer.push(Time(2), &message_of(bytes)).unwrap();
        assert_eq!(pushed, bytes + frames * FRAME_HEADER_BYTES);
        writer.push(Time(3), &message_of(5)).unwrap();
        let mut reader = FrameReader::with_limits(SMALL);
        let mut received = Vec::new();
        for byte in writer.as_slice() {
            received.extend(read_all::<Vec<u8>>(&mut reader, &[*byte]).unwrap());
        }
        let expected = [
            (Time(1), 4 + FRAME_HEADER_BYTES, message_of(4)),
            (Time(2), pushed, message_of(bytes)),
            (Time(3), 5 + FRAME_HEADER_BYTES, message_of(5)),
        ];
        let received: Vec<_> = received
            .into_iter()
            .map(|frame| (frame.sent_at, frame.bytes, frame.message))
            .collect();
        assert_eq!(received, expected);
        assert_eq!(reader.parts.capacity(), 0, "what parts took is given back");
    }
}

#[test]
fn parts_without_their_last_wait_and_take_no_more_than_arrived() {
    let mut writer = small_writer();
    writer.push(Time(1), &message_of(100)).unwrap();
    let mut reader = FrameReader::with_limits(SMALL);
    // Three parts of 44 bytes with their lengths have come, and the fourth not whole.
    let cut = &writer.as_slice()[..writer.len() - 1];
    assert_eq!(read_all::<Vec<u8>>(&mut reader, cut).unwrap(), []);
    assert_eq!(reader.parts.len(), 96);
}

#[test]
fn parts_beyond_the_longest_message_are_refused_before_they_are_kept() {
    let part = [header(32, Time(1)).as_slice(), &[7; 32]].concat();
    let mut reader = FrameReader::with_limits(SMALL);
    assert_eq!(
        read_all::<Vec<u8>>(&mut reader, &part.repeat(3)).unwrap(),
        []
    );
    assert_eq!(
        read_all::<Vec<u8>>(&mut reader, &part),
        Err(FrameError::MessageTooLong { bytes: 128 })
    );
    assert_eq!(reader.parts.len(), 96);

    // The last part may be what makes it too long: 3 x 32 + 5 = 101.
    let last = [header(5, Time(1)).as_slice(), &[7; 5]].concat();
    let mut reader = FrameReader::with_limits(SMALL);
    assert_eq!(
        read_all::<Vec<u8>>(&mut reader, &[part.repeat(3), last].concat()),
        Err(FrameError::MessageTooLong { bytes: 101 })
    );
}

#[test]
fn a_message_longer_than_a_frame_may_be_arrives() {
    let message = "x".repeat(FRAME_BYTES_MAX + 1);
    let mut writer = FrameWriter::default();
    let pushed = writer.push(Time(1), &message).unwrap();
    assert!(pushed > FRAME_BYTES_MAX);
    let received = read_all::<String>(&mut FrameReader::default(), writer.as_slice()).unwrap();
    assert_eq!(received.len(), 1);
    assert!(received[0].message == message);
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
    fn garbage_in_parts_is_refused_or_waits_but_never_panics_nor_grows(
        pieces in proptest::collection::vec(
            (20..34usize, proptest::collection::vec(any::<u8>(), 31..33)), 0..20)
    ) {
        let mut reader = FrameReader::with_limits(SMALL);
        for (stated, piece) in &pieces {
            // Most lengths lie; the full ones, 32, go on with what came before.
            let frame = [header(*stated, Time(1)).as_slice(), piece].concat();
            if read_all::<Vec<(u64, String)>>(&mut reader, &frame).is_err() {
                break;
            }
        }
        prop_assert!(reader.parts.len() <= SMALL.message_bytes);
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
