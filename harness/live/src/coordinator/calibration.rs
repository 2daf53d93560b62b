//! From probes to the record's calibration.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::record::{Calibration, LinkCalibration};
use longhaul_experiment::{LinkId, Topology};
use longhaul_wan::calibrate::{Probe, link_calibration};

use crate::messages::ProbeSample;

/// Summarises probes link by link.
pub(super) fn summarise(
    scheduling: &str,
    compensation: Duration,
    topology: &Topology,
    samples: &[ProbeSample],
) -> Calibration {
    let mut links: BTreeMap<LinkId, Vec<Probe>> = BTreeMap::new();
    for sample in samples {
        links.entry(sample.link).or_default().push(Probe {
            asked: Duration::from_nanos(sample.asked_ns),
            achieved: Duration::from_nanos(sample.achieved_ns),
        });
    }
    Calibration {
        scheduling: scheduling.to_owned(),
        compensation_ns: compensation.as_nanos() as u64,
        links: links
            .into_iter()
            .map(|(link, probes)| -> LinkCalibration {
                let name = |region| topology.region_name(region);
                link_calibration(name(link.from), name(link.to), &probes)
            })
            .collect(),
    }
}
