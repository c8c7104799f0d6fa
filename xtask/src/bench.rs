//! `cargo xtask bench`: the cost of codec and session in instructions, which a busy machine does not change,
//! beside its limit and, with `--peers`, beside other crates on the same texts; then the cost of whole calls,
//! beside a floor of sockets and a timer; and, only when it is named, a fleet's worst minute.
//!
//! A round's cost is the difference between two runs under callgrind, divided by the difference of their
//! rounds, so that start and preparation drop out. Time per event is `cargo bench -p realtime-protocol`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, ci, workspace_root};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Measures other crates as well; cargo fetches and builds them first, which takes minutes
    #[arg(long)]
    peers: bool,
    /// Measures only this
    #[arg(long, value_enum)]
    only: Option<Subject>,
    /// Calls in one process [default: 50, and 200 on the phone]
    #[arg(long)]
    calls: Option<usize>,
    /// How long each round of calls takes (s) [default: 6, and 75 for a fleet]
    #[arg(long)]
    seconds: Option<u64>,
    /// Prints the results of a fleet as JSON, in the last line
    #[arg(long)]
    json: bool,
    /// Leaves a fleet's fences and leases out: it must fail
    #[arg(long)]
    no_fence: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Subject {
    /// Codec and session, in instructions
    Codec,
    /// Whole calls in real time: CPU beside the floor, latency, memory
    Calls,
    /// Phone calls in real time, beside a bare relay of the same frames
    Phones,
    /// A fleet of four workers on a nats-server, of which some are killed, stopped and cut off
    Fleet,
}

/// A workload, and the most instructions that it may take.
const WORKLOADS: &[(&str, &str, u64)] = &[
    ("audio_delta_9600", "audio delta, 9,600 B PCM, text to bytes", 17_800),
    ("audio_delta_19200", "audio delta, 19,200 B PCM, text to bytes", 31_000),
    ("transcript_delta", "transcript delta", 2_950),
    ("response_done", "response.done, unknown members kept", 31_000),
    ("append_960", "append, 960 B PCM, into a used buffer", 2_800),
    ("append_960_fresh", "append, 960 B PCM, into a text of its own", 3_100),
    ("append_4800", "append, 4,800 B PCM, into a used buffer", 12_000),
];

/// A workload that holds another one, and the most instructions that it may take beyond that.
const BEYOND: &[(&str, &str, &str, u64)] = &[(
    "session_audio_delta_9600",
    "audio_delta_9600",
    "audio delta, 9,600 B PCM, what a session adds",
    1_600,
)];

/// Other crates, by the name under which the program in `bench/peers` knows them.
const PEERS: &[&str] = &["base64", "async-openai", "adk-realtime"];

/// Rounds of the two runs.
const ROUNDS: (u64, u64) = (10, 110);

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    // Each prints its results, even if the other failed.
    let peers = if args.peers { build_peers(workspace_root()) } else { None };
    let is_wanted = |subject| args.only.is_none_or(|only| only == subject);
    let codec = if is_wanted(Subject::Codec) { codec(peers.as_deref()) } else { Ok(()) };
    let calls = if is_wanted(Subject::Calls) { calls(args, peers.as_deref()) } else { Ok(()) };
    let phones = if is_wanted(Subject::Phones) { phones(args) } else { Ok(()) };
    let fleet = if args.only == Some(Subject::Fleet) { fleet(args) } else { Ok(()) };
    codec.and(calls).and(phones).and(fleet)
}

/// Rehearses a fleet's faults. The example says what it measures.
fn fleet(args: &Args) -> Result<(), Error> {
    let server = ci::nats_server()?;
    let what = ["--package", "realtime-fleet", "--features", "nats", "--example", "rehearsal"];
    let mut command = Command::new(build(workspace_root(), &what, "examples/rehearsal")?);
    command.env("NATS_SERVER", server).args(args.no_fence.then_some("--no-fence"));
    for (name, value) in [("--calls", args.calls.map(|calls| calls as u64)), ("--seconds", args.seconds)] {
        command.args(value.iter().flat_map(|value| [name.to_owned(), value.to_string()]));
    }
    command.args(args.json.then_some("--json"));
    let status = command.status().map_err(|error| format!("cannot run the rehearsal: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the fleet did not keep what it promises, as told above".into())
    }
}

/// Holds calls in real time, in release, with the server in a separate process.
fn calls(args: &Args, peers: Option<&Path>) -> Result<(), Error> {
    let peers = peers.iter().flat_map(|program| [OsStr::new("--peers"), program.as_os_str()]);
    let status =
        bench(args, None).args(peers).status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("calls cost more than they may, as told above".into()) }
}

/// The same for phone calls.
fn phones(args: &Args) -> Result<(), Error> {
    let status =
        bench(args, Some("phones")).status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("phone calls cost more than they may, as told above".into()) }
}

/// The program that holds calls, in a role of it.
fn bench(args: &Args, role: Option<&str>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace_root());
    command.args(["run", "--quiet", "--release", "--package", "realtime-bench", "--"]);
    command.args(role).args(["--seconds", &args.seconds.unwrap_or(6).to_string()]);
    command.args(args.calls.iter().flat_map(|calls| ["--calls".to_owned(), calls.to_string()]));
    command
}

fn codec(peers: Option<&Path>) -> Result<(), Error> {
    if !has_valgrind() {
        say!("skipped: valgrind is not installed, and its callgrind counts the instructions");
        return Ok(());
    }
    let root = workspace_root();
    let ours = build(root, &["--package", "realtime-protocol", "--example", "codec"], "examples/codec")?;
    let mut line = format!("{:46} {:>9} {:>9}", "instructions per event", "most", "here");
    for peer in peers.iter().flat_map(|_| PEERS) {
        line += &format!(" {peer:>13}");
    }
    say!("{line}");
    let mut over = Vec::new();
    let mut measured = BTreeMap::new();
    for (workload, name, most) in WORKLOADS {
        let here = instructions(Command::new(&ours).arg(workload))?;
        measured.insert(*workload, here);
        let mut line = format!("{name:46} {:>9} {:>9}", grouped(*most), grouped(here));
        for (program, peer) in peers.iter().flat_map(|program| PEERS.iter().map(move |peer| (program, peer)))
        {
            // Base64 alone has nothing to do on texts without audio.
            let is_audio = workload.starts_with("audio") || workload.starts_with("append");
            let count = if *peer == "base64" && !is_audio {
                None
            } else {
                Some(instructions(Command::new(program).args([peer, workload]))?)
            };
            line += &format!(" {:>13}", count.map_or_else(|| "-".to_owned(), grouped));
        }
        say!("{line}");
        if here > *most {
            over.push(*name);
        }
    }
    for (workload, within, name, most) in BEYOND {
        let whole = instructions(Command::new(&ours).arg(workload))?;
        let here = whole.saturating_sub(measured.get(within).copied().unwrap_or_default());
        say!("{name:46} {:>9} {:>9}", grouped(*most), grouped(here));
        if here > *most {
            over.push(*name);
        }
    }
    if over.is_empty() { Ok(()) } else { Err(format!("over the limit: {}", over.join("; ")).into()) }
}

fn has_valgrind() -> bool {
    let version =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Builds a release program of the workspace in `dir`. Returns its path.
fn build(dir: &Path, what: &[&str], program: &str) -> Result<PathBuf, Error> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| dir.join("target"), PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(dir)
        .args(["build", "--quiet", "--release", "--target-dir"])
        .arg(&target)
        .args(what)
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err(format!("{program} does not build").into());
    }
    Ok(target.join("release").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// `None`, with a printed line, if the other crates cannot be fetched or built: ours are still measured.
fn build_peers(root: &Path) -> Option<PathBuf> {
    let built = build(&root.join("bench/peers"), &[], "realtime-bench-peers");
    if built.is_err() {
        say!("skipped: the other crates, since bench/peers does not build");
    }
    built.ok()
}

/// Instructions per round.
fn instructions(command: &mut Command) -> Result<u64, Error> {
    let program = PathBuf::from(command.get_program());
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let total = |rounds: u64| -> Result<u64, Error> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&program)
            .args(&args)
            .arg(rounds.to_string())
            .output()
            .map_err(|error| format!("cannot run valgrind: {error}"))?;
        let report = String::from_utf8_lossy(&output.stderr);
        match collected(&report) {
            Some(count) if output.status.success() => Ok(count),
            _ => Err(format!("callgrind failed on {}: {}", program.display(), report.trim()).into()),
        }
    };
    Ok((total(ROUNDS.1)? - total(ROUNDS.0)?) / (ROUNDS.1 - ROUNDS.0))
}

/// The total in callgrind's report.
fn collected(report: &str) -> Option<u64> {
    report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_out_of_callgrinds_report() {
        let report =
            "==7== Events    : Ir\n==7== Collected : 28196099\n==7== \n==7== I   refs:      28,196,099\n";
        assert_eq!(collected(report), Some(28_196_099));
        assert_eq!(collected("==7== error"), None);
    }

    #[test]
    fn numbers_are_grouped_by_threes() {
        assert_eq!([7, 999, 1_000, 28_196_099].map(grouped), ["7", "999", "1,000", "28,196,099"]);
    }
}
