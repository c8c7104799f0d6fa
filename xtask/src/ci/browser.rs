//! What the Chromium of the system does with the project's pages: a page and pipecat's client hold calls by
//! voice, and the picture of a call is opened. The scripts are in `tests/browser`.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::ci::report::Outcome;
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
    for call in &CALLS {
        let outcome = call.hold(tools, &node, &npm, &chromium);
        if outcome != Outcome::Passed {
            return outcome;
        }
    }
    // It finds playwright-core where the page's script has it.
    let mut view = Command::new(node);
    view.current_dir(workspace_root()).arg("tests/browser/view.mjs");
    run_command(view.env("CHROMIUM", chromium).env("XTASK", &tools.xtask))
}

impl Call {
    fn hold(&self, tools: &Tools, node: &Path, npm: &Path, chromium: &Path) -> Outcome {
        let Self { script, packages, server, .. } = self;
        let target = workspace_root().join("target/browser");
        let scripts = workspace_root().join("tests/browser");
        // The page's are where the script of views finds them, too.
        let modules = if *packages == "page" { target.clone() } else { target.join(packages) };
        if let Err(why) = install(npm, &scripts.join(packages), &modules) {
            return Outcome::Skipped(format!("what {script} needs can't be installed: {why}"));
        }
        match Page::serve(server.command(tools), self.ready) {
            Err(error) => Outcome::Failed(format!("{} does not serve: {error}", server.name())),
            Ok(page) => {
                let mut call = Command::new(node);
                call.current_dir(workspace_root()).arg(scripts.join(script)).arg(&page.address);
                call.arg("--modules").arg(&modules).env("CHROMIUM", chromium);
                call.arg("--out").arg(target.join(server.name()));
                run_command(&mut call)
            }
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
    #[cfg(unix)]
    fn programs_are_found_on_the_path() {
        assert!(program("sh").is_some());
        assert_eq!(program("no-such-program-anywhere"), None);
    }
}
