//! `outrigger simulate`: what a policy would have done with a trace, by the code that decides in production.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
};

use comfy_table::{Table, presets};
use flate2::bufread::MultiGzDecoder;
use outrigger_cache::simulate::{Format, Rates, Trace};
use serde_json::json;

use super::{Exit, Failure};
use crate::{
    cli::{CacheArgs, SimulateCommand, TraceFormat},
    config::units,
};

const COLUMNS: [&str; 5] = ["bytes", "ours", "lru", "moka", "optimum"];
/// How a file begins that gzip packed (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Runs one of the simulations.
///
/// # Errors
/// [`Failure::Wrong`] for a bound that is no number of bytes and for a line that is no request; [`Failure::Problem`] when
/// the trace cannot be opened or read, or is empty; [`Failure::Io`] when standard output cannot be written.
pub fn run(command: &SimulateCommand) -> Result<Exit, Failure> {
    match command {
        SimulateCommand::Cache(args) => {
            cache(args, &mut io::stdin().lock(), io::BufWriter::new(io::stdout().lock()))
        }
    }
}

fn cache(args: &CacheArgs, stdin: &mut dyn BufRead, mut out: impl Write) -> Result<Exit, Failure> {
    let bounds = args.bytes.iter().map(|text| bound(text)).collect::<Result<Vec<_>, _>>()?;
    let trace = read(args, stdin)?;
    let requests = trace.len();
    let mut rows = Vec::new();
    for bytes in bounds {
        let rates = Rates::of(&trace, bytes);
        if args.json {
            let hit_rate = json!({ "ours": rates.ours, "lru": rates.lru, "optimum": rates.optimum });
            writeln!(out, "{}", json!({ "bytes": bytes, "requests": requests, "hit_rate": hit_rate }))?;
            continue;
        }
        let optimum = format!("{}{}", if rates.is_exact { "" } else { "≤ " }, percent(rates.optimum));
        rows.push([bytes.to_string(), percent(rates.ours), percent(rates.lru), percent(rates.moka), optimum]);
    }
    if !args.json {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(COLUMNS).add_rows(rows);
        for line in table.to_string().lines() {
            writeln!(out, "{}", line.trim())?;
        }
        writeln!(out, "{requests} requests, read as {}", trace.format().name())?;
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// A bare number is one of bytes here, as the flag's name says.
fn bound(text: &str) -> Result<u64, Failure> {
    let bytes = text.parse().ok().or_else(|| units::size(text)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| {
        Failure::Wrong(format!("--bytes: found {text:?}, expected a number above 0, or {}", units::A_SIZE))
    })
}

fn read(args: &CacheArgs, stdin: &mut dyn BufRead) -> Result<Trace, Failure> {
    let format = args.format.map(|format| match format {
        TraceFormat::Keys => Format::Keys,
        TraceFormat::KeySize => Format::KeySize,
        TraceFormat::Arc => Format::Arc,
    });
    let is_standard_input = args.trace.as_os_str() == "-";
    let name = if is_standard_input { "standard input".into() } else { args.trace.display().to_string() };
    let problem = |error: io::Error| Failure::Problem(format!("{name}: {error}"));
    let mut file;
    let raw: &mut dyn BufRead = if is_standard_input {
        stdin
    } else {
        file = BufReader::new(fs::File::open(&args.trace).map_err(problem)?);
        &mut file
    };
    let is_packed = raw.fill_buf().map_err(problem)?.starts_with(&GZIP);
    let trace = if is_packed {
        Trace::read(BufReader::new(MultiGzDecoder::new(raw)), format)
    } else {
        Trace::read(raw, format)
    };
    let trace = trace.map_err(|error| {
        let text = format!("{name}: {error}");
        if error.is_of_reading() { Failure::Problem(text) } else { Failure::Wrong(text) }
    })?;
    if trace.is_empty() {
        return Err(Failure::Problem(format!("{name}: no request in it")));
    }
    Ok(trace)
}

fn percent(rate: f64) -> String {
    format!("{:.2} %", rate * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    /// How it ends and what it prints when this is the standard input.
    fn told(flags: &[&str], stdin: &[u8]) -> Result<(Exit, String), Failure> {
        let Command::Simulate(SimulateCommand::Cache(args)) =
            Cli::parse_from([&["outrigger", "simulate", "cache"], flags].concat()).command
        else {
            panic!("another verb");
        };
        let mut out = Vec::new();
        let exit = cache(&args, &mut &stdin[..], &mut out)?;
        Ok((exit, String::from_utf8(out).unwrap()))
    }

    fn failure(flags: &[&str], stdin: &[u8]) -> (Exit, String) {
        let failure = told(flags, stdin).unwrap_err();
        (failure.exit(), failure.to_string())
    }

    #[test]
    fn json_has_the_bound_the_requests_and_three_rates() {
        let (exit, out) = told(&["--trace", "-", "--bytes", "2", "--json"], b"a\nb\na\nc\n").unwrap();
        let expected = json!({
            "bytes": 2, "requests": 4, "hit_rate": { "ours": 0.25, "lru": 0.25, "optimum": 0.25 },
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), expected);
        assert_eq!(exit, Exit::Success);
    }

    #[test]
    fn the_table_has_a_row_for_each_bound_and_says_where_the_optimum_is_a_bound() {
        let (_, out) =
            told(&["--trace", "-", "--bytes", "1", "--bytes", "1KiB"], b"a,1\nb,512\na,1\na,1\n").unwrap();
        let lines: Vec<_> = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[0], COLUMNS);
        assert_eq!(lines[1][0], "1");
        assert_eq!(lines[2], ["1024", "50.00", "%", "50.00", "%", "50.00", "%", "≤", "50.00", "%"]);
        assert!(out.ends_with("4 requests, read as key-size\n"), "{out}");
    }

    /// The blocks that the requests of the public trace read, a line each.
    fn mooncake() -> Option<Vec<u8>> {
        let test = "the_mooncake_trace_has_the_rates_that_the_readme_says";
        let path = outrigger_testkit::shared(test, "data/traces")?.join("mooncake-conversation.jsonl.gz");
        let file = BufReader::new(MultiGzDecoder::new(BufReader::new(fs::File::open(path).unwrap())));
        let mut keys = Vec::new();
        for line in file.lines() {
            let request: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            for block in request["hash_ids"].as_array().unwrap() {
                writeln!(keys, "{block}").unwrap();
            }
        }
        Some(keys)
    }

    #[test]
    fn the_mooncake_trace_has_the_rates_that_the_readme_says() {
        let Some(keys) = mooncake() else { return };
        let bounds = ["--bytes", "1000", "--bytes", "10000", "--bytes", "30000"];
        let (_, out) = told(&[&["--trace", "-"], &bounds[..]].concat(), &keys).unwrap();
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&format!("\n{out}```\n")), "the README shows something else than:\n{out}");
        for line in out.lines().skip(1).take(3) {
            let rates: Vec<f64> =
                line.split_whitespace().filter_map(|word| word.parse().ok()).skip(1).collect();
            let [ours, lru, moka, optimum] = rates[..] else { panic!("{line}") };
            assert!(ours >= lru && ours >= moka - 1.0 && ours <= optimum, "{line}");
        }
    }

    #[test]
    fn a_packed_file_is_read_as_one_that_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.gz");
        let mut packed =
            flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
        packed.write_all(b"7 2 0 0\n8 1 0 1\n").unwrap();
        packed.finish().unwrap();
        let (_, out) = told(&["--trace", path.to_str().unwrap(), "--bytes", "9", "--json"], b"").unwrap();
        assert!(out.contains("\"requests\":3"), "{out}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let input = ["--trace", "-", "--bytes", "9"];
        let (exit, text) = failure(&input, b"a,1\nb\n");
        assert!(text.starts_with("standard input: line 2: found \"b\", expected key,size"), "{text}");
        assert_eq!(exit, Exit::Wrong);
        assert_eq!(failure(&input, b"\n"), (Exit::Problem, "standard input: no request in it".to_owned()));
        let (exit, text) = failure(&["--trace", "/nowhere/trace", "--bytes", "9"], b"");
        assert!(exit == Exit::Problem && text.starts_with("/nowhere/trace: "), "{text}");
        for wrong in ["0", "many", "-1", "1.5MB"] {
            let (exit, text) = failure(&["--trace", "-", &format!("--bytes={wrong}")], b"a\n");
            assert!(exit == Exit::Wrong && text.starts_with("--bytes: found"), "{text}");
        }
        let (exit, text) = failure(&input, b"\x1f\x8bno gzip");
        assert!(exit == Exit::Problem && text.starts_with("standard input: line 1: "), "{text}");
    }
}
