//! Phone calls: a carrier's media stream on one side, a model on the other, 50 frames of 20 ms a second each
//! way. A bare relay of the same frames stands beside.
//!
//! ```sh
//! cargo run --release -p realtime-bench -- phones --calls 200 --seconds 6 --rounds 5
//! ```
//!
//! One process is the phones and the models ([`load`]), the other one holds the calls, on one thread. Each
//! frame of a caller holds the time at which it was sent; the model's end reads it from the append.

mod answer;
mod load;
mod relay;

use std::error::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::gauge::{cpu_us, median, resident_kib};
use crate::hold::WARM_UP;
use crate::{Options, Server, run_self};

pub(crate) use load::serve;

/// CPU and latency beside the relay's, and memory of a call (KiB), at most.
const MOST_CPU: f64 = 1.5;
const MOST_LATE: f64 = 2.0;
const MOST_MEMORY: f64 = 128.0;

/// Who holds the calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Holder {
    /// It turns each message of one side into one of the other.
    Relay,
    /// An agent of `realtime-pipeline`.
    Agent,
}

impl Holder {
    fn named(name: &str) -> Option<Self> {
        [Self::Relay, Self::Agent].into_iter().find(|holder| holder.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Agent => "agent",
        }
    }
}

/// What holding calls has cost: CPU (µs per call and second), lateness of appends (µs), memory (KiB per
/// call).
#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu: f64,
    p50: f64,
    p99: f64,
    memory: f64,
}

/// The roles of this bench, and the comparison.
pub(crate) fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    if let [name, address, calls, seconds] = args
        && let Some(holder) = Holder::named(name)
    {
        let cost = hold(holder, address, calls.parse()?, seconds.parse()?)?;
        println!("{} {} {} {}", cost.cpu, cost.p50, cost.p99, cost.memory);
        return Ok(());
    }
    let mut options = Options::read(args)?;
    if !args.iter().any(|arg| arg == "--calls") {
        options.calls = 200;
    }
    compare(&options)
}

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let Options { calls, seconds, rounds, .. } = options;
    let server = Server::start()?;
    println!("{calls} phone calls for {seconds} s, medians of {rounds} rounds, one thread");
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..*rounds {
        for (holder, costs) in [Holder::Relay, Holder::Agent].into_iter().zip(&mut costs) {
            let (calls, seconds) = (calls.to_string(), seconds.to_string());
            costs.push(read(&run_self(&["phones", holder.name(), &server.address, &calls, &seconds])?)?);
        }
    }
    let [relay, agent] = &costs;
    let of = |costs: &[Cost], what: fn(&Cost) -> f64| median(costs.iter().map(what));
    // Of the same round, because the speed of the machine changes.
    let beside = |what: fn(&Cost) -> f64| median(relay.iter().zip(agent).map(|(a, b)| what(b) / what(a)));
    println!("{:10} {:>16} {:>22} {:>18}", "", "CPU ms/call-min", "append p50 / p99 (us)", "KiB per call");
    for (name, costs) in [("relay", relay), ("agent", agent)] {
        let (cpu, memory) = (of(costs, |cost| cost.cpu) * 60.0 / 1000.0, of(costs, |cost| cost.memory));
        let late = format!("{:.0} / {:.0}", of(costs, |cost| cost.p50), of(costs, |cost| cost.p99));
        println!("{name:10} {cpu:>16.1} {late:>22} {memory:>18.0}");
    }
    let (cpu, late, memory) =
        (beside(|cost| cost.cpu), beside(|cost| cost.p99), of(agent, |cost| cost.memory));
    println!("x relay: CPU {cpu:.2} (most {MOST_CPU}), p99 {late:.2} (most {MOST_LATE})");
    let mut over = Vec::new();
    if cpu > MOST_CPU {
        over.push(format!("CPU is {cpu:.2} x the relay's, at most {MOST_CPU} is meant"));
    }
    if late > MOST_LATE {
        over.push(format!("p99 is {late:.2} x the relay's, at most {MOST_LATE} is meant"));
    }
    if memory > MOST_MEMORY {
        over.push(format!("a call takes {memory:.0} KiB, at most {MOST_MEMORY} is meant"));
    }
    if over.is_empty() { Ok(()) } else { Err(over.join("; ").into()) }
}

fn read(text: &str) -> Result<Cost, Box<dyn Error>> {
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [cpu, p50, p99, memory] = numbers[..] else {
        return Err(format!("expected a cost, got {text}").into());
    };
    Ok(Cost { cpu, p50, p99, memory })
}

/// Holds so many calls, and returns what they cost.
fn hold(holder: Holder, address: &str, calls: usize, seconds: u64) -> Result<Cost, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let address = address.to_owned();
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        // What the process needs once is not a call's.
        ask(&address, &format!("dial {port} 1")).await?;
        begin(holder, &listener, &address).await?;
        sleep(WARM_UP / 2).await;
        let before = resident_kib()?;
        ask(&address, &format!("dial {port} {calls}")).await?;
        for _ in 0..calls {
            begin(holder, &listener, &address).await?;
        }
        sleep(WARM_UP).await;
        ask(&address, "late").await?;
        let began = cpu_us()?;
        sleep(std::time::Duration::from_secs(seconds)).await;
        let cpu = (cpu_us()? - began) as f64 / (calls + 1) as f64 / seconds as f64;
        let late = ask(&address, "late").await?;
        let (p50, p99) = late.trim().split_once(' ').ok_or("expected two numbers")?;
        let memory = (resident_kib()?.saturating_sub(before)) as f64 / calls as f64;
        Ok(Cost { cpu, p50: p50.parse()?, p99: p99.parse()?, memory })
    })
}

/// Takes the next call, and lets it run.
async fn begin(holder: Holder, listener: &TcpListener, address: &str) -> Result<(), Box<dyn Error>> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let socket = tokio_tungstenite::accept_async_with_config(stream, Some(small())).await?;
    let address = address.to_owned();
    tokio::task::spawn_local(async move {
        let ended = match holder {
            Holder::Relay => relay::relay(socket, &address).await,
            Holder::Agent => answer::answer(socket, &address).await,
        };
        if let Err(error) = ended {
            eprintln!("a call ended: {error}");
            std::process::exit(1);
        }
    });
    Ok(())
}

/// Buffers that suit messages of a few hundred bytes: the default holds 128 KiB for each socket.
fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4 * 1024)
}

/// Asks the load's process for something.
async fn ask(address: &str, what: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("{what}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
