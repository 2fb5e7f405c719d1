use super::*;
use crate::tls::files::Validity;
use std::{fs, time::UNIX_EPOCH};

fn read(path: &std::path::Path) -> Result<String, TlsError> {
    let text = fs::read_to_string(path).map_err(|error| TlsError::one("file", error.to_string()))?;
    if text.is_empty() { Err(TlsError::one("file", "empty")) } else { Ok(text) }
}

#[test]
fn a_change_counts_once_it_has_rested_for_a_look() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "old").unwrap();
    let renewed = Renewed::new(vec![file.clone()], true, || read(&file)).unwrap();
    let look = || renewed.look_again(|_| read(&file));
    assert_eq!(look(), Looked::Same);
    fs::write(&file, "half").unwrap();
    assert_eq!(look(), Looked::Same);
    fs::write(&file, "whole, and longer").unwrap();
    assert_eq!((look(), renewed.current().as_str()), (Looked::Same, "old"));
    assert_eq!((look(), renewed.current().as_str()), (Looked::Renewed, "whole, and longer"));
    assert_eq!(look(), Looked::Same);
}

#[test]
fn a_link_that_is_swapped_is_a_change_as_mounted_secrets_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("1")).unwrap();
    fs::create_dir(path("2")).unwrap();
    fs::write(path("1/file"), "old").unwrap();
    fs::write(path("2/file"), "new").unwrap();
    std::os::unix::fs::symlink("1", path("data")).unwrap();
    std::os::unix::fs::symlink("data/file", path("file")).unwrap();
    let renewed = Renewed::new(vec![path("file")], true, || read(&path("file"))).unwrap();
    let look = || renewed.look_again(|_| read(&path("file")));
    std::os::unix::fs::symlink("2", path("data.new")).unwrap();
    fs::rename(path("data.new"), path("data")).unwrap();
    assert_eq!((look(), look(), renewed.current().as_str()), (Looked::Same, Looked::Renewed, "new"));
}

#[test]
fn what_cannot_be_used_is_told_once_and_changes_nothing_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "old").unwrap();
    let renewed = Renewed::new(vec![file.clone()], false, || read(&file)).unwrap();
    let look = || renewed.look_again(|_| read(&file));
    fs::remove_file(&file).unwrap();
    assert_eq!((look(), look()), (Looked::Failed, Looked::Same));
    fs::write(&file, "").unwrap();
    assert_eq!((look(), look(), renewed.current().as_str()), (Looked::Failed, Looked::Same, "old"));
    fs::write(&file, "new").unwrap();
    assert_eq!((look(), renewed.current().as_str()), (Looked::Renewed, "new"));
}

#[test]
fn an_end_that_nears_is_told_two_weeks_before_or_a_tenth_of_a_short_life() {
    let day = Duration::from_hours(24);
    let age = |life: Duration, left: Duration| {
        let begins = UNIX_EPOCH + 1000 * day;
        let validity = Validity { subject: String::new(), begins, ends: begins + life };
        Age::of(&validity, begins + life - left)
    };
    let second = Duration::from_secs(1);
    assert_eq!(age(365 * day, 14 * day + second), Age::Good);
    assert_eq!(age(365 * day, 14 * day), Age::Near);
    assert_eq!(age(day, day / 10 + second), Age::Good);
    assert_eq!(age(day, day / 10), Age::Near);
    let validity = Validity { subject: String::new(), begins: UNIX_EPOCH + day, ends: UNIX_EPOCH + 2 * day };
    assert_eq!(Age::of(&validity, UNIX_EPOCH), Age::Wrong);
    assert_eq!(Age::of(&validity, UNIX_EPOCH + 3 * day), Age::Wrong);
}
