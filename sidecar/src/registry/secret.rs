//! Secrets that stand in files.

use outrigger_core::{Error, Kind, Result};
use std::path::Path;

/// The largest file of a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// What a secret's file holds, without blanks around it.
///
/// # Errors
/// `Invalid` with the setting and the file, when it cannot be read, is empty or holds more than 64 KiB.
pub(super) fn read(setting: &str, file: &Path) -> Result<String> {
    use std::io::Read as _;
    let wrong = |why: String| Error::new(Kind::Invalid, format!("{setting}: {}: {why}", file.display()));
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| wrong(error.to_string()))?;
    opened.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(wrong("it holds more than 64 KiB, so it is no secret".to_owned()));
    }
    let secret = text.trim();
    if secret.is_empty() { Err(wrong("it is empty".to_owned())) } else { Ok(secret.to_owned()) }
}
