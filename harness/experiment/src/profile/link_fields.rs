//! The fields of a link in a profile's file, and their checks.

use std::time::Duration;

use serde::Deserialize;
use serde_spanned::Spanned;

use super::jitter_fields::JitterFields;
use super::parse::Reader;
use super::{Jitter, Link, Problem, ProfileError};

/// The largest one-way delay: 10 s, ten times what a geostationary satellite takes both ways.
pub(super) const MAX_ONE_WAY_MS: f64 = 10_000.0;

/// The largest rate, 1 Tbit/s, and the least, 1 kbit/s.
const RATE_MBPS: (f64, f64) = (0.001, 1_000_000.0);

/// A link as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkFields {
    between: Option<[Spanned<String>; 2]>,
    from: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
    one_way_ms: Option<Spanned<f64>>,
    rtt_ms: Option<Spanned<f64>>,
    jitter: Option<Spanned<JitterFields>>,
    round_trip_jitter: Option<Spanned<JitterFields>>,
    loss: Option<Spanned<f64>>,
    rate_mbps: Option<Spanned<f64>>,
}

/// A region's link to itself as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LanFields {
    one_way_ms: Option<Spanned<f64>>,
    rtt_ms: Option<Spanned<f64>>,
    jitter: Option<Spanned<JitterFields>>,
    round_trip_jitter: Option<Spanned<JitterFields>>,
    loss: Option<Spanned<f64>>,
    rate_mbps: Option<Spanned<f64>>,
}

/// What links state not otherwise.
pub(super) struct LinkDefaults {
    pub(super) jitter: Jitter,
    pub(super) loss: f64,
    pub(super) rate_bps: Option<u64>,
}

/// Where a link starts and ends.
pub(super) struct Ends<'a> {
    pub(super) from: &'a Spanned<String>,
    pub(super) to: &'a Spanned<String>,
    pub(super) both_directions: bool,
}

impl LinkFields {
    /// Returns the link's ends, or what is wrong with how they are stated.
    pub(super) fn ends(&self) -> Result<Ends<'_>, String> {
        match (&self.between, &self.from, &self.to) {
            (Some([from, to]), None, None) => Ok(Ends {
                from,
                to,
                both_directions: true,
            }),
            (None, Some(_), Some(_)) if self.rtt_ms.is_some() => Err(
                "a directed link states `one_way_ms`; `rtt_ms` is for links with `between`"
                    .to_owned(),
            ),
            (None, Some(from), Some(to)) => Ok(Ends {
                from,
                to,
                both_directions: false,
            }),
            _ => Err("a link states `between = [\"a\", \"b\"]`, or `from` and `to`".to_owned()),
        }
    }
}

impl Reader<'_> {
    pub(super) fn link(
        &self,
        stated: &Spanned<LinkFields>,
        defaults: &LinkDefaults,
    ) -> Result<Link, ProfileError> {
        let fields = stated.get_ref();
        let jitter = self.stated_jitter(&fields.jitter, &fields.round_trip_jitter)?;
        Ok(Link {
            one_way: self.one_way(&fields.one_way_ms, &fields.rtt_ms, stated.span())?,
            jitter: jitter.unwrap_or_else(|| defaults.jitter.clone()),
            loss: self.loss(&fields.loss)?.unwrap_or(defaults.loss),
            rate_bps: self.rate_bps(&fields.rate_mbps)?.or(defaults.rate_bps),
        })
    }

    pub(super) fn lan(&self, stated: &Spanned<LanFields>) -> Result<Link, ProfileError> {
        let fields = stated.get_ref();
        let jitter = self.stated_jitter(&fields.jitter, &fields.round_trip_jitter)?;
        Ok(Link {
            one_way: self.one_way(&fields.one_way_ms, &fields.rtt_ms, stated.span())?,
            jitter: jitter.unwrap_or(Jitter::NONE),
            loss: self.loss(&fields.loss)?.unwrap_or(0.0),
            rate_bps: self.rate_bps(&fields.rate_mbps)?,
        })
    }

    fn one_way(
        &self,
        one_way_ms: &Option<Spanned<f64>>,
        rtt_ms: &Option<Spanned<f64>>,
        span: std::ops::Range<usize>,
    ) -> Result<Duration, ProfileError> {
        match (one_way_ms, rtt_ms) {
            (Some(stated), None) => {
                let one_way_ms = self.number("one_way_ms", stated, (0.0, MAX_ONE_WAY_MS))?;
                Ok(duration_of_ms(one_way_ms))
            }
            (None, Some(stated)) => {
                let rtt_ms = self.number("rtt_ms", stated, (0.0, 2.0 * MAX_ONE_WAY_MS))?;
                Ok(duration_of_ms(rtt_ms / 2.0))
            }
            _ => {
                let advice = "a link states either `one_way_ms` or `rtt_ms`";
                Err(self.at(span, Problem::Fields(advice.to_owned())))
            }
        }
    }

    pub(super) fn loss(&self, stated: &Option<Spanned<f64>>) -> Result<Option<f64>, ProfileError> {
        let Some(stated) = stated else {
            return Ok(None);
        };
        let loss = *stated.get_ref();
        if (0.0..1.0).contains(&loss) {
            return Ok(Some(loss));
        }
        let problem = Problem::OutOfRange {
            field: "loss".to_owned(),
            value: loss.to_string(),
            range: "a share from 0 to below 1; to cut a link, use a fault".to_owned(),
        };
        Err(self.at(stated.span(), problem))
    }

    pub(super) fn rate_bps(
        &self,
        stated: &Option<Spanned<f64>>,
    ) -> Result<Option<u64>, ProfileError> {
        let Some(stated) = stated else {
            return Ok(None);
        };
        let rate_mbps = self.number("rate_mbps", stated, RATE_MBPS)?;
        Ok(Some((rate_mbps * 1e6).round() as u64))
    }
}

/// Converts checked milliseconds, to the nanosecond.
pub(super) fn duration_of_ms(delay_ms: f64) -> Duration {
    Duration::from_nanos((delay_ms * 1e6).round() as u64)
}
