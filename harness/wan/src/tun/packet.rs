//! What the router reads of a packet, and the memory that packets wait in.

/// The header before each packet (`struct virtio_net_hdr`): says how the kernel is to cut a large
/// packet into segments and complete its checksum. It is passed on as it came.
pub(super) const HEADER_BYTES: usize = 10;

/// A packet of the largest size with its header.
pub(super) const LARGE_BYTES: usize = HEADER_BYTES + 65_535;

/// A packet of the device's MTU with its header fits.
pub(super) const SMALL_BYTES: usize = 2048;

/// Buffers kept for reuse, of each size.
const KEPT_MAX: usize = 4096;

/// Returns an IPv4 packet's destination; `None` for anything else.
pub(super) fn destination(packet: &[u8]) -> Option<[u8; 4]> {
    let (first, rest) = packet.get(HEADER_BYTES..)?.split_first()?;
    if first >> 4 != 4 {
        return None;
    }
    // Bytes 16 to 19 of the header (RFC 791, section 3.1), of which the first was split off.
    rest.get(15..19)?.try_into().ok()
}

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Packet {
    buffer: Box<[u8]>,
    length: usize,
}

impl Packet {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    pub(super) fn into_buffer(self) -> Box<[u8]> {
        self.buffer
    }
}

/// Buffers in two sizes. Small packets are copied into small buffers, so that a queue of many takes
/// the memory of what is in it.
#[derive(Debug)]
pub(super) struct Buffers {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
    /// What packets are read into.
    pub(super) reading: Box<[u8]>,
}

impl Buffers {
    pub(super) fn new() -> Buffers {
        Buffers {
            small: Vec::new(),
            large: Vec::new(),
            reading: buffer(LARGE_BYTES),
        }
    }

    /// Takes the packet of `length` bytes that was read into [`Buffers::reading`].
    pub(super) fn take(&mut self, length: usize) -> Packet {
        if length <= SMALL_BYTES {
            let mut small = self.small.pop().unwrap_or_else(|| buffer(SMALL_BYTES));
            small[..length].copy_from_slice(&self.reading[..length]);
            return Packet {
                buffer: small,
                length,
            };
        }
        let next = self.large.pop().unwrap_or_else(|| buffer(LARGE_BYTES));
        Packet {
            buffer: std::mem::replace(&mut self.reading, next),
            length,
        }
    }

    /// Gives a packet's memory back.
    pub(super) fn give_back(&mut self, packet: Packet) {
        let buffer = packet.into_buffer();
        let kept = if buffer.len() == SMALL_BYTES {
            &mut self.small
        } else {
            &mut self.large
        };
        if kept.len() < KEPT_MAX {
            kept.push(buffer);
        }
    }
}

fn buffer(bytes: usize) -> Box<[u8]> {
    vec![0; bytes].into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_read_behind_the_header() {
        let mut packet = vec![0u8; HEADER_BYTES + 20];
        packet[HEADER_BYTES] = 0x45;
        packet[HEADER_BYTES + 16..].copy_from_slice(&[10, 77, 3, 1]);
        assert_eq!(destination(&packet), Some([10, 77, 3, 1]));
        assert_eq!(destination(&packet[..HEADER_BYTES + 19]), None);
        packet[HEADER_BYTES] = 0x60;
        assert_eq!(destination(&packet), None);
        assert_eq!(destination(&[]), None);
    }

    #[test]
    fn packets_keep_their_bytes_while_buffers_are_reused() {
        let mut buffers = Buffers::new();
        for length in [1, SMALL_BYTES, SMALL_BYTES + 1, LARGE_BYTES] {
            for round in 1..4u8 {
                buffers.reading[..length].fill(round);
                let packet = buffers.take(length);
                buffers.reading[..length].fill(0xff);
                assert_eq!(packet.bytes().len(), length);
                assert!(packet.bytes().iter().all(|&byte| byte == round));
                buffers.give_back(packet);
            }
        }
    }
}
