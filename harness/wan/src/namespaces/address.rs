//! Addresses inside a network. They are seen by nobody outside, so every network has the same.

use std::net::Ipv4Addr;

use longhaul_experiment::ids::RegionIndex;

/// The most regions of a network: the third byte of the address tells them apart.
pub const REGIONS_MAX: usize = 254;

/// The bits of the prefix that all regions share.
pub const PREFIX_LENGTH: u8 = 16;

/// The network device that leads from a region to all others.
pub const DEVICE: &str = "wan0";

/// Returns a region's address: 10.77.1.1 for the first, 10.77.2.1 for the second, and so on.
pub fn address(region: RegionIndex) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, region.0.saturating_add(1).min(255) as u8, 1)
}

/// Returns the region of an address; `None` when it is none of the first `regions`.
pub fn region(address: [u8; 4], regions: usize) -> Option<RegionIndex> {
    let [10, 77, number, 1] = address else {
        return None;
    };
    let index = u16::from(number).checked_sub(1)?;
    (usize::from(index) < regions).then_some(RegionIndex(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_is_found_by_its_address() {
        for index in 0..REGIONS_MAX as u16 {
            let octets = address(RegionIndex(index)).octets();
            assert_eq!(region(octets, REGIONS_MAX), Some(RegionIndex(index)));
        }
    }

    #[test]
    fn addresses_outside_belong_to_no_region() {
        for outside in [
            [10, 77, 4, 1],
            [10, 77, 0, 1],
            [10, 77, 1, 2],
            [10, 78, 1, 1],
            [224, 0, 0, 1],
        ] {
            assert_eq!(region(outside, 3), None, "{outside:?}");
        }
    }
}
