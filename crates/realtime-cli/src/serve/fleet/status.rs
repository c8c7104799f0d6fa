//! `realtime fleet status`: the workers, tenants and calls of a fleet.

use realtime_fleet::drive;
use realtime_fleet::{Leg, OpenCall, TenantSeen, WorkerSeen};
use serde_json::json;
use tokio::runtime::Builder;

use crate::environment::Environment;
use crate::serve::fleet::options::EngineArgs;
use crate::serve::fleet::paths::{told_call, told_worker};
use crate::time::{wall, written};
use crate::{Error, say};

/// Which fleet.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    /// Prints a JSON object: fleet, workers, tenants, calls
    #[arg(long)]
    json: bool,
}

/// What stands below the options in the long help.
pub(super) const AFTER_HELP: &str = "\
Examples:
  realtime fleet status --nats nats://127.0.0.1:4222
  realtime fleet status --nats nats://127.0.0.1:4222 --json
      The same for a script.";

/// `realtime fleet status`.
pub(super) fn run(args: &Args, environment: &Environment) -> Result<(), Error> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let nats = drive::look(args.engine.nats(environment)?).await?;
        let (Some(workers), Some(calls)) = (nats.workers().await, nats.open_calls().await) else {
            return Err("the NATS servers do not answer in time: try again".into());
        };
        // A fleet of an earlier release keeps nothing of tenants.
        let tenants = nats.tenants(wall(), &calls).await.unwrap_or_default();
        if args.json {
            say(json!({
                "fleet": args.engine.fleet(),
                "workers": workers.iter().map(told_worker).collect::<Vec<_>>(),
                "tenants": tenants,
                "calls": calls.iter().map(told_call).collect::<Vec<_>>(),
            }));
        } else {
            lines(&workers, &tenants, &calls).into_iter().for_each(say);
        }
        Ok(())
    })
}

/// All as tables.
fn lines(workers: &[WorkerSeen], tenants: &[TenantSeen], calls: &[OpenCall]) -> Vec<String> {
    let mut lines = match workers {
        [] => vec!["no workers".to_owned()],
        _ => table(
            ["WORKER", "CALLS", "ROOM", "STATE", "LABELS", "CARD"],
            workers.iter().map(|seen| {
                let card = &seen.card;
                let load = u64::from(card.calls) * 100 / u64::from(card.slots.max(1));
                let labels: Vec<String> =
                    card.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                [
                    seen.worker.to_string(),
                    format!("{} ({load} %)", card.calls),
                    card.room().to_string(),
                    if card.draining { "draining" } else { "serves" }.to_owned(),
                    if labels.is_empty() { "-".to_owned() } else { labels.join(",") },
                    format!("{:.1} s ago", seen.age.as_secs_f64()),
                ]
            }),
        ),
    };
    lines.push(String::new());
    if !tenants.is_empty() {
        let or_none = |limit: Option<String>| limit.unwrap_or_else(|| "-".to_owned());
        let rows = tenants.iter().map(|seen| {
            [
                seen.tenant.to_string(),
                seen.calls.to_string(),
                or_none(seen.call_limit.map(|limit| limit.to_string())),
                amount(seen.spent),
                or_none(seen.money.map(|money| amount(money.most))),
                or_none(seen.money.and_then(|money| money.end).map(amount)),
            ]
        });
        lines.extend(table(["TENANT", "CALLS", "LIMIT", "SPENT TODAY", "LIMIT", "ENDS AT"], rows));
        lines.push(String::new());
    }
    lines.extend(match calls {
        [] => vec!["no calls".to_owned()],
        _ => table(
            ["CALL", "TENANT", "LEG", "OWNER", "EPOCH", "SINCE"],
            calls.iter().map(|call| {
                let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                let leg = call.leg.as_ref().map(|leg| match leg {
                    Leg::Sideband { call_id } => format!("sideband {call_id}"),
                    Leg::Direct {} => "direct".to_owned(),
                    Leg::Phone { carrier, call_id, .. } => {
                        format!("phone {carrier} {}", call_id.as_deref().unwrap_or_default())
                            .trim_end()
                            .to_owned()
                    }
                    _ => "other".to_owned(),
                });
                [
                    call.call.to_string(),
                    or_none(call.tenant.as_ref().map(ToString::to_string)),
                    or_none(leg),
                    or_none(call.owner.as_ref().map(ToString::to_string)),
                    call.epoch.to_string(),
                    or_none(call.since.map(written)),
                ]
            }),
        ),
    });
    lines
}

/// Millionths as money.
fn amount(millionths: u64) -> String {
    format!("{:.2}", millionths as f64 / 1e6)
}

/// Rows under their heads, in columns as wide as they need. What would move a terminal's cursor is escaped.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    let rows = rows.map(|row| row.map(|cell| cell.escape_debug().to_string()));
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_and_nothing_is_said_too() {
        let rows = [["w_1".to_owned(), "600".to_owned()], ["w_long".to_owned(), "9".to_owned()]];
        assert_eq!(table(["WORKER", "N"], rows.into_iter()), ["WORKER  N", "w_1     600", "w_long  9"]);
        assert_eq!(table(["LABELS"], [["a=\u{1b}[2J\n".to_owned()]].into_iter())[1], r"a=\u{1b}[2J\n");
        assert_eq!(amount(12_345_678), "12.35");
        assert_eq!(lines(&[], &[], &[]), ["no workers", "", "no calls"]);
    }
}
