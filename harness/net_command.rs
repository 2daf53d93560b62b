//! `longhaul net`: networks that any program can run in.

use std::process::ExitCode;

use crate::net_arguments::NetCommand;
use crate::output::CommandError;

/// Runs a `net` command.
#[cfg(not(target_os = "linux"))]
pub(crate) fn net(_command: NetCommand) -> Result<ExitCode, CommandError> {
    Err("networks are made of Linux's network namespaces, which this system lacks".into())
}

/// Runs a `net` command.
#[cfg(target_os = "linux")]
pub(crate) fn net(command: NetCommand) -> Result<ExitCode, CommandError> {
    linux::net(command)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Write as _;
    use std::process::ExitCode;
    use std::time::Duration;

    use longhaul_experiment::fault::FaultTarget;
    use longhaul_experiment::ids::RegionIndex;
    use longhaul_experiment::scenario::DurationText;
    use longhaul_experiment::{Profile, Seed};
    use longhaul_wan::namespaces::control::{self, Connection};
    use longhaul_wan::namespaces::enter::{self, Entrance};
    use longhaul_wan::namespaces::probe::{ProbeOptions, probe};
    use longhaul_wan::namespaces::{
        Backend, FabricReport, FaultChange, FaultRequest, NetRequest, NetState, Place, Supervisor,
        hold, init, keep,
    };
    use longhaul_wan::netem::plan::Plan;

    use crate::arguments::JitterArgument;
    use crate::net_arguments::{
        FaultCommand, LinksArguments, NameArguments, NetBackendArgument, NetCommand, PlanArguments,
        ProbeArguments, ShowArguments, TargetArguments, UpArguments,
    };
    use crate::output::{CommandError, note, print};
    use crate::scenario_arguments::find_profile;

    /// The priority of probing threads: below the router's.
    const PROBE_PRIORITY: u8 = 10;

    pub(super) fn net(command: NetCommand) -> Result<ExitCode, CommandError> {
        match command {
            NetCommand::Up(arguments) => up(&arguments)?,
            NetCommand::Exec(arguments) => {
                let place = Place::of_user(&arguments.name.name)?;
                let status = enter::run(&place, &arguments.region, &arguments.command)?;
                return Ok(ExitCode::from(enter::exit_code(status)));
            }
            NetCommand::Fault(command) => fault(command)?,
            NetCommand::Show(arguments) => show(&arguments)?,
            NetCommand::List => list()?,
            NetCommand::Down(arguments) => down(&arguments)?,
            NetCommand::Probe(arguments) => probe_links(&arguments)?,
            NetCommand::Plan(arguments) => plan(&arguments)?,
            NetCommand::Hold => hold::hold()?,
            NetCommand::Init => init::init()?,
            NetCommand::Keep => keep::keep()?,
            NetCommand::Inside(arguments) => {
                let (user, group) = (arguments.user, arguments.group);
                let identity = enter::Identity { user, group };
                return Err(enter::become_command(identity, &arguments.command).into());
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn up(arguments: &UpArguments) -> Result<(), CommandError> {
        let place = Place::of_user(&arguments.name.name)?;
        let program = std::env::current_exe()?;
        let supervisor = Supervisor::start(&program, &place, &request(arguments)?)?;
        let state = supervisor.state().clone();
        if arguments.foreground {
            print(&shown(&state, arguments.json)?)?;
            supervisor.wait();
            return Ok(());
        }
        supervisor.outlive()?;
        print(&shown(&state, arguments.json)?)
    }

    fn request(arguments: &UpArguments) -> Result<NetRequest, CommandError> {
        let request = NetRequest::new(laid(&arguments.links)?);
        let compensation = match &arguments.compensation {
            None => request.compensation,
            Some(text) => duration(text)?,
        };
        let backend = match arguments.backend {
            NetBackendArgument::Tun => Backend::Tun,
            NetBackendArgument::Netem => Backend::Netem,
        };
        Ok(NetRequest {
            backend,
            seed: Seed(arguments.seed),
            priority: request.priority.filter(|_| !arguments.normal_priority),
            compensation,
            offload: !arguments.no_offload,
            ..request
        })
    }

    /// Returns the profile, reduced to what is asked for.
    fn laid(arguments: &LinksArguments) -> Result<Profile, CommandError> {
        let mut profile = find_profile(&arguments.profile)?;
        if let Some(names) = &arguments.regions {
            let found: Result<Vec<RegionIndex>, CommandError> = names
                .iter()
                .map(|name| {
                    profile.region(name).ok_or_else(|| {
                        let known = profile.regions.iter().map(|region| region.name.as_str());
                        let known = known.collect::<Vec<_>>().join(", ");
                        let profile = &profile.name;
                        format!("unknown region '{name}' in profile '{profile}': it has {known}")
                            .into()
                    })
                })
                .collect();
            let found = found?;
            if let Some(twice) = found
                .iter()
                .enumerate()
                .find(|(index, region)| found[..*index].contains(region))
            {
                let name = &profile.regions[twice.1.index()].name;
                return Err(format!("region '{name}' is named twice").into());
            }
            profile = profile.subset(&found);
        }
        Ok(match arguments.jitter {
            JitterArgument::Profile => profile,
            JitterArgument::None => profile.without_jitter(),
        })
    }

    fn duration(text: &str) -> Result<Duration, CommandError> {
        Ok(text.parse::<DurationText>()?.0)
    }

    fn fault(command: FaultCommand) -> Result<(), CommandError> {
        let (change, target) = match command {
            FaultCommand::Partition(target) => (FaultChange::Partition, target),
            FaultCommand::Loss { share, target } => (FaultChange::Loss(share), target),
            FaultCommand::Delay { added, target } => {
                (FaultChange::Delay(duration(&added)?), target)
            }
            FaultCommand::Heal(target) => (FaultChange::Heal, target),
        };
        let place = Place::of_user(&target.name.name)?;
        let request = FaultRequest {
            target: targeted(&target)?,
            change,
        };
        let changed = Connection::open(&place)?.fault(&request)?;
        note(&format!("{changed} links changed\n"));
        Ok(())
    }

    fn targeted(arguments: &TargetArguments) -> Result<Option<FaultTarget>, CommandError> {
        let two = |flag: &str, names: &[String]| match names {
            [a, b] => Ok((a.clone(), b.clone())),
            _ => Err(CommandError::from(format!(
                "{flag} names {} regions: give two, separated by a comma",
                names.len()
            ))),
        };
        Ok(if let Some(names) = &arguments.link {
            let (from, to) = two("--link", names)?;
            Some(FaultTarget::Link(from, to))
        } else if let Some(names) = &arguments.pair {
            let (a, b) = two("--pair", names)?;
            Some(FaultTarget::Pair(a, b))
        } else {
            arguments.region.clone().map(FaultTarget::Regions)
        })
    }

    fn show(arguments: &ShowArguments) -> Result<(), CommandError> {
        let mut connection = Connection::open(&Place::of_user(&arguments.name.name)?)?;
        let state = connection.state()?;
        let report = connection.report()?;
        if arguments.json {
            let both = serde_json::json!({ "state": state, "report": report });
            return print(&format!("{both:#}\n"));
        }
        print(&shown(&state, false)?)?;
        print(&passed(&report)?)
    }

    fn shown(state: &NetState, json: bool) -> Result<String, CommandError> {
        if json {
            return Ok(serde_json::to_string_pretty(state)? + "\n");
        }
        let mut text = format!(
            "network '{}': {} regions of {}, packets delayed by {}\n",
            state.name,
            state.regions.len(),
            state.profile,
            state.backend.name()
        );
        for region in &state.regions {
            writeln!(text, "  {:<16} {}", region.name, region.address)?;
        }
        if let Some(scheduling) = &state.scheduling {
            writeln!(
                text,
                "the router runs at {scheduling}; {} us are subtracted from every delay",
                state.compensation_us
            )?;
        }
        for fault in &state.faults {
            let mut words = Vec::new();
            if fault.condition.is_cut {
                words.push("cut".to_owned());
            }
            if !fault.condition.added.is_zero() {
                words.push(format!("{} longer", DurationText(fault.condition.added)));
            }
            if fault.condition.loss > 0.0 {
                words.push(format!("{}% lost", fault.condition.loss * 100.0));
            }
            writeln!(
                text,
                "fault: {} -> {}: {}",
                fault.from,
                fault.to,
                words.join(", ")
            )?;
        }
        for warning in &state.warnings {
            writeln!(text, "warning: {warning}")?;
        }
        Ok(text)
    }

    fn passed(report: &FabricReport) -> Result<String, CommandError> {
        let mut text = String::new();
        match report {
            FabricReport::Tun(report) => {
                let late = &report.lateness;
                writeln!(
                    text,
                    "{} packets, late by {:.0} us at the median, {:.0} us at p99, {:.0} us at most",
                    report.packets, late.p50_us, late.p99_us, late.max_us
                )?;
                for link in &report.links {
                    let counts = link.counts;
                    writeln!(
                        text,
                        "  {:<16} -> {:<16} {:>10} delivered {:>8} lost {:>8} cut {:>8} overflown",
                        link.from,
                        link.to,
                        counts.delivered,
                        counts.lost,
                        counts.cut,
                        counts.overflown
                    )?;
                }
                for device in &report.devices {
                    if let Some(dropped) = device.kernel_dropped.filter(|&dropped| dropped > 0) {
                        writeln!(
                            text,
                            "  {}: {dropped} dropped before the router",
                            device.region
                        )?;
                    }
                }
            }
            FabricReport::Netem(report) => {
                for link in &report.links {
                    let counts = link.counts;
                    writeln!(
                        text,
                        "  {:<16} -> {:<16} {:>10} passed {:>8} dropped {:>8} under way",
                        link.from, link.to, counts.packets, counts.drops, counts.qlen
                    )?;
                }
                text.push_str("installed:\n");
                report
                    .installed
                    .iter()
                    .for_each(|shown| text.push_str(shown));
            }
        }
        Ok(text)
    }

    fn list() -> Result<(), CommandError> {
        let mut text = String::new();
        for place in Place::all_of_user()? {
            // What a killed network left behind is removed on sight.
            let Ok(mut connection) = Connection::open(&place) else {
                let _ = place.remove_stale();
                continue;
            };
            let state = connection.state()?;
            let regions = state.regions.iter().map(|region| region.name.as_str());
            let regions = regions.collect::<Vec<_>>().join(", ");
            let backend = state.backend.name();
            writeln!(
                text,
                "{:<16} {backend:<6} {}: {regions}",
                state.name, state.profile
            )?;
        }
        print(&text)
    }

    fn down(arguments: &NameArguments) -> Result<(), CommandError> {
        match control::down(&Place::of_user(&arguments.name)?)? {
            Some(report) => print(&(serde_json::to_string_pretty(&report)? + "\n")),
            None => {
                note("the network did not answer and was ended; what passed is not known\n");
                Ok(())
            }
        }
    }

    fn probe_links(arguments: &ProbeArguments) -> Result<(), CommandError> {
        let entrance = Entrance::find(&Place::of_user(&arguments.name.name)?)?;
        let options = ProbeOptions {
            count: arguments.count,
            interval: duration(&arguments.interval)?,
            bytes: arguments.bytes as usize,
            priority: (!arguments.normal_priority).then_some(PROBE_PRIORITY),
        };
        let report = probe(&entrance, &arguments.from, &arguments.to, options)?;
        print(&(serde_json::to_string_pretty(&report)? + "\n"))
    }

    fn plan(arguments: &PlanArguments) -> Result<(), CommandError> {
        let plan = Plan::of(&laid(&arguments.links)?);
        if arguments.json {
            let regions = plan.regions.iter().map(|planned| {
                serde_json::json!({ "region": planned.region, "commands": planned.commands })
            });
            let tables = plan
                .tables
                .iter()
                .map(|(name, table)| (name.clone(), table.to_text().into()));
            let whole = serde_json::json!({
                "regions": regions.collect::<Vec<_>>(),
                "tables": tables.collect::<serde_json::Map<String, serde_json::Value>>(),
            });
            return print(&format!("{whole:#}\n"));
        }
        let mut text = String::new();
        for planned in &plan.regions {
            writeln!(text, "# inside {}", planned.region)?;
            for command in &planned.commands {
                writeln!(text, "{}", command.join(" "))?;
            }
        }
        if !plan.tables.is_empty() {
            writeln!(
                text,
                "# {} tables of jitter, longhaul-*.dist in TC_LIB_DIR: see --json",
                plan.tables.len()
            )?;
        }
        print(&text)
    }
}
