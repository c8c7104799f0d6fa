//! `cargo xtask oracle DIR`: runs scenarios through the pipeline's service, the conversation and the tools,
//! and compares what they did with traces of what another implementation did on them.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use realtime_oracle::{CHANNELS, Options, Verdict, rules};

/// The scenarios, and which parts of them are compared.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask oracle", about = "Compares this implementation with traces of another one")]
struct Args {
    /// The folder that holds `scenarios` and `traces`, files of JSON lines with the same names
    dir: PathBuf,

    /// Only scenarios whose names match: `*` stands for any text. May be given several times
    #[arg(long = "match", value_name = "PATTERN")]
    patterns: Vec<String>,

    /// The channels of the traces that are compared
    #[arg(long, value_delimiter = ',', default_values = CHANNELS)]
    channels: Vec<String>,

    /// Lists the rules by which traces may differ, each with its reason
    #[arg(long)]
    rules: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if args.rules {
        for (name, reason) in rules() {
            say(format_args!("{name}: {reason}"));
        }
        return Ok(());
    }
    let options =
        Options { dir: args.dir.clone(), patterns: args.patterns.clone(), channels: args.channels.clone() };
    let mut counts = [0_usize; 3];
    realtime_oracle::run(&options, |name, verdict| {
        say(format_args!("{name}: {verdict}"));
        counts[match verdict {
            Verdict::Same => 0,
            Verdict::ByDesign(_) => 1,
            Verdict::Differs(_) => 2,
        }] += 1;
    })?;
    let [same, by_design, differ] = counts;
    let all = same + by_design + differ;
    say(format_args!("{all} scenarios, {same} same, {by_design} by design, {differ} differ"));
    if all == 0 {
        return Err(format!("{}: no scenario matches", args.dir.display()).into());
    }
    if differ > 0 { Err(format!("{differ} scenarios differ").into()) } else { Ok(()) }
}

/// Writes a line of the report. Without a reader, the program ends quietly.
fn say(line: fmt::Arguments<'_>) {
    if writeln!(io::stdout(), "{line}").is_err() {
        std::process::exit(1);
    }
}
