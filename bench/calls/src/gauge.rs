//! What is measured: CPU of this thread, latency by stamps in the audio, resident memory.

use std::error::Error;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970: both processes are on one machine.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// When a delta with this audio was written (microseconds since 1970).
pub(crate) fn written_at(audio: &[u8]) -> u64 {
    audio.first_chunk().map_or(0, |stamp| u64::from_le_bytes(*stamp))
}

/// CPU time of this thread (microseconds), the kernel's share included.
pub(crate) fn cpu_us() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .map_err(|error| format!("this bench needs Linux: /proc/thread-self/schedstat: {error}"))?;
    let nanos: u64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanos / 1000)
}

/// Resident memory of this process (KiB).
pub(crate) fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// What one client cost. One process tells it to another as text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) cpu_us_per_call_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Measured {
    pub(crate) fn new(cpu_us: u64, calls: usize, seconds: u64, mut latencies: Vec<u32>) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies.get(index.min(latencies.len().saturating_sub(1))).copied().map_or(f64::NAN, f64::from)
        };
        let cpu_us_per_call_second = cpu_us as f64 / calls as f64 / seconds as f64;
        Self { cpu_us_per_call_second, p50_us: at(0.5), p99_us: at(0.99) }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut numbers = text.split_whitespace().map(str::parse);
        let mut next = || numbers.next().unwrap_or(Ok(f64::NAN));
        Ok(Self { cpu_us_per_call_second: next()?, p50_us: next()?, p99_us: next()? })
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.cpu_us_per_call_second, self.p50_us, self.p99_us)
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
