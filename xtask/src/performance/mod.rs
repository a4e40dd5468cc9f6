//! `cargo xtask performance`: measures what messages cost in instructions, beside `mctp-estack`,
//! and writes tables and plot of `docs/performance.md`.

mod document;
mod plot;

use anyhow::{Context, Result};

use crate::bench::{Bench, Build, Case, Load, Room, Stack, UsbVersion};
use crate::instructions::{
    CHECKS, COMMANDS, ECHO_SIZES, GROWTH_BOUND, GROWTH_SIZE, LOAD, Part, USB_TRANSFERS,
};
use crate::instructions_m7;
use crate::project::Project;
use document::{Table, advantage, count, ratio};
use plot::Line;

const DOCUMENT: &str = "docs/performance.md";
const PLOT: &str = "docs/performance.svg";

/// Payload bytes of a packet: the baseline, the most of MCTP over USB 1.0, and of 1.1.
const UNITS: [u64; 3] = [64, 247, 8183];
/// Message bytes behind the message type byte.
const SIZES: [u64; 9] = [1, 16, 64, 256, 1024, 4096, 16_384, 32_768, 65_535];
/// And of messages of the bench service.
const STREAM_SIZES: [u64; 4] = [100, 987, 3951, 65_000];

const BOTH: [Stack; 2] = [Stack::Ours, Stack::Estack];

/// Measures everything, and writes the document.
pub(crate) fn run() -> Result<()> {
    let project = Project::open()?;
    let programs = [
        "in-place",
        "traits",
        "assemble",
        "packetise",
        "stream",
        "usb-receive",
        "core-echo",
        "core-assemble",
        "core-packetise",
        "core-request",
        "nvme-mi",
    ];
    let builds: [(Build, &[&str]); 5] = [
        (Build::Usual, &programs),
        (
            Build::Board,
            &["in-place", "assemble", "packetise", "stream"],
        ),
        (Build::Host, &["in-place"]),
        (
            Build::Long,
            &["in-place", "assemble", "packetise", "stream"],
        ),
        (Build::Many, &["in-place"]),
    ];
    let bench = Bench::build(&project, &builds)?;
    let (sizes, by_size) = sizes(&bench)?;
    let (growth, by_load) = growth(&bench)?;
    let (round_trips, streams) = on_m7(&project)?;
    let tables = [
        ("m7-round-trips", round_trips),
        ("m7-streams", streams),
        ("board", board(&bench)?),
        ("echo", echo(&bench)?),
        ("parts", parts(&bench)?),
        ("sizes", sizes),
        ("stream", stream(&bench)?),
        ("usb-receive", usb_receive(&bench)?),
        ("growth", growth),
        ("load", load(&bench)?),
        ("commands", commands(&bench)?),
    ];
    let path = project.root.join(DOCUMENT);
    let mut text =
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    for (name, table) in tables {
        text = document::replace(&text, name, &table.to_string())?;
    }
    std::fs::write(&path, text)?;
    let svg = plot::draw(&by_size, &by_load)?;
    std::fs::write(project.root.join(PLOT), svg)?;
    println!("wrote {DOCUMENT} and {PLOT}");
    Ok(())
}

/// On the emulated Cortex-M7, in the shipped build.
fn on_m7(project: &Project) -> Result<(Table, Table)> {
    let budgets = instructions_m7::budgets(project)?;
    let (round_trips, streams) = instructions_m7::shipped(project)?;
    let peer = instructions_m7::estack(project)?;
    let mut by_round_trip = Table::new(&[
        "round trip",
        "instructions",
        "budget",
        "mctp-estack, its best",
        "at opt-level",
        "/ ours",
        "ahead",
    ]);
    for round in &round_trips {
        let budget = instructions_m7::budget(&budgets, &round.name)?;
        let mut row = vec![
            round.name.replace('-', " "),
            count(round.instructions),
            count(budget as f64),
        ];
        let of_peer = peer.iter().find(|(peer, _)| peer.name == round.name);
        match of_peer {
            Some((peer, level)) => {
                let times = peer.instructions / round.instructions;
                row.extend([count(peer.instructions), level.to_string()]);
                row.extend([ratio(times), ahead(times)]);
            }
            None => row.extend([const { String::new() }; 4]),
        }
        by_round_trip.row(row);
    }
    let mut by_stream = Table::new(&[
        "stream/unit",
        "a packet",
        "budget",
        "each further packet",
        "MB/s",
    ]);
    for stream in &streams {
        let budget = instructions_m7::budget(&budgets["packet"], &stream.name)?;
        by_stream.row([
            stream.name.replace('-', ", "),
            count(stream.packet),
            count(budget as f64),
            count(stream.further_packet),
            count(stream.rate / 1e6),
        ]);
    }
    Ok((by_round_trip, by_stream))
}

/// Who takes fewer instructions, by how many times as many mctp-estack takes.
fn ahead(times: f64) -> String {
    let name = if times < 1.0 {
        "**mctp-estack**"
    } else {
        "ours"
    };
    name.to_owned()
}

/// With a board's settings, on x86-64.
fn board(bench: &Bench<'_>) -> Result<Table> {
    let mut table = Table::new(&["bytes/unit", "", "ours", "mctp-estack", "/ ours", "ahead"]);
    let one_way = [(1, 64), (63, 64), (246, 247), (4096, 64), (4096, 247)];
    // mctp-estack copies what it sends in several slices to a buffer for its longest message.
    let streams = [100, 987, 3951].map(|payload| (payload, 247));
    let subjects = [
        ("echo", "in-place", ECHO_SIZES),
        ("assemble", "assemble", &one_way),
        ("packetise", "packetise", &one_way),
        ("stream into USB transfers", "stream", &streams),
    ];
    for (name, subject, sizes) in subjects {
        for &(payload, unit) in sizes {
            let figure = |stack| {
                let case = Case::new(subject, stack, payload, unit);
                Ok::<_, anyhow::Error>(bench.message_in(Build::Board, &case)?.instructions)
            };
            let (ours, estack) = (figure(Stack::Ours)?, figure(Stack::Estack)?);
            table.row([
                format!("{payload}/{unit}"),
                name.to_owned(),
                count(ours),
                count(estack),
                ratio(estack / ours),
                ahead(estack / ours),
            ]);
        }
    }
    Ok(table)
}

fn instructions(
    bench: &Bench<'_>,
    subject: &'static str,
    stack: Stack,
    (payload, unit): (u64, u64),
) -> Result<f64> {
    let case = Case::new(subject, stack, payload, unit);
    Ok(bench.message(&case)?.instructions)
}

/// Cores and async routers, at the sizes that have budgets.
fn echo(bench: &Bench<'_>) -> Result<Table> {
    let mut table = Table::new(&[
        "bytes/unit",
        "core",
        "mctp-estack core",
        "in place, async",
        "by the traits, async",
        "mctp-estack async",
        "/ in place",
        "mctp-estack async, host",
        "/ in place",
    ]);
    for &size in ECHO_SIZES {
        let figure = |subject, stack| instructions(bench, subject, stack, size);
        let in_place = figure("in-place", Stack::Ours)?;
        let estack = figure("in-place", Stack::Estack)?;
        let case = Case::new("in-place", Stack::Estack, size.0, size.1);
        let on_host = bench.message_in(Build::Host, &case)?.instructions;
        table.row([
            format!("{}/{}", size.0, size.1),
            count(figure("core-echo", Stack::Ours)?),
            count(figure("core-echo", Stack::Estack)?),
            count(in_place),
            count(figure("traits", Stack::Ours)?),
            count(estack),
            advantage(estack / in_place),
            count(on_host),
            advantage(on_host / in_place),
        ]);
    }
    Ok(table)
}

/// One side alone, by the packet.
fn parts(bench: &Bench<'_>) -> Result<Table> {
    let mut table = Table::new(&[
        "",
        "a packet, without the copy",
        "the copy",
        "a message, beside its packets",
        "mctp-estack: a packet, without the copy",
        "the copy",
        "a message, beside its packets",
    ]);
    for (name, subject) in [
        ("assemble, core", "core-assemble"),
        ("packetise, core", "core-packetise"),
        ("assemble, async", "assemble"),
        ("packetise, async", "packetise"),
    ] {
        for unit in [64, 247] {
            let mut row = vec![format!("{name}, unit {unit}")];
            let [ours, estack] = BOTH.map(|stack| {
                let part = Part::measure(bench, subject, stack, unit)?;
                Ok::<_, anyhow::Error>([part.packet, part.copy, part.message])
            });
            let (ours, estack) = (ours?, estack?);
            row.extend(ours.map(count));
            let beside = estack.into_iter().zip(ours);
            row.extend(
                beside.map(|(estack, ours)| document::bold_if(estack < ours, count(estack))),
            );
            table.row(row);
        }
    }
    Ok(table)
}

/// By message size and unit, through the async routers.
fn sizes(bench: &Bench<'_>) -> Result<(Table, Vec<Line>)> {
    let mut table = Table::new(&[
        "bytes/unit",
        "echo",
        "mctp-estack",
        "ratio",
        "assemble",
        "mctp-estack",
        "ratio",
        "packetise",
        "mctp-estack",
        "ratio",
    ]);
    let mut lines = Vec::new();
    for unit in UNITS {
        let mut echo = BOTH.map(|stack| Line::new(stack, format!("unit {unit}")));
        for payload in SIZES {
            let mut row = vec![format!("{payload}/{unit}")];
            for subject in ["in-place", "assemble", "packetise"] {
                let ours = instructions(bench, subject, Stack::Ours, (payload, unit))?;
                let estack = instructions(bench, subject, Stack::Estack, (payload, unit))?;
                row.extend([count(ours), count(estack), advantage(estack / ours)]);
                if subject == "in-place" {
                    echo[0].push(payload, ours);
                    echo[1].push(payload, estack);
                }
            }
            table.row(row);
        }
        lines.extend(echo);
    }
    Ok((table, lines))
}

/// The bench service's messages into USB transfers.
fn stream(bench: &Bench<'_>) -> Result<Table> {
    let mut table = Table::new(&[
        "bytes of a message",
        "packets",
        "ours",
        "mctp-estack",
        "ratio",
        "a byte, ours",
        "mctp-estack",
    ]);
    for payload in STREAM_SIZES {
        let ours = Case::new("stream", Stack::Ours, payload, 247);
        let packets = ours.packets();
        let estack = Case {
            stack: Stack::Estack,
            ..ours
        };
        let [ours, estack] = [ours, estack].map(|case| bench.message(&case));
        let [ours, estack] = [ours?.instructions, estack?.instructions];
        table.row([
            payload.to_string(),
            count(packets),
            count(ours),
            count(estack),
            advantage(estack / ours),
            ratio(ours / payload as f64),
            ratio(estack / payload as f64),
        ]);
    }
    Ok(table)
}

/// Packets out of USB transfers, by the receivers alone.
fn usb_receive(bench: &Bench<'_>) -> Result<Table> {
    let mut table = Table::new(&[
        "payload of a packet",
        "packets of a transfer",
        "ours, 1.0",
        "ours, 1.1",
        "mctp-usb-embassy, 1.0",
        "/ ours",
        "the copy",
    ]);
    for transfers in USB_TRANSFERS {
        let cost = |stack, version| bench.usb_packet(stack, version, transfers);
        let ours = cost(Stack::Ours, UsbVersion::V1_0)?;
        let of_1_1 = cost(Stack::Ours, UsbVersion::V1_1)?.instructions;
        let peer = cost(Stack::Estack, UsbVersion::V1_0)?.instructions;
        let is_ahead = peer < ours.instructions;
        table.row([
            transfers.unit.to_string(),
            transfers.packets.to_string(),
            count(ours.instructions),
            count(of_1_1),
            document::bold_if(is_ahead, count(peer)),
            advantage(peer / ours.instructions),
            count(ours.copying),
        ]);
    }
    Ok(table)
}

/// What grows, and how it is said of a load that there is so much of it.
struct Dimension {
    name: &'static str,
    values: &'static [u64],
    load: fn(u64) -> Load,
}

const DIMENSIONS: [Dimension; 4] = [
    Dimension {
        name: "messages in flight, of 8 peers",
        values: &[1, 8, 32, 64],
        load: |in_flight| Load {
            peers: 8,
            in_flight,
            ..Load::ONE
        },
    },
    Dimension {
        name: "peers, each with a route",
        values: &[1, 8, 64, 200],
        load: |peers| Load {
            peers,
            routes: peers,
            ..Load::ONE
        },
    },
    Dimension {
        name: "ports, of 8 peers",
        values: &[1, 2, 8],
        load: |ports| Load {
            peers: 8,
            ports,
            ..Load::ONE
        },
    },
    Dimension {
        name: "routes",
        values: &[1, 16, 200],
        load: |routes| Load {
            routes,
            ..Load::ONE
        },
    },
];

/// The most messages at a time that mctp-estack can be built for.
const ESTACK_IN_FLIGHT: u64 = 32;

fn loaded(subject: &'static str, stack: Stack, load: Load) -> Case {
    let (payload, unit) = GROWTH_SIZE;
    Case {
        room: Room::Many,
        load,
        ..Case::new(subject, stack, payload, unit)
    }
}

/// What a packet costs as one thing grows, in routers with room for all of it.
fn growth(bench: &Bench<'_>) -> Result<(Table, Vec<Line>)> {
    let mut table = Table::new(&[
        "",
        "",
        "echo",
        "",
        "assemble",
        "",
        "request, core",
        "",
        "echo, mctp-estack",
        "",
    ]);
    let mut lines = Vec::new();
    for Dimension { name, values, load } in DIMENSIONS {
        let mut echo = BOTH.map(|stack| Line::new(stack, name.to_owned()));
        let mut first = [None; 4];
        for &value in values {
            let load = load(value);
            let mut row = vec![name.to_owned(), value.to_string()];
            let columns = [
                ("in-place", Stack::Ours),
                ("assemble", Stack::Ours),
                ("core-request", Stack::Ours),
                ("in-place", Stack::Estack),
            ];
            for (column, first) in columns.into_iter().zip(&mut first) {
                let (subject, stack) = column;
                if !applies(subject, stack, load) {
                    row.extend([String::new(), String::new()]);
                    continue;
                }
                let packet = bench.packet(&loaded(subject, stack, load))?;
                let alone = *first.get_or_insert(packet);
                row.extend([count(packet), ratio(packet / alone)]);
                if subject == "in-place" {
                    echo[usize::from(stack == Stack::Estack)].push(value, packet);
                }
            }
            table.row(row);
        }
        lines.extend(echo);
    }
    Ok((table, lines))
}

/// Whether there is such a load for the subject.
fn applies(subject: &str, stack: Stack, load: Load) -> bool {
    match (subject, stack) {
        // Its routes are the application's, and not measured.
        (_, Stack::Estack) => load.in_flight <= ESTACK_IN_FLIGHT && load.routes <= load.peers,
        // Only the ways out matter, and all peers have one.
        ("core-request", _) => load.routes >= load.peers,
        _ => true,
    }
}

/// All of it together, beside one of each in a router with room for little more.
fn load(bench: &Bench<'_>) -> Result<Table> {
    let mut table = Table::new(&["", "one of each", "all", "ratio", "bound"]);
    for (name, subject) in [
        ("echo, async", "in-place"),
        ("assemble, async", "assemble"),
        ("echo, core", "core-echo"),
    ] {
        let case = loaded(subject, Stack::Ours, LOAD);
        let alone = Case {
            room: Room::Usual,
            load: Load::ONE,
            ..case
        };
        let (alone, all) = (bench.packet(&alone)?, bench.packet(&case)?);
        table.row([
            name.to_owned(),
            count(alone),
            count(all),
            ratio(all / alone),
            ratio(GROWTH_BOUND),
        ]);
    }
    Ok(table)
}

/// Through the NVMe-MI responder.
fn commands(bench: &Bench<'_>) -> Result<Table> {
    let mut table = Table::new(&[
        "",
        "`SoftwareCrc32c`, a table of 64 bytes",
        "`TableCrc32c`, 1 KiB",
        "an engine that costs nothing",
    ]);
    for command in COMMANDS {
        let mut row = vec![command.replace('-', " ")];
        for check in CHECKS {
            row.push(count(bench.command(command, check)?));
        }
        table.row(row);
    }
    Ok(table)
}
