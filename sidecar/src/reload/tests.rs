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
    assert!(!rig.reload.has_changed());
    fs::write(&rig.file, "log:\n").unwrap();
    assert!(!rig.reload.has_changed());
    fs::write(&rig.file, "log: {level: debug}\n").unwrap();
    assert!(!rig.reload.has_changed(), "it was still being written");
    assert!(rig.reload.has_changed());
    assert!(!rig.reload.has_changed(), "it has been read");
    fs::remove_file(&rig.file).unwrap();
    assert!(!rig.reload.has_changed());
    assert!(!rig.reload.has_changed(), "one that is away for a moment is no new one");
}
