//! A store on its way to a follower, in pieces.

use bytes::Bytes;

use super::log::Position;
use super::message::Piece;

/// The most bytes of one piece: far below the largest frame, so that a snapshot does not hold up
/// other messages for long.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// The most bytes of a snapshot on their way at once: 8 MiB in flight carry 27 MB/s over a round
/// trip of 300 ms.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;

/// A snapshot that a leader ships.
#[derive(Clone, Debug)]
pub(super) struct OutgoingSnapshot {
    position: Position,
    bytes: Bytes,
    sent: usize,
    received: usize,
}

impl OutgoingSnapshot {
    /// Begins to ship an encoded store that has executed `position`.
    pub(super) fn new(position: Position, bytes: Bytes) -> OutgoingSnapshot {
        OutgoingSnapshot {
            position,
            bytes,
            sent: 0,
            received: 0,
        }
    }

    /// Returns the last position that the store has executed.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Returns the encoded store.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the next piece, `None` when all is sent or enough is on its way.
    pub(super) fn next_piece(&mut self, term: u64) -> Option<Piece> {
        if self.sent == self.bytes.len() || self.sent - self.received >= IN_FLIGHT_BYTES_MAX {
            return None;
        }
        let end = self.bytes.len().min(self.sent + PIECE_BYTES_MAX);
        let piece = Piece {
            term,
            position: self.position,
            offset: self.sent as u64,
            total: self.bytes.len() as u64,
            bytes: self.bytes.slice(self.sent..end),
        };
        self.sent = end;
        Some(piece)
    }

    /// Takes the news that the follower has the first `received` bytes of the snapshot at
    /// `position`.
    pub(super) fn on_received(&mut self, position: Position, received: u64) {
        if position == self.position {
            let received = usize::try_from(received).unwrap_or(usize::MAX);
            self.received = self.received.max(received.min(self.sent));
        }
    }
}

/// A snapshot that a follower collects.
#[derive(Clone, Debug)]
pub(super) struct IncomingSnapshot {
    position: Position,
    bytes: Vec<u8>,
}

/// What a piece came to.
#[derive(Debug)]
pub(super) enum Progress {
    /// So many bytes are here.
    Partial(u64),
    /// This was the last one.
    Complete(Vec<u8>),
    /// The piece does not follow what is here.
    Misplaced,
}

impl IncomingSnapshot {
    /// Adds a piece to the snapshot that is being collected, if it belongs to it; a piece at
    /// offset 0 begins a new one.
    pub(super) fn add(collecting: &mut Option<IncomingSnapshot>, piece: &Piece) -> Progress {
        if piece.offset == 0 {
            *collecting = Some(IncomingSnapshot {
                position: piece.position,
                bytes: Vec::new(),
            });
        }
        let Some(incoming) = collecting.as_mut().filter(|incoming| {
            incoming.position == piece.position && incoming.bytes.len() as u64 == piece.offset
        }) else {
            return Progress::Misplaced;
        };
        incoming.bytes.extend_from_slice(&piece.bytes);
        let received = incoming.bytes.len() as u64;
        if received < piece.total {
            return Progress::Partial(received);
        }
        let bytes = std::mem::take(&mut incoming.bytes);
        *collecting = None;
        Progress::Complete(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_and_make_up_the_whole_again() {
        // 20 pieces of 1 MiB and half a one; at most 8 are on their way at once.
        let whole: Vec<u8> = (0..20 * PIECE_BYTES_MAX + PIECE_BYTES_MAX / 2)
            .map(|index| (index % 251) as u8)
            .collect();
        let position = Position { term: 1, index: 9 };
        let mut outgoing = OutgoingSnapshot::new(position, whole.clone().into());
        let mut collecting = None;
        let mut pieces = 0;
        let complete = 'all: loop {
            let burst: Vec<Piece> = std::iter::from_fn(|| outgoing.next_piece(1)).collect();
            assert!(!burst.is_empty() && burst.len() <= 8);
            for piece in burst {
                assert!(piece.bytes.len() <= PIECE_BYTES_MAX);
                pieces += 1;
                match IncomingSnapshot::add(&mut collecting, &piece) {
                    Progress::Partial(received) => outgoing.on_received(position, received),
                    Progress::Complete(bytes) => break 'all bytes,
                    Progress::Misplaced => panic!("in order"),
                }
            }
        };
        assert_eq!((pieces, complete == whole), (21, true));
    }
}
