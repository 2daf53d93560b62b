//! What the clients of a region, or of all regions of a mode, saw of writes or reads together.

use longhaul_analysis::latency::{LatencyMs, merge};
use longhaul_experiment::record::{KindRecord, ModeRecord, RegionRecord};

use crate::chart::Shown;

/// Merges what all client regions of a mode saw of writes or reads; `None` when none was due.
///
/// Intervals are left out. It takes about a millisecond per region.
pub fn overall(mode: &ModeRecord, shown: Shown) -> Option<KindRecord> {
    merged(&mode.regions, shown)
}

/// Merges what the clients of one region saw of writes or reads; `None` when none was due.
///
/// Intervals are left out.
pub fn of_region(region: &RegionRecord, shown: Shown) -> Option<KindRecord> {
    merged(std::slice::from_ref(region), shown)
}

fn merged(regions: &[RegionRecord], shown: Shown) -> Option<KindRecord> {
    let mut whole = KindRecord::default();
    let kinds = regions.iter().flat_map(|region| &region.kinds);
    for (_, record) in kinds.filter(|(kind, _)| shown.includes(**kind)) {
        merge(&mut whole, record);
    }
    (whole.due > 0).then_some(whole)
}

/// Returns the percentiles of all operations due.
pub fn percentiles(whole: &KindRecord) -> LatencyMs {
    LatencyMs::ranked(&whole.latency, whole.due)
}
