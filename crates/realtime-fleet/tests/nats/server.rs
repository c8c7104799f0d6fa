//! A nats-server of a test's own, and a proxy before it that can hold bytes back.

use std::net::TcpListener as Probe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Server {
    program: PathBuf,
    pub(crate) folder: PathBuf,
    port: u16,
    /// What makes it one of a cluster.
    cluster: Vec<String>,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with(folder.join("js"), Vec::new())
    }

    /// One that keeps things in this folder; `cluster` makes it one of a cluster.
    pub(crate) fn with(folder: PathBuf, cluster: Vec<String>) -> Self {
        let program = std::env::var_os("NATS_SERVER").map(PathBuf::from).unwrap_or_else(|| {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/nats/bin/nats-server")
        });
        assert!(
            program.exists(),
            "no {}: run `cargo xtask ci fleet`, or name one by NATS_SERVER",
            program.display()
        );
        let mut server = Self { program, folder, port: 0, cluster, child: None };
        // Somebody else may take the port before the server does: then it ends, and another one is tried.
        let begun = Instant::now();
        while !server.listens() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} does not run", server.program.display());
            server.port = free_port();
            server.start();
        }
        server
    }

    /// Waits until it listens. Returns `false` if it does not run.
    fn listens(&mut self) -> bool {
        while let Some(child) = &mut self.child {
            if child.try_wait().unwrap().is_some() {
                self.child = None;
            } else if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub(crate) fn start(&mut self) {
        let child = Command::new(&self.program)
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"])
            .arg(&self.folder)
            .args(&self.cluster)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Passes everything on, but while it is cut: then nothing goes through, and comes late afterwards.
    pub(crate) async fn proxy(&self, cut: Arc<AtomicBool>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let to = self.port;
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                for (mut from, mut into) in [(near_read, far_write), (far_read, near_write)] {
                    let cut = Arc::clone(&cut);
                    tokio::spawn(async move {
                        let mut buffer = vec![0; 16 * 1024];
                        while let Ok(n @ 1..) = from.read(&mut buffer).await {
                            while cut.load(Ordering::Relaxed) {
                                tokio::time::sleep(Duration::from_millis(20)).await;
                            }
                            if into.write_all(&buffer[..n]).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            }
        });
        url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn free_port() -> u16 {
    Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
