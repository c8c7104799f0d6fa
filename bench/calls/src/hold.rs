//! Many calls on one thread, at the pace of speech, and what they cost.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

use super::gauge::{Measured, cpu_us, now_us, written_at};

/// 20 ms of PCM at 24 kHz: what a call sends at each tick.
pub(crate) const APPEND: usize = 960;
/// How long connections settle before anything is measured.
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);

/// How late each delta was (microseconds).
pub(crate) type Latencies = Rc<RefCell<Vec<u32>>>;
thread_local! {
    /// Those of this thread's calls, for who can't hold them.
    static HERE: Latencies = Latencies::default();
}

/// How a call ended, which it should not.
pub(crate) type Ended = Result<(), Box<dyn Error>>;

/// Holds this many calls for this long, and returns what they cost.
pub(crate) fn hold<C: Future<Output = Ended> + 'static>(
    calls: usize,
    seconds: u64,
    call: impl Fn(Interval, Latencies) -> C,
) -> Result<Measured, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let latencies = HERE.with(Rc::clone);
        for number in 0..calls {
            // Calls do not speak in step.
            let begin = Instant::now() + Duration::from_micros(20_000 * number as u64 / calls as u64);
            let mut ticks = interval_at(begin, Duration::from_millis(20));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let call = call(ticks, Rc::clone(&latencies));
            tokio::task::spawn_local(async move {
                if let Err(error) = call.await {
                    eprintln!("a call ended: {error}");
                    std::process::exit(1);
                }
            });
        }
        sleep(WARM_UP).await;
        latencies.borrow_mut().clear();
        let before = cpu_us()?;
        sleep(Duration::from_secs(seconds)).await;
        let cpu = cpu_us()? - before;
        Ok(Measured::new(cpu, calls, seconds, latencies.take()))
    })
}

/// A delta with this audio has come to a call of this thread.
pub(crate) fn heard_here(audio: &[u8]) {
    HERE.with(|latencies| heard(latencies, audio));
}

/// A delta with this audio has come.
pub(crate) fn heard(latencies: &Latencies, audio: &[u8]) {
    let late = now_us().saturating_sub(written_at(audio));
    latencies.borrow_mut().push(u32::try_from(late).unwrap_or(u32::MAX));
}
