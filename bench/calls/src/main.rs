//! What calls cost: CPU, latency and memory of many calls in one process, beside bare loops of two WebSocket
//! libraries, beside the machines in such a loop, and beside a floor of sockets and a timer.
//!
//! ```sh
//! cargo run --release -p realtime-bench -- --calls 50 --seconds 6 --rounds 7
//! ```
//!
//! Each call sends 20 ms of audio 50 times a second, and hears 25 events a second, each in a packet of its
//! own ([`turn`]). The server is a separate process, and so is each client, on one thread. Rounds are
//! interleaved and medians told, because the machine may be busy with other things.

#![expect(clippy::print_stdout, reason = "this is what it measured")]

mod bare;
mod clients;
mod functions;
mod gauge;
mod hold;
mod inline;
mod phones;
mod pipelines;
mod server;
mod turn;

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use clients::Kind;
use gauge::{Measured, median};

/// CPU beside that of the bare loop, at most.
const MOST_CPU: [(Kind, f64); 5] = [
    (Kind::Inline, 1.12),
    (Kind::Ours, 1.20),
    (Kind::Listening, 1.25),
    (Kind::Pipeline, 1.35),
    (Kind::Recorded, 1.75),
];
/// Calls whose functions are measured, and how late the output of a function may be on the wire beside that
/// of the bare loop: 99 of 100 outputs.
const CALLS_WITH_TOOLS: usize = 200;
const MOST_LATE: f64 = 2.0;
/// Memory of a session that is idle, and of one that was busy (KiB), at most.
const MOST_IDLE: u64 = 40;
const MOST_AFTER_BURST: u64 = 96;
/// Memory of an agent that is idle (KiB), at most.
const MOST_IDLE_AGENT: u64 = 64;
/// Sessions by which memory is measured.
const IDLE_SESSIONS: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("server") => server::run(),
        Some("phones") => phones::run(&args[1..]),
        Some("agents") => {
            println!("{}", pipelines::memory(args.get(1).ok_or("expected ADDRESS")?, IDLE_SESSIONS)?);
            Ok(())
        }
        Some(mode @ ("quiet" | "burst")) => {
            println!("{}", clients::memory(args.get(1).ok_or("expected ADDRESS")?, mode, IDLE_SESSIONS)?);
            Ok(())
        }
        Some("functions") => {
            let [_, kind, calls, seconds] = &args[..] else {
                return Err("expected CLIENT CALLS SECONDS".into());
            };
            let kind = Kind::named(kind).ok_or("expected a client")?;
            println!("{}", functions::run(kind, calls.parse()?, seconds.parse()?)?);
            Ok(())
        }
        name => match (name.and_then(Kind::named), &args[..]) {
            (Some(kind), [_, address, calls, seconds]) => {
                println!("{}", clients::run(kind, address, calls.parse()?, seconds.parse()?)?);
                Ok(())
            }
            (Some(_), _) => Err("expected ADDRESS CALLS SECONDS".into()),
            (None, _) => compare(&Options::read(&args)?),
        },
    }
}

struct Options {
    calls: usize,
    seconds: u64,
    rounds: usize,
    /// A program that holds the same calls with other crates: `PROGRAM calls CRATE ADDRESS CALLS SECONDS`.
    peers: Option<String>,
}

/// The other crates that it knows.
const PEERS: [&str; 2] = ["adk-realtime", "async-openai"];

impl Options {
    fn read(args: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { calls: 50, seconds: 6, rounds: 7, peers: None };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let mut number = || -> Result<usize, Box<dyn Error>> {
                Ok(args.next().ok_or_else(|| format!("expected a number after {name}"))?.parse()?)
            };
            match name.as_str() {
                "--calls" => options.calls = number()?.max(1),
                "--seconds" => options.seconds = number()?.max(1) as u64,
                "--rounds" => options.rounds = number()?.max(1),
                "--peers" => options.peers = args.next().cloned(),
                other => {
                    return Err(
                        format!("expected --calls, --seconds, --rounds or --peers, got {other}").into()
                    );
                }
            }
        }
        Ok(options)
    }
}

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    let Options { calls, seconds, rounds, peers } = options;
    println!("{calls} calls for {seconds} s, medians of {rounds} rounds, one thread each");
    let this = std::env::current_exe()?;
    let ours = Kind::ALL.map(|kind| (kind.title(), Command::new(&this), vec![kind.name()]));
    let theirs =
        peers.iter().flat_map(|program| PEERS.map(|peer| (peer, Command::new(program), vec!["calls", peer])));
    let mut clients: Vec<_> = ours.into_iter().chain(theirs).map(|client| (client, Vec::new())).collect();
    for _ in 0..*rounds {
        for ((title, program, role), measured) in &mut clients {
            let mut command = Command::new(program.get_program());
            command.args(&*role).arg(&server.address).args([calls.to_string(), seconds.to_string()]);
            let said = output(&mut command).map_err(|error| format!("{title}: {error}"))?;
            measured.push(Measured::parse(&said)?);
        }
    }
    println!(
        "{:30} {:>16} {:>9} {:>9} {:>16} {:>22}",
        "", "CPU ms/call-min", "x floor", "x bare", "calls per core", "delta p50 / p99 (us)"
    );
    let cpu = |rounds: &[Measured]| median(rounds.iter().map(|round| round.cpu_us_per_call_second));
    // Of the same round, because the speed of the machine changes.
    let beside = |rounds: &[Measured], reference: Kind| {
        let reference = &clients[Kind::ALL.iter().position(|kind| *kind == reference).unwrap_or_default()].1;
        median(
            rounds
                .iter()
                .zip(reference)
                .map(|(round, reference)| round.cpu_us_per_call_second / reference.cpu_us_per_call_second),
        )
    };
    let mut over = Vec::new();
    let late_bare = median(clients[Kind::Bare as usize].1.iter().map(|round| round.p99_us));
    for ((title, ..), rounds) in &clients {
        let (x_floor, x_bare) = (beside(rounds, Kind::Floor), beside(rounds, Kind::Bare));
        for (kind, most) in MOST_CPU {
            if kind.title() == *title && x_bare > most {
                over.push(format!("{title}: CPU is {x_bare:.2} x the bare loop's, at most {most} is meant"));
            }
        }
        let p50 = median(rounds.iter().map(|round| round.p50_us));
        let p99 = median(rounds.iter().map(|round| round.p99_us));
        if *title == Kind::Pipeline.title() && p99 > late_bare * MOST_LATE {
            over.push(format!("{title}: p99 is {p99:.0} us, and the bare loop's {late_bare:.0} us"));
        }
        let latency = if p50.is_nan() { "-".to_owned() } else { format!("{p50:.0} / {p99:.0}") };
        let cost = cpu(rounds);
        let (per_minute, per_core) = (cost * 60.0 / 1000.0, 1e6 / cost);
        println!("{title:30} {per_minute:>16.1} {x_floor:>9.2} {x_bare:>9.2} {per_core:>16.0} {latency:>22}");
    }
    let idle: u64 = run_self(&["quiet", &server.address])?.trim().parse()?;
    let after: u64 = run_self(&["burst", &server.address])?.trim().parse()?;
    println!(
        "memory of a session, resident: idle {idle} KiB (most {MOST_IDLE}), after a burst {after} KiB (most {MOST_AFTER_BURST})"
    );
    let agent: u64 = run_self(&["agents", &server.address])?.trim().parse()?;
    println!("memory of an agent, resident: idle {agent} KiB (most {MOST_IDLE_AGENT})");

    let late = |kind: Kind| -> Result<f64, Box<dyn Error>> {
        let arguments = ["functions", kind.name(), &CALLS_WITH_TOOLS.to_string(), &seconds.to_string()];
        let rounds = (0..*rounds).map(|_| Ok(Measured::parse(&run_self(&arguments)?)?.p99_us));
        Ok(median(rounds.collect::<Result<Vec<_>, Box<dyn Error>>>()?.into_iter()))
    };
    let (bare, ours) = (late(Kind::Bare)?, late(Kind::Ours)?);
    println!(
        "output of a function on the wire, p99 of {CALLS_WITH_TOOLS} calls: bare loop {bare:.0} us, ours {ours:.0} us, x {:.2} (most {MOST_LATE})",
        ours / bare
    );
    if ours > bare * MOST_LATE {
        over.push("outputs of functions leave too late".to_owned());
    }
    if agent > MOST_IDLE_AGENT {
        over.push("an idle agent takes too much memory".to_owned());
    }
    if idle > MOST_IDLE || after > MOST_AFTER_BURST {
        over.push("a session takes too much memory".to_owned());
    }
    if over.is_empty() { Ok(()) } else { Err(over.join("; ").into()) }
}

/// Runs this program in another role. Returns its output.
fn run_self(args: &[&str]) -> Result<String, Box<dyn Error>> {
    output(Command::new(std::env::current_exe()?).args(args))
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The server's process. It ends with this one.
struct Server {
    child: Child,
    address: String,
    _said: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        Ok(Self { child, address: line.trim().to_owned(), _said: said })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of the input: the process that asked for this one has ended.
fn until_input_ends() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
