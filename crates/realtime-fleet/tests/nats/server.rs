//! A nats-server of a test's own, or three in a cluster, and a proxy that can hold bytes back.

use std::net::TcpListener as Probe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Server {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    /// What makes it one of a cluster.
    cluster: Vec<String>,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with(folder.join("js"), Vec::new())
    }

    /// Three servers, each of which keeps everything.
    pub(crate) fn cluster(folder: &Path) -> Vec<Self> {
        let ports = [free_port(), free_port(), free_port()];
        let routes = ports.map(|port| format!("nats://127.0.0.1:{port}")).join(",");
        let member = |(n, port): (usize, u16)| {
            let (name, listen) = (format!("nats-{n}"), format!("nats://127.0.0.1:{port}"));
            let cluster = ["-n", &name, "-cluster_name", "fleet", "-cluster", &listen, "-routes", &routes];
            Self::with(folder.join(&name), cluster.map(str::to_owned).to_vec())
        };
        ports.into_iter().enumerate().map(member).collect()
    }

    fn with(folder: PathBuf, cluster: Vec<String>) -> Self {
        let program = std::env::var_os("NATS_SERVER").map(PathBuf::from).unwrap_or_else(|| {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/nats/bin/nats-server")
        });
        assert!(
            program.exists(),
            "no {}: run `cargo xtask ci fleet`, or name one by NATS_SERVER",
            program.display()
        );
        let mut server = Self { program, folder, port: free_port(), cluster, child: None };
        server.start();
        server
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

    /// Keeps what it has now, to be put back.
    pub(crate) fn keep(&self) {
        copy(&self.folder, &self.folder.with_extension("kept"));
    }

    /// Puts back what was kept: what was written since is lost.
    pub(crate) fn put_back(&self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
        copy(&self.folder.with_extension("kept"), &self.folder);
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

fn free_port() -> u16 {
    Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}
