//! Which of a name's addresses is connected to (RFC 8305, Happy Eyeballs): both families in turn, each
//! attempt a little after the one before, and the first that answers wins.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::time::sleep;

/// How long an attempt may be alone before the next begins: the RFC's value, section 8.
const DELAY: Duration = Duration::from_millis(250);
/// The most addresses that are tried.
const MOST: usize = 16;

/// Connects to the first address that answers, and gives up the others. An address that fails is followed by
/// the next at once. The caller sets a deadline.
///
/// # Errors
/// Every address failed: the kind of the latest failure, and what each one said.
pub(super) async fn race<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let attempt = |address| {
        let connecting = connect(address);
        async move { (address, connecting.await) }
    };
    let mut waiting = in_turn(addresses).into_iter().take(MOST);
    let mut running = FuturesUnordered::new();
    let mut failures: Vec<(SocketAddr, io::Error)> = Vec::new();
    running.extend(waiting.next().map(attempt));
    while !running.is_empty() {
        select! {
            Some((address, result)) = running.next() => match result {
                Ok(connected) => return Ok(connected),
                Err(error) => failures.push((address, error)),
            },
            () = sleep(DELAY), if waiting.len() > 0 => {}
        }
        running.extend(waiting.next().map(attempt));
    }
    Err(failure(failures))
}

/// The families in turn, each in the resolver's order, beginning with the one that the resolver prefers.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(is_preferred) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_preferred);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut all = Vec::with_capacity(preferred.len() + others.len());
    while preferred.len() + others.len() > 0 {
        all.extend(preferred.next());
        all.extend(others.next());
    }
    all
}

/// One error for all addresses.
fn failure(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let Some((_, last)) = failures.last() else {
        return io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    };
    let kind = last.kind();
    if failures.len() == 1
        && let Some((_, only)) = failures.pop()
    {
        return only;
    }
    let all: Vec<_> = failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    io::Error::new(kind, all.join("; "))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// What an address does: it fails or answers after that many milliseconds.
    type Plan = &'static [(&'static str, Result<u64, u64>)];

    /// The winner or the error, when each address was asked (ms), and when it was over.
    async fn run(plan: Plan) -> (Result<SocketAddr, io::Error>, Vec<u64>, u64) {
        let began = Instant::now();
        let since = || u64::try_from(began.elapsed().as_millis()).unwrap();
        let asked = Mutex::new(Vec::new());
        let connect = |address: SocketAddr| {
            asked.lock().unwrap().push(since());
            let (_, outcome) = plan.iter().find(|(text, _)| *text == address.to_string()).unwrap();
            async move {
                match *outcome {
                    Ok(after) => sleep(Duration::from_millis(after)).await,
                    Err(after) => {
                        sleep(Duration::from_millis(after)).await;
                        return Err(io::ErrorKind::ConnectionRefused.into());
                    }
                }
                Ok(address)
            }
        };
        let all = addresses(&plan.iter().map(|(text, _)| *text).collect::<Vec<_>>());
        let result = race(all, connect).await;
        let over = since();
        (result, asked.into_inner().unwrap(), over)
    }

    #[test]
    fn families_take_turns_from_the_one_that_the_resolver_prefers() {
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"];
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"];
        assert_eq!(in_turn(addresses(&given)), addresses(&turns));
        let given = ["1.1.1.1:1", "1.1.1.2:1", "[::1]:1"];
        assert_eq!(in_turn(addresses(&given)), addresses(&["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"]));
        assert_eq!(in_turn(Vec::new()), Vec::new());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_answers_wins_and_each_begins_a_little_after_the_one_before() {
        const NEVER: u64 = 100_000;
        // The preferred family is silent, as behind a broken tunnel.
        let (winner, asked, over) =
            run(&[("[::1]:1", Ok(NEVER)), ("[::2]:1", Ok(NEVER)), ("1.1.1.1:1", Ok(30))]).await;
        assert_eq!((winner.unwrap().to_string(), asked, over), ("1.1.1.1:1".to_owned(), vec![0, 250], 280));
        // A slow one that began first may still win.
        let (winner, asked, over) = run(&[("[::1]:1", Ok(300)), ("1.1.1.1:1", Ok(100))]).await;
        assert_eq!((winner.unwrap().to_string(), asked, over), ("[::1]:1".to_owned(), vec![0, 250], 300));
        // A failure does not wait.
        let (winner, asked, over) =
            run(&[("[::1]:1", Err(10)), ("1.1.1.1:1", Err(20)), ("[::2]:1", Ok(5))]).await;
        assert_eq!((winner.unwrap().to_string(), asked, over), ("[::2]:1".to_owned(), vec![0, 10, 30], 35));
    }

    #[tokio::test(start_paused = true)]
    async fn what_every_address_said_is_told() {
        let (error, ..) = run(&[("[::1]:1", Err(10)), ("1.1.1.1:1", Err(20))]).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(error.to_string(), "[::1]:1: connection refused; 1.1.1.1:1: connection refused");
        let (error, asked, _) = run(&[]).await;
        assert_eq!((error.unwrap_err().kind(), asked), (io::ErrorKind::NotFound, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn every_address_of_a_name_is_tried() {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let here = listener.local_addr().unwrap();
        assert_eq!(race(vec![gone, here], TcpStream::connect).await.unwrap().peer_addr().unwrap(), here);
        let error = race(vec![gone, gone], TcpStream::connect).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = race(vec![gone], TcpStream::connect).await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error:?}");
    }
}
