//! What all client regions of a mode saw together.

use longhaul_analysis::latency::{LatencyMs, merge};
use longhaul_experiment::record::{KindRecord, ModeRecord};

use crate::chart::Shown;

/// Merges what all client regions of a mode saw of writes or reads; `None` when none was due.
///
/// Intervals are left out. It takes about a millisecond per region.
pub fn overall(mode: &ModeRecord, shown: Shown) -> Option<KindRecord> {
    let mut whole = KindRecord::default();
    let kinds = mode.regions.iter().flat_map(|region| &region.kinds);
    for (_, record) in kinds.filter(|(kind, _)| shown.includes(**kind)) {
        merge(&mut whole, record);
    }
    (whole.due > 0).then_some(whole)
}

/// Returns the percentiles of all operations due.
pub fn percentiles(whole: &KindRecord) -> LatencyMs {
    LatencyMs::ranked(&whole.latency, whole.due)
}
