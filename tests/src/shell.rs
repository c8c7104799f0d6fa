//! The commands that a paper tells its reader to run.

/// The papers with commands, from the root of the workspace.
pub const PAPERS: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "docs/browser.md",
    "docs/c.md",
    "docs/context.md",
    "docs/drivers.md",
    "docs/evals.md",
    "docs/events.md",
    "docs/fleet.md",
    "docs/from-openai-agents.md",
    "docs/from-pipecat.md",
    "docs/getting-started.md",
    "docs/live.md",
    "docs/operations.md",
    "docs/page-protocol.md",
    "docs/performance.md",
    "docs/phone.md",
    "docs/reconnecting.md",
    "docs/testing.md",
    "docs/tools.md",
];

/// The arguments of every command that begins with `program`, such as `cargo xtask`, in the fenced shell
/// blocks of a Markdown text. Variables before it, a prompt, and the file that output goes to are passed
/// over.
pub fn commands(markdown: &str, program: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in shell_lines(markdown) {
        let code = line.split(" #").next().unwrap_or_default();
        if code.starts_with('#') {
            continue;
        }
        for part in code.split([';', '|', '&', '>']) {
            let words = part.trim_start().trim_start_matches("$ ");
            let is_variable = |word: &&str| word.split_once('=').is_some_and(|(name, _)| !name.contains(' '));
            let rest: Vec<&str> = words.split_whitespace().skip_while(is_variable).collect();
            let rest = rest.join(" ");
            if let Some(args) = rest.strip_prefix(program)
                && (args.is_empty() || args.starts_with(' '))
            {
                let args = args.split_whitespace().map(|arg| arg.trim_matches(['"', '\'']).to_owned());
                commands.push(args.collect());
            }
        }
    }
    commands
}

/// The lines of the fenced shell blocks, trimmed, with continued lines joined.
fn shell_lines(markdown: &str) -> Vec<String> {
    let mut lines = Vec::new();
    // `Some(true)` inside a shell block, `Some(false)` inside another one.
    let mut fence = None;
    let mut line = String::new();
    for text in markdown.lines().map(str::trim) {
        if let Some(info) = text.strip_prefix("```") {
            fence = match fence {
                None => Some(["bash", "console", "sh", "shell"].contains(&info.trim())),
                Some(_) => None,
            };
        } else if fence == Some(true) {
            match text.strip_suffix('\\') {
                Some(start) => line.push_str(start),
                None => lines.push(std::mem::take(&mut line) + text),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_from_shell_blocks_only() {
        let readme = "\
Run `cargo xtask nonsense`.
```sh
# cargo xtask comment
cargo xtask demo            # the main job
$ OPENAI_API_KEY=sk-… cargo xtask demo \\
    --url 'wss://example.com'
cargo xtask demo --fast && cargo xtask replay target/demo/session.jsonl
cargo xtask schema > out.txt
cargo install realtime
```
```rust
// cargo xtask code
```
```console
  cargo xtask ci
  cargo xtaskless
```
cargo xtask prose
";
        let told: Vec<String> = commands(readme, "cargo xtask").iter().map(|args| args.join(" ")).collect();
        let expected = [
            "demo",
            "demo --url wss://example.com",
            "demo --fast",
            "replay target/demo/session.jsonl",
            "schema",
            "ci",
        ];
        assert_eq!(told, expected);
    }
}
