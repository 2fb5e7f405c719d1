use super::*;
use crate::config::Process;
use std::fs;
use std::sync::Mutex;

struct Rig {
    _dir: tempfile::TempDir,
    file: PathBuf,
    reload: Reload,
    applied: Arc<Mutex<Vec<&'static str>>>,
}

impl Rig {
    fn of(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("outrigger.yaml");
        fs::write(&file, text).unwrap();
        let source = Source::new(Some(file.clone()), Vec::new(), Purpose::Look);
        let started = source.read(&Process).unwrap();
        let applied = Arc::<Mutex<Vec<&'static str>>>::default();
        let levels = applied.clone();
        let apply = move |config: &Config| levels.lock().unwrap().push(config.log.level);
        let reload = Reload::new(source, Arc::new(Process), started, apply);
        Self { _dir: dir, file, reload, applied }
    }

    fn becomes(&mut self, text: &str) -> Result<Changes, String> {
        fs::write(&self.file, text).unwrap();
        self.reload.again()
    }

    fn applied(&self) -> Vec<&'static str> {
        self.applied.lock().unwrap().clone()
    }
}

#[test]
fn what_counts_at_once_is_applied_and_the_rest_is_named_until_it_is_taken_back() {
    let mut rig = Rig::of("log: {level: info}\n");
    let changes = rig.becomes("log: {level: debug}\nfunction: {mode: structured}\nproxy: {auth: none}\n");
    let expected = Changes { live: vec!["log.level"], restart: vec!["function.mode", "proxy.auth"] };
    assert_eq!(changes, Ok(expected));
    assert_eq!(rig.applied(), ["debug"]);
    // The restart is still to come; the level is not new any more.
    let changes = rig.becomes("log: {level: debug}\nfunction: {mode: structured}\n");
    assert_eq!(changes, Ok(Changes { live: vec![], restart: vec!["function.mode"] }));
    assert_eq!(rig.applied(), ["debug"]);
    let changes = rig.becomes("log: {level: info}\n");
    assert_eq!(changes, Ok(Changes { live: vec!["log.level"], restart: vec![] }));
    assert_eq!(rig.applied(), ["debug", "info"]);
}

#[test]
fn a_bad_file_changes_nothing() {
    let mut rig = Rig::of("log: {level: info}\n");
    for text in ["log: {level: debug}\nfunction: {timeout: 0s}\n", "log: {level: loud}\n", "log: [", "\u{0}"]
    {
        assert!(rig.becomes(text).is_err(), "{text}");
    }
    let with_a_bad_key =
        "log: {level: debug}\ningress: {http: {tls: {certificate_file: /gone, key_file: /gone}}}\n";
    assert!(rig.becomes(with_a_bad_key).unwrap_err().contains("/gone"));
    fs::remove_file(&rig.file).unwrap();
    assert!(rig.reload.again().is_err());
    assert_eq!(rig.applied(), [""; 0]);
}

#[test]
fn a_change_is_noticed_once_it_has_rested_for_one_look() {
    let mut rig = Rig::of("");
    assert_eq!(rig.reload.look(), Look::Same);
    fs::write(&rig.file, "log:\n").unwrap();
    assert_eq!(rig.reload.look(), Look::Same);
    fs::write(&rig.file, "log: {level: debug}\n").unwrap();
    assert_eq!(rig.reload.look(), Look::Same, "it was still being written");
    assert_eq!(rig.reload.look(), Look::Changed);
    assert_eq!(rig.reload.look(), Look::Same, "it has been read");
}

#[test]
fn a_file_that_goes_is_told_once_and_one_that_is_away_for_a_moment_is_not() {
    let mut rig = Rig::of("");
    let elsewhere = rig.file.with_extension("old");
    let mut looks = |count: usize| (0..count).map(|_| rig.reload.look()).collect::<Vec<_>>();
    fs::rename(&rig.file, &elsewhere).unwrap();
    assert_eq!(looks(1), [Look::Same]);
    fs::rename(&elsewhere, &rig.file).unwrap();
    // A rename changes the stamp, so what is back is read as a new one.
    assert_eq!(looks(3), [Look::Same, Look::Changed, Look::Same]);
    fs::remove_file(&rig.file).unwrap();
    assert_eq!(looks(4), [Look::Same, Look::Gone, Look::Same, Look::Same]);
    fs::write(&rig.file, "").unwrap();
    assert_eq!(looks(3), [Look::Same, Look::Changed, Look::Same]);
    fs::remove_file(&rig.file).unwrap();
    assert_eq!(looks(2), [Look::Same, Look::Gone], "and again");
}

#[test]
fn a_file_that_is_back_as_it_was_is_told_without_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::of("");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&rig.file, &link).unwrap();
    rig.reload.source.file = Some(link.clone());
    assert_eq!(rig.reload.look(), Look::Same);
    fs::remove_file(&link).unwrap();
    assert_eq!([rig.reload.look(), rig.reload.look()], [Look::Same, Look::Gone]);
    std::os::unix::fs::symlink(&rig.file, &link).unwrap();
    assert_eq!([rig.reload.look(), rig.reload.look()], [Look::Back, Look::Same]);
}

#[test]
fn a_target_that_changes_is_named_by_its_section() {
    let target = |port: u16| format!("targets: {{audit: {{url: \"http://127.0.0.1:{port}/\"}}}}\n");
    let mut rig = Rig::of(&target(1));
    assert_eq!(rig.becomes(&target(2)).unwrap().restart, ["targets"]);
    assert_eq!(rig.becomes(&target(1)).unwrap().restart, [""; 0]);
}
