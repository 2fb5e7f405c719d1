//! Where Kafka's jars are, and how a JVM is started on them so that it dies with the test.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Kept in step with `scripts/kafka.pom.xml`, which says what is fetched.
const VERSION: &str = "4.3.1";

/// The process that was started becomes the JVM. Beside it stays a watcher with the standard input, whose
/// other end the test process holds: it ends when that does, however it does. Then the JVM is killed, and its
/// folder goes, because a static broker is dropped by nobody. The watcher asks who its parent is, so that it
/// never hits another process that got the number of a dead JVM.
const DIES_WITH_ITS_PARENT: &str = r#"
folder=$1
shift
exec 3<&0 2>&1
(
    exec >/dev/null 2>&1
    cat <&3
    read -r _ _ _ parent _ </proc/self/stat
    [ "$parent" = $$ ] || exit
    kill -KILL $$
    [ -n "$folder" ] || exit
    # A dying process may still be writing.
    rm -rf "$folder" || { sleep 1 && rm -rf "$folder"; }
    rmdir "${folder%/*}"
) &
exec "$@" 3<&- </dev/null
"#;

/// A Kafka that was found.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    classpath: OsString,
    /// The classes that a start loads, kept by `scripts/kafka.sh`: half of the time of a start.
    classes: Option<PathBuf>,
}

impl Home {
    /// In the folder that `OUTRIGGER_KAFKA_HOME` names, else in the user's cache folder; or what is absent.
    pub(crate) fn find() -> Result<Self, String> {
        if !on_path("java") {
            return Err("java is absent".to_owned());
        }
        let home = named("OUTRIGGER_KAFKA_HOME").unwrap_or_else(in_cache);
        let libs = home.join("libs");
        let found =
            fs::read_dir(&libs).map_err(|_| format!("{} is absent: run scripts/kafka.sh", libs.display()))?;
        let mut jars: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
        jars.retain(|jar| jar.extension() == Some(OsStr::new("jar")));
        // The order in which the archive of classes was made: the JVM takes it for no other.
        jars.sort();
        let classpath = env::join_paths(jars).map_err(|error| format!("{}: {error}", libs.display()))?;
        Ok(Self { classpath, classes: Some(home.join("classes.jsa")).filter(|file| file.exists()) })
    }

    /// The command that runs a broker with its settings in a JVM that dies with this process, and `folder` with it.
    pub(crate) fn broker(&self, folder: &Path, properties: &Path) -> Command {
        self.java(folder.as_os_str(), 512, "kafka.Kafka", &[properties])
    }

    /// The command that runs one of Kafka's tools in a JVM that dies with this process.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, class: &str, arguments: &[A]) -> Command {
        self.java(OsStr::new(""), 128, class, arguments)
    }

    /// Its standard input is a pipe, whose end here must be kept for as long as it shall live; both outputs are one
    /// pipe.
    fn java<A: AsRef<OsStr>>(&self, folder: &OsStr, heap_mib: u32, class: &str, arguments: &[A]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", DIES_WITH_ITS_PARENT, "sh"]).arg(folder).arg("java");
        command.arg(format!("-Xmx{heap_mib}m"));
        command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=64m"]);
        command.args(["-XX:MaxDirectMemorySize=128m", "-XX:-UsePerfData", "-Dlog4j2.level=INFO"]);
        if let Some(classes) = &self.classes {
            let mut archive = OsString::from("-XX:SharedArchiveFile=");
            archive.push(classes);
            command.arg(archive).args(["-Xshare:auto", "-Xlog:cds=off", "-Xlog:class+path=off"]);
        }
        command.arg("-cp").arg(&self.classpath).arg(class).args(arguments);
        // Variables that a JVM listens to would make the tests' Kafka another one on another machine.
        command.env_remove("JAVA_TOOL_OPTIONS").env_remove("JDK_JAVA_OPTIONS").env_remove("CLASSPATH");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// The command that runs the tool `class` to its end. Unlike a broker it is not made to start quickly: what it
    /// measures is measured with the JVM's own settings.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.arg("-Xmx256m").arg("-cp").arg(&self.classpath).arg(class).args(arguments);
        command.env_remove("JAVA_TOOL_OPTIONS").env_remove("JDK_JAVA_OPTIONS").env_remove("CLASSPATH");
        command
    }
}

fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The same folder as `cache_dir` of `scripts/lib.sh`.
fn in_cache() -> PathBuf {
    let cache = named("XDG_CACHE_HOME")
        .unwrap_or_else(|| named("HOME").unwrap_or_else(|| PathBuf::from("/tmp")).join(".cache"));
    cache.join("outrigger").join(format!("kafka-{VERSION}"))
}

fn on_path(tool: &str) -> bool {
    let is_program =
        |file: &Path| file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| is_program(&folder.join(tool))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_fetched() {
        let pom = fs::read_to_string(crate::place::workspace().join("scripts/kafka.pom.xml")).unwrap();
        assert!(pom.contains(&format!("<artifactId>kafka_2.13</artifactId><version>{VERSION}</version>")));
    }
}
