//! `longhaul explain`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use longhaul_analysis::{Route, floor};
use longhaul_experiment::{OperationKind, RegionIndex, Seed, Topology};
use longhaul_sim::explain::{ExplainOrder, Explanation, Station, explain as explain_operation};

use crate::arguments::ExplainArguments;
use crate::output::{CommandError, print};
use crate::scenario_arguments::placed;

/// Follows one operation of a mode from each client region, or the one asked for.
pub(crate) fn explain(arguments: &ExplainArguments) -> Result<ExitCode, CommandError> {
    let mode = arguments.mode.parse()?;
    let topology = placed(&arguments.placement, mode)?.topology;
    let mode = arguments.mode.parse()?;
    let kind = if arguments.read {
        OperationKind::Read
    } else {
        OperationKind::Write
    };
    let mut text = String::new();
    for client in client_regions(&topology, arguments.region.as_deref())? {
        let order = ExplainOrder {
            topology: &topology,
            mode: &mode,
            client,
            kind,
            seed: Seed(1),
        };
        let explanation = explain_operation(&order)?;
        describe(&mut text, &order, &explanation)?;
    }
    text.push_str(
        "\nVirtual time without jitter, service time or load: queues are empty and a sync takes \
         none.\nHops marked * are those without which the answer could not have been given.\n",
    );
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn client_regions(
    topology: &Topology,
    asked: Option<&str>,
) -> Result<Vec<RegionIndex>, CommandError> {
    let Some(name) = asked else {
        return Ok(topology.clients.clone());
    };
    match topology
        .profile
        .region(name)
        .filter(|region| topology.clients.contains(region))
    {
        Some(region) => Ok(vec![region]),
        None => {
            let names: Vec<&str> = topology
                .clients
                .iter()
                .map(|&region| topology.region_name(region))
                .collect();
            Err(format!("no clients in '{name}': they are in {}", names.join(", ")).into())
        }
    }
}

fn describe(
    text: &mut String,
    order: &ExplainOrder<'_>,
    explanation: &Explanation,
) -> Result<(), CommandError> {
    let topology = order.topology;
    let client = topology.region_name(order.client);
    let contact = topology.region_name(topology.region_of(explanation.contact));
    let route = Route {
        topology,
        leader: topology.leader,
        region: order.client,
    };
    let least = floor(&explanation.path, &route);
    let kind = order.kind.name();
    writeln!(
        text,
        "{}: a {kind} from {client}, asked of the replica in {contact}",
        order.mode
    )?;
    for (position, hop) in explanation.hops.iter().enumerate() {
        let mark = if hop.is_critical { '*' } else { ' ' };
        let completed = explanation.completed_by == Some(position);
        writeln!(
            text,
            "  {mark} {:>9} -> {:>9} ms  {:<38} {}{}",
            milliseconds(hop.sent_at),
            milliseconds(hop.arrived_at),
            format!(
                "{} -> {}",
                station(topology, hop.from),
                station(topology, hop.to)
            ),
            hop.name,
            if completed {
                "   <- completes the quorum"
            } else {
                ""
            },
        )?;
    }
    let latency = explanation.latency;
    writeln!(
        text,
        "    {:>9} ms latency, floor {} ms",
        milliseconds(latency),
        milliseconds(least)
    )?;
    for round in &explanation.path.rounds {
        writeln!(
            text,
            "              the floor waits for {} of {} replicas, its own answer included",
            round.acknowledgements, round.among
        )?;
    }
    text.push('\n');
    Ok(())
}

fn station(topology: &Topology, station: Station) -> String {
    match station {
        Station::Client(region) => format!("client {}", topology.region_name(region)),
        Station::Replica(replica) => topology.region_name(topology.region_of(replica)).to_owned(),
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}
