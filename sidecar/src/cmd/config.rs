//! `outrigger config`: what can be configured, printed.

use std::io::{self, Write};

use super::{Exit, Failure};
use crate::{cli::ConfigCommand, config};

/// Prints every setting, as YAML, as a Markdown table or as a JSON Schema.
///
/// # Errors
/// Only when standard output cannot be written.
pub fn run(command: ConfigCommand) -> Result<Exit, Failure> {
    let text = match command {
        ConfigCommand::Example => config::yaml(),
        ConfigCommand::Table => config::markdown(),
        ConfigCommand::Schema => config::schema(),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Success)
}
