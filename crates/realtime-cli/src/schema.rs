//! `realtime schema FOLDER`: writes the JSON Schemas of the wire's types, one file each.

use std::path::PathBuf;

use crate::Error;

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to write to; created if it is missing
    #[arg(value_name = "FOLDER")]
    dir: PathBuf,
}

/// What stands below the options in the long help.
pub(crate) const AFTER_HELP: &str = "\
Example:
  realtime schema schemas
      One file for each type, such as schemas/ServerEvent.json.";

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let dir = args.dir.display();
    std::fs::create_dir_all(&args.dir).map_err(|error| format!("cannot make {dir}: {error}"))?;
    let schemas = realtime_protocol::schema::schemas();
    for (name, schema) in &schemas {
        let path = args.dir.join(format!("{name}.json"));
        let mut text = serde_json::to_string_pretty(schema)?;
        text.push('\n');
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        say!("{}", path.display());
    }
    say!("{} schemas in {dir}", schemas.len());
    Ok(())
}
