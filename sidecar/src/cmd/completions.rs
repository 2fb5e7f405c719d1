//! `outrigger completions`: what a shell needs to complete every verb and flag.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Exit, Failure};
use crate::cli::Cli;

/// Prints the script for `shell`.
///
/// # Errors
/// Only when standard output cannot be written.
pub fn run(shell: Shell) -> Result<Exit, Failure> {
    io::stdout().lock().write_all(&script(shell))?;
    Ok(Exit::Success)
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new(); // written as a whole: the generator ends the process where its output fails
    generate(shell, &mut Cli::command(), "outrigger", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn every_shell_hears_of_every_verb() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = String::from_utf8(script(shell)).unwrap();
            for verb in Cli::command().get_subcommands() {
                assert!(script.contains(verb.get_name()), "{shell}: {}", verb.get_name());
            }
        }
    }

    #[test]
    fn bash_completes_a_verb_and_its_flags() {
        let asked = |words: &str| {
            let last = words.split(' ').count() - 1;
            let ask = format!(
                "COMP_WORDS=({words}); COMP_CWORD={last}; _outrigger outrigger \"${{COMP_WORDS[{last}]}}\" \
                 \"${{COMP_WORDS[{last}-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
            );
            let mut bash = Command::new("bash")
                .args(["--norc", "-s"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = bash.stdin.take().unwrap();
            input.write_all(&script(Shell::Bash)).unwrap();
            input.write_all(ask.as_bytes()).unwrap();
            drop(input);
            String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap()
        };
        assert_eq!(asked("outrigger de"), "dead\n");
        assert_eq!(asked("outrigger dead replay --rea"), "--reason\n");
    }
}
