//! Profiles written as TOML, in the format of [`super::parse`].

use std::fmt::Write;
use std::time::Duration;

use super::parse::FORMAT;
use super::{Jitter, Link, Marginal, Profile, Region};
use crate::ids::{LinkId, RegionIndex};

/// The bytes after which a text is continued on the next line.
const LINE_LENGTH: usize = 94;

impl Profile {
    /// Returns the profile as a file: a line for every region, and one for every two regions
    /// whose directions are alike. Reading it gives an equal profile.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let lan = self.shared_lan();
        self.write_head(&mut text);
        if let Some(lan) = lan {
            text.push_str(&format!("defaults.lan = {{ {} }}\n", link_fields(lan)));
        }
        text.push_str("\nregions = [\n");
        for (index, region) in self.regions.iter().enumerate() {
            let fields = region_fields(region);
            let own = self.link(LinkId {
                from: RegionIndex(index as u16),
                to: RegionIndex(index as u16),
            });
            match lan {
                Some(_) => text.push_str(&format!("  {{ {fields} }},\n")),
                None => {
                    let own = link_fields(own);
                    text.push_str(&format!("  {{ {fields}, lan = {{ {own} }} }},\n"));
                }
            }
        }
        text.push_str("]\n\nlinks = [\n");
        self.write_links(&mut text);
        text.push_str("]\n");
        text
    }

    fn write_head(&self, text: &mut String) {
        let fields = [
            ("name", &self.name),
            ("description", &self.description),
            ("source.title", &self.source.title),
            ("source.date", &self.source.date),
            ("source.method", &self.source.method),
        ];
        text.push_str(&format!("format = {FORMAT}\n"));
        for (key, value) in fields {
            text.push_str(&format!("{key} = {}\n", paragraph(value)));
        }
    }

    /// Returns the regions' LAN when it is the same everywhere.
    fn shared_lan(&self) -> Option<&Link> {
        let mut lans = self.region_indexes().map(|region| {
            self.link(LinkId {
                from: region,
                to: region,
            })
        });
        let first = lans.next()?;
        lans.all(|lan| lan == first).then_some(first)
    }

    fn write_links(&self, text: &mut String) {
        for a in self.region_indexes() {
            for b in self.region_indexes().filter(|b| *b > a) {
                let there = self.link(LinkId { from: a, to: b });
                let back = self.link(LinkId { from: b, to: a });
                let name_a = quoted(&self.regions[a.index()].name);
                let name_b = quoted(&self.regions[b.index()].name);
                if there == back {
                    let fields = link_fields(there);
                    text.push_str(&format!(
                        "  {{ between = [{name_a}, {name_b}], {fields} }},\n"
                    ));
                    continue;
                }
                for (from, to, link) in [(&name_a, &name_b, there), (&name_b, &name_a, back)] {
                    let fields = link_fields(link);
                    text.push_str(&format!("  {{ from = {from}, to = {to}, {fields} }},\n"));
                }
            }
        }
    }
}

fn region_fields(region: &Region) -> String {
    let mut text = format!("name = {}", quoted(&region.name));
    if !region.place.is_empty() {
        text.push_str(&format!(", place = {}", quoted(&region.place)));
    }
    if let Some(coordinates) = region.coordinates {
        text.push_str(&format!(
            ", latitude = {:?}, longitude = {:?}",
            coordinates.latitude, coordinates.longitude
        ));
    }
    text
}

fn link_fields(link: &Link) -> String {
    let mut text = format!("one_way_ms = {}", ms(link.one_way));
    if link.jitter != Jitter::NONE {
        let mut fields = marginal_fields(&link.jitter.marginal);
        if link.jitter.correlation != Jitter::DEFAULT_CORRELATION {
            fields.push_str(&format!(
                ", correlation_ms = {}",
                ms(link.jitter.correlation)
            ));
        }
        text.push_str(&format!(", jitter = {{ {fields} }}"));
    }
    if link.loss != 0.0 {
        text.push_str(&format!(", loss = {:?}", link.loss));
    }
    if let Some(rate_bps) = link.rate_bps {
        let (whole, rest) = (rate_bps / 1_000_000, rate_bps % 1_000_000);
        text.push_str(&format!(", rate_mbps = {}", decimals(whole, rest, 1)));
    }
    text
}

fn marginal_fields(marginal: &Marginal) -> String {
    let mean_and_deviation = |name: &str, mean: Duration, deviation: Duration| {
        format!(
            "marginal = \"{name}\", mean_ms = {}, deviation_ms = {}",
            ms(mean),
            ms(deviation)
        )
    };
    match marginal {
        Marginal::None => "marginal = \"none\"".to_owned(),
        Marginal::Uniform { low, high } => format!(
            "marginal = \"uniform\", low_ms = {}, high_ms = {}",
            ms(*low),
            ms(*high)
        ),
        Marginal::Normal { mean, deviation } => mean_and_deviation("normal", *mean, *deviation),
        Marginal::Gamma { mean, deviation } => mean_and_deviation("gamma", *mean, *deviation),
        Marginal::ParetoNormal { mean, deviation } => {
            mean_and_deviation("paretonormal", *mean, *deviation)
        }
        Marginal::Exponential { mean } => {
            format!("marginal = \"exponential\", mean_ms = {}", ms(*mean))
        }
        Marginal::Pareto { scale, shape } => format!(
            "marginal = \"pareto\", scale_ms = {}, shape = {shape:?}",
            ms(*scale)
        ),
        Marginal::Quantiles(table) => {
            let points: Vec<String> = table
                .iter()
                .map(|(probability, delay)| format!("[{probability:?}, {}]", ms(*delay)))
                .collect();
            let points = points.join(", ");
            format!("marginal = \"quantiles\", quantiles_ms = [{points}]")
        }
        Marginal::Mixture(components) => {
            let components: Vec<String> = components
                .iter()
                .map(|component| {
                    let fields = marginal_fields(&component.marginal);
                    format!("{{ weight = {:?}, {fields} }}", component.weight)
                })
                .collect();
            let components = components.join(", ");
            format!("marginal = \"mixture\", components = [{components}]")
        }
    }
}

/// Writes a delay in milliseconds: three decimals, or six where nanoseconds need them.
fn ms(delay: Duration) -> String {
    let whole = delay.as_millis() as u64;
    let rest = u64::from(delay.subsec_nanos()) % 1_000_000;
    decimals(whole, rest, 3)
}

/// Writes `whole` and `millionths` with at least so many decimals.
fn decimals(whole: u64, millionths: u64, least: usize) -> String {
    let six = format!("{millionths:06}");
    let kept = six.trim_end_matches('0').len().max(least);
    format!("{whole}.{}", &six[..kept])
}

/// Quotes a text over several lines when it is long. A backslash at a line's end and the white
/// space after it are no part of the text, nor is the line break after the opening quotes, so it
/// reads back as one line.
fn paragraph(text: &str) -> String {
    let line = quoted(text);
    if line.len() <= LINE_LENGTH {
        return line;
    }
    let inner = &line[1..line.len() - 1];
    let mut lines = String::from("\"\"\"\n");
    let mut length = 0;
    for (index, word) in inner.split(' ').enumerate() {
        if index > 0 {
            lines.push(' ');
            // A break before a second space would swallow it.
            if length + word.len() > LINE_LENGTH && !word.is_empty() {
                lines.push_str("\\\n");
                length = 0;
            }
        }
        lines.push_str(word);
        length += word.len() + 1;
    }
    lines.push_str("\"\"\"");
    lines
}

/// Quotes and escapes a TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                write!(quoted, "\\U{:08X}", u32::from(control)).expect("a string takes all text");
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
