//! What the Chromium of the system does with the project's pages: a page and pipecat's client hold calls by
//! voice, and the picture of a call is opened. The scripts are in `tests/browser`.

use std::io::{self, BufRead, BufReader, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::ci::report::{Outcome, seconds};
use crate::ci::tools::{Tools, run_command};
use crate::{Error, workspace_root};

/// A script that holds a call with a server.
struct Call {
    /// The script in `tests/browser`.
    script: &'static str,
    /// The folder there whose packages it needs.
    packages: &'static str,
    server: Program,
    /// What the server says before the address that the script is told.
    ready: &'static str,
}

/// What serves.
#[derive(Clone, Copy, Debug)]
enum Program {
    /// An example of the pipeline.
    Example(&'static str),
    /// `realtime serve`.
    Serve,
    /// `realtime emulator`, which the page calls by WebRTC.
    Emulator,
}

const CALLS: [Call; 4] = [
    Call {
        script: "page/page.mjs",
        packages: "page",
        server: Program::Example("page_server"),
        ready: "the page is at ",
    },
    Call { script: "page/page.mjs", packages: "page", server: Program::Serve, ready: "  page      " },
    Call {
        script: "rtvi/rtvi.mjs",
        packages: "rtvi",
        server: Program::Example("rtvi_server"),
        ready: "clients connect to ",
    },
    Call { script: "webrtc.mjs", packages: "page", server: Program::Emulator, ready: "watch and talk at " },
];

/// Scripts at once: each waits for what is said, for most of its time.
const AT_ONCE: usize = 2;

/// What browsers are called.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub(super) fn run(tools: &Tools) -> Outcome {
    let (Some(node), Some(npm)) = (program("node"), program("npm")) else {
        return Outcome::Skipped("node and npm are not installed".to_owned());
    };
    let chosen = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let Some(chromium) = chosen.or_else(|| BROWSERS.into_iter().find_map(program)) else {
        return Outcome::Skipped("chromium is not installed, and CHROMIUM names none".to_owned());
    };
    let built = tools.build();
    if built != Outcome::Passed {
        return built;
    }
    let browser = Browser { tools, node, chromium };
    let folders = [("page", browser.modules("page")), ("rtvi", browser.modules("rtvi"))];
    for (packages, modules) in folders {
        if let Err(why) = install(&npm, &workspace_root().join("tests/browser").join(packages), &modules) {
            return Outcome::Skipped(format!("what the scripts need can't be installed: {why}"));
        }
    }
    // The pictures of calls take longest, so they begin.
    let scripts: Vec<Option<&Call>> = std::iter::once(None).chain(CALLS.iter().map(Some)).collect();
    let outcomes = at_once(&scripts, |call| match call {
        Some(call) => browser.hold(call),
        None => browser.view(),
    });
    outcomes.into_iter().find(|outcome| *outcome != Outcome::Passed).unwrap_or(Outcome::Passed)
}

/// Does all of this, some at once. The results are in the order of the jobs.
fn at_once<J: Sync, T: Send>(jobs: &[J], run: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { return done };
            done.push((number, run(job)));
        }
    };
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let done =
            workers.into_iter().flat_map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done.collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// What scripts run with.
struct Browser<'a> {
    tools: &'a Tools,
    node: PathBuf,
    chromium: PathBuf,
}

impl Browser<'_> {
    /// Where the packages of a script are. The page's are where the script of views finds them, too.
    fn modules(&self, packages: &str) -> PathBuf {
        let target = workspace_root().join("target/browser");
        if packages == "page" { target } else { target.join(packages) }
    }

    fn hold(&self, call: &Call) -> Outcome {
        let Call { script, packages, server, ready } = call;
        let page = match Page::serve(server.command(self.tools), ready) {
            Ok(page) => page,
            Err(error) => return Outcome::Failed(format!("{} does not serve: {error}", server.name())),
        };
        let mut command = Command::new(&self.node);
        command.arg(workspace_root().join("tests/browser").join(script)).arg(&page.address);
        command.arg("--modules").arg(self.modules(packages));
        command.arg("--out").arg(workspace_root().join("target/browser").join(server.name()));
        self.run(&format!("{script} with {}", server.name()), &mut command)
    }

    fn view(&self) -> Outcome {
        // The program that is built: another build of it would replace it while others begin.
        let realtime = self.tools.built("realtime");
        let mut command = Command::new(&self.node);
        command.arg("tests/browser/view.mjs").env("REALTIME", realtime.get_program());
        self.run("view.mjs", &mut command)
    }

    /// Runs a script, and shows what it has said when it is over: others run meanwhile.
    fn run(&self, name: &str, command: &mut Command) -> Outcome {
        let began = Instant::now();
        let output = match command.current_dir(workspace_root()).env("CHROMIUM", &self.chromium).output() {
            Ok(output) => output,
            Err(error) => return Outcome::Failed(format!("cannot start {}: {error}", self.node.display())),
        };
        let told = [output.stdout, output.stderr].concat();
        say!("-- {name}, in {}", seconds(began.elapsed()));
        // Who can't read it reads the outcome.
        let _ = io::stdout().write_all(&told);
        match output.status.success() {
            true => Outcome::Passed,
            false => Outcome::Failed(format!("{name}: {}", output.status)),
        }
    }
}

impl Program {
    /// What it is called, as is the folder of its screenshots.
    const fn name(self) -> &'static str {
        match self {
            Self::Example(name) => name,
            Self::Serve => "serve",
            Self::Emulator => "webrtc",
        }
    }

    /// Serves on a free port of this machine.
    fn command(self, tools: &Tools) -> Command {
        let (program, args): (_, &[&str]) = match self {
            Self::Example(name) => (format!("examples/{name}"), &["127.0.0.1:0"]),
            // The script reaches it through a proxy, whose address is not the server's own.
            Self::Serve => {
                ("realtime".to_owned(), &["serve", "--listen", "127.0.0.1:0", "--allow-origin", "*"])
            }
            Self::Emulator => {
                ("realtime".to_owned(), &["emulator", "--listen", "127.0.0.1:0", "--demo", "--pace", "1"])
            }
        };
        let mut command = tools.built(&program);
        command.args(args);
        command
    }
}

/// Installs what a script needs, as its lock file says, unless it is there.
fn install(npm: &Path, source: &Path, modules: &Path) -> Result<(), Error> {
    let lock = std::fs::read(source.join("package-lock.json"))?;
    let is_there = modules.join("node_modules").is_dir();
    if is_there && std::fs::read(modules.join("package-lock.json")).is_ok_and(|there| there == lock) {
        return Ok(());
    }
    std::fs::create_dir_all(modules)?;
    std::fs::copy(source.join("package.json"), modules.join("package.json"))?;
    std::fs::write(modules.join("package-lock.json"), lock)?;
    let mut npm = Command::new(npm);
    npm.current_dir(modules).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    match run_command(&mut npm) {
        Outcome::Passed => Ok(()),
        Outcome::Skipped(why) | Outcome::Failed(why) => Err(format!("npm ci failed: {why}").into()),
    }
}

/// A server of a page, until this is dropped.
struct Page {
    server: Child,
    address: String,
}

impl Page {
    /// Starts a server that says where its page is. It has no key: the model is the emulator.
    fn serve(mut command: Command, ready: &str) -> Result<Self, Error> {
        let (said, both) = io::pipe()?;
        command.env_remove("OPENAI_API_KEY").stdout(both.try_clone()?).stderr(both);
        let server = command.spawn()?;
        // It has the other end of the pipe, which says when it ends.
        drop(command);
        let mut page = Self { server, address: String::new() };
        let mut lines = BufReader::new(said).lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some(address) = line.strip_prefix(ready) {
                page.address = address.to_owned();
                break;
            }
            eprintln!("{line}");
        }
        if page.address.is_empty() {
            return Err("it ended before its page was there".into());
        }
        // What it says later is shown too; unread, it would wait for somebody who reads.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Ok(page)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Where a program is, on the path.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn the_address_of_a_page_is_read_and_its_server_ends_with_it() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            Page::serve(command, "the page is at ")
        };
        let page = shell("echo building >&2; echo 'the page is at http://x/' >&2; sleep 60").unwrap();
        assert_eq!(page.address, "http://x/");
        drop(page);
        let error = shell("echo broken >&2").err().unwrap();
        assert_eq!(error.to_string(), "it ended before its page was there");
    }

    #[test]
    fn jobs_run_at_once_and_their_results_keep_their_order() {
        // Both must run for either to end.
        let both = std::sync::Barrier::new(AT_ONCE);
        let results = at_once(&[1, 2, 3, 4], |job| {
            both.wait();
            job * 10
        });
        assert_eq!(results, [10, 20, 30, 40]);
    }

    #[test]
    #[cfg(unix)]
    fn programs_are_found_on_the_path() {
        assert!(program("sh").is_some());
        assert_eq!(program("no-such-program-anywhere"), None);
    }
}
