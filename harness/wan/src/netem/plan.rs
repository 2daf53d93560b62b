//! Which commands lay a profile's links: pure, so that they can be shown and tested.
//!
//! On a region's device stands an HTB queue with a class for every region, itself included. A filter puts a
//! packet into the class of its destination, and the class's netem queue delays it. HTB itself
//! limits nothing: its classes are as fast as the fastest cable.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::Profile;
use longhaul_experiment::ids::{LinkId, RegionIndex};
use longhaul_experiment::profile::{Link, Marginal};
use longhaul_experiment::time::nanos;

use super::distribution::{Distribution, of_marginal};
use crate::marginal::QuantileTable;
use crate::namespaces::address::{DEVICE, address};

/// A command with its arguments, the program first.
pub type Command = Vec<String>;

/// The rate of classes, and of queues whose order a rate is to keep: no limit in practice.
const UNLIMITED: &str = "100gbit";

/// The packets a queue holds at least.
const LIMIT_MIN: u128 = 1000;

/// For how many bits per second a queue is sized whose link has no rate.
const RATE_ASSUMED: u64 = 10_000_000_000;

/// The bits of a packet, for sizing queues: 1500 bytes.
const PACKET_BITS: u128 = 1500 * 8;

/// All that lays a profile's links.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// For each region, in the profile's order, what is run inside it.
    pub regions: Vec<RegionPlan>,
    /// The tables that commands name, by name; `tc` looks for `NAME.dist` in `TC_LIB_DIR`.
    pub tables: BTreeMap<String, Distribution>,
}

/// What is run inside one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionPlan {
    /// The region's name.
    pub region: String,
    /// The commands, in order.
    pub commands: Vec<Command>,
}

impl Plan {
    /// Returns the plan of a profile.
    pub fn of(profile: &Profile) -> Plan {
        let mut tables = BTreeMap::new();
        let regions = profile.region_indexes().map(|from| RegionPlan {
            region: profile.regions[from.index()].name.clone(),
            commands: commands_of(profile, from, &mut tables),
        });
        Plan {
            regions: regions.collect(),
            tables,
        }
    }

    /// Returns how many commands there are.
    pub fn len(&self) -> usize {
        self.regions
            .iter()
            .map(|region| region.commands.len())
            .sum()
    }

    /// Says whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns the command that changes a link that is laid already, and the table that it names.
pub fn change(id: LinkId, link: &Link, is_cut: bool) -> (Command, BTreeMap<String, Distribution>) {
    let mut tables = BTreeMap::new();
    let link = if is_cut {
        &Link {
            loss: 1.0,
            ..link.clone()
        }
    } else {
        link
    };
    (netem("change", id.to, link, &mut tables), tables)
}

/// Returns the class of the packets to a region, in `tc`'s notation.
pub fn class(to: RegionIndex) -> String {
    format!("1:{:x}", u32::from(to.0) + 1)
}

fn commands_of(
    profile: &Profile,
    from: RegionIndex,
    tables: &mut BTreeMap<String, Distribution>,
) -> Vec<Command> {
    let link = |to: RegionIndex| profile.link(LinkId { from, to });
    let mut commands = Vec::new();
    // One loss must not drop 64 KB, nor a rate pass them in one piece: TCP makes single segments.
    let looks_at_segments = |to| link(to).loss > 0.0 || link(to).rate_bps.is_some();
    if profile.region_indexes().any(looks_at_segments) {
        commands.push(command(&format!("ip link set dev {DEVICE} gso_max_segs 1")));
    }
    commands.push(command(&format!(
        "tc qdisc add dev {DEVICE} root handle 1: htb"
    )));
    for to in profile.region_indexes() {
        let class = class(to);
        commands.push(command(&format!(
            "tc class add dev {DEVICE} parent 1: classid {class} htb rate {UNLIMITED} \
             burst 256k cburst 256k quantum 60000"
        )));
        commands.push(netem("add", to, link(to), tables));
        commands.push(command(&format!(
            "tc filter add dev {DEVICE} parent 1: protocol ip prio 1 u32 \
             match ip dst {}/32 flowid {class}",
            address(to)
        )));
    }
    commands
}

fn netem(
    verb: &str,
    to: RegionIndex,
    link: &Link,
    tables: &mut BTreeMap<String, Distribution>,
) -> Command {
    let mut text = format!(
        "tc qdisc {verb} dev {DEVICE} parent {} handle {:x}: netem limit {}",
        class(to),
        0x1000 + u32::from(to.0),
        limit(link)
    );
    let varies = push_delay(&mut text, link, tables);
    if link.loss > 0.0 {
        text.push_str(&format!(" loss random {}%", decimals(link.loss * 100.0)));
    }
    match link.rate_bps {
        Some(rate) => text.push_str(&format!(" rate {rate}bit")),
        // netem keeps the order of packets in a queue with a rate, whatever jitter they draw.
        None if varies => text.push_str(&format!(" rate {UNLIMITED}")),
        None => {}
    }
    command(&text)
}

/// Appends the delay. Says whether it varies.
fn push_delay(text: &mut String, link: &Link, tables: &mut BTreeMap<String, Distribution>) -> bool {
    match &link.jitter.marginal {
        // What netem draws without a table.
        Marginal::Uniform { low, high } if low < high => {
            let half = (*high - *low) / 2;
            let middle = microseconds(link.one_way + *low + half);
            text.push_str(&format!(" delay {middle} {}", microseconds(half)));
            true
        }
        marginal => match of_marginal(marginal) {
            None => {
                let added = QuantileTable::new(marginal).quantile(0.5);
                text.push_str(&format!(" delay {}", microseconds(link.one_way + added)));
                false
            }
            Some(distribution) => {
                let name = table_name(&distribution);
                let mean = microseconds(link.one_way + distribution.mean);
                let scale = microseconds(distribution.scale);
                text.push_str(&format!(" delay {mean} {scale} distribution {name}"));
                tables.insert(name, distribution);
                true
            }
        },
    }
}

/// Returns a name that two tables share when they are the same: links of one shape need one file.
fn table_name(distribution: &Distribution) -> String {
    // FNV-1a, 64 bits.
    let hash = distribution
        .entries
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("longhaul-{hash:016x}")
}

/// Returns the packets that a queue must hold: all that are under way at the link's rate for its
/// longest delay, and as many that wait for a wire with a rate.
fn limit(link: &Link) -> u128 {
    let table = QuantileTable::new(&link.jitter.marginal);
    let longest = link.one_way + table.quantile(0.9999);
    let (rate, share) = match link.rate_bps {
        Some(rate) => (rate, 2),
        None => (RATE_ASSUMED, 1),
    };
    let bits = u128::from(rate) * u128::from(nanos(longest)) / 1_000_000_000;
    (share * bits.div_ceil(PACKET_BITS))
        .max(LIMIT_MIN)
        .min(u32::MAX.into())
}

fn microseconds(duration: Duration) -> String {
    decimals(duration.as_nanos() as f64 / 1e3) + "us"
}

/// Writes a number with at most six decimals, and no more than it has.
fn decimals(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Splits a command whose arguments have no spaces.
fn command(text: &str) -> Command {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::{Jitter, Region, Source};

    use super::*;

    fn profile(link: Link) -> Profile {
        let source = Source {
            title: "made up".to_owned(),
            date: "2026".to_owned(),
            method: "none".to_owned(),
        };
        let lan = || Link::fixed(Duration::from_micros(100));
        let links = vec![lan(), link, Link::fixed(Duration::from_millis(40)), lan()];
        let regions = ["a", "b"].map(Region::named).to_vec();
        Profile::new("two", "two regions", source, regions, links)
    }

    fn commands(link: Link) -> Vec<String> {
        let plan = Plan::of(&profile(link));
        let of_first = plan.regions[0].commands.iter();
        of_first.map(|command| command.join(" ")).collect()
    }

    fn fixed() -> Link {
        Link::fixed(Duration::from_micros(40_125))
    }

    #[test]
    fn a_link_is_a_class_a_queue_and_a_filter() {
        // 10 Gbit/s x 40.125 ms / 12 000 bits = 33 437.5 packets.
        assert_eq!(
            commands(fixed()),
            [
                "tc qdisc add dev wan0 root handle 1: htb",
                "tc class add dev wan0 parent 1: classid 1:1 htb rate 100gbit burst 256k cburst 256k \
                 quantum 60000",
                "tc qdisc add dev wan0 parent 1:1 handle 1000: netem limit 1000 delay 100us",
                "tc filter add dev wan0 parent 1: protocol ip prio 1 u32 match ip dst 10.77.1.1/32 \
                 flowid 1:1",
                "tc class add dev wan0 parent 1: classid 1:2 htb rate 100gbit burst 256k cburst 256k \
                 quantum 60000",
                "tc qdisc add dev wan0 parent 1:2 handle 1001: netem limit 33438 delay 40125us",
                "tc filter add dev wan0 parent 1: protocol ip prio 1 u32 match ip dst 10.77.2.1/32 \
                 flowid 1:2",
            ]
        );
    }

    #[test]
    fn a_rate_sizes_the_queue_and_a_loss_makes_single_segments() {
        let commands = commands(Link {
            loss: 0.015,
            rate_bps: Some(1_000_000_000),
            ..fixed()
        });
        assert_eq!(commands[0], "ip link set dev wan0 gso_max_segs 1");
        // 2 x 1 Gbit/s x 40.125 ms / 12 000 bits: 2 x 3344 packets.
        assert_eq!(
            commands[6],
            "tc qdisc add dev wan0 parent 1:2 handle 1001: netem limit 6688 delay 40125us \
             loss random 1.5% rate 1000000000bit"
        );
    }

    #[test]
    fn jitter_has_a_table_and_a_rate_that_keeps_the_order() {
        let jitter = |marginal| Link {
            jitter: Jitter {
                marginal,
                ..Jitter::NONE
            },
            ..fixed()
        };
        let uniform = commands(jitter(Marginal::Uniform {
            low: Duration::from_millis(1),
            high: Duration::from_millis(3),
        }));
        assert!(
            uniform[5].ends_with("delay 42125us 1000us rate 100gbit"),
            "{}",
            uniform[5]
        );
        let plan = Plan::of(&profile(jitter(Marginal::Exponential {
            mean: Duration::from_millis(1),
        })));
        let (name, _) = plan.tables.first_key_value().unwrap();
        let netem = plan.regions[0].commands[5].join(" ");
        assert!(
            netem.contains(&format!("distribution {name} rate 100gbit")),
            "{netem}"
        );
    }

    #[test]
    fn a_cut_link_loses_everything_and_keeps_its_delay() {
        let id = LinkId {
            from: RegionIndex(0),
            to: RegionIndex(1),
        };
        let (command, tables) = change(id, &fixed(), true);
        assert!(tables.is_empty());
        assert_eq!(
            command.join(" "),
            "tc qdisc change dev wan0 parent 1:2 handle 1001: netem limit 33438 delay 40125us \
             loss random 100%"
        );
    }

    #[test]
    fn the_plan_of_a_bundled_profile_has_every_ordered_pair() {
        let profile = longhaul_experiment::profile::bundled::bundled("aws-5").unwrap();
        let plan = Plan::of(&profile);
        // A root and, for each of 5 regions, a class, a queue and a filter: 5 x (1 + 5 x 3).
        assert_eq!(plan.len(), 80);
        assert!(!plan.is_empty());
    }
}
