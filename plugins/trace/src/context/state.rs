//! `tracestate`, as it is passed on (W3C Trace Context, 3.3.1). Pure.

/// The most members of a list.
const MEMBERS_MAX: usize = 32;
/// So many bytes at least are passed on; here it is also the most.
const BYTES_MAX: usize = 512;
/// Members of more bytes go first where there is no room.
const LARGE_BYTES: usize = 128;

/// What is passed on of the lists of some headers, joined in their order; none where they are not well formed.
pub(super) fn joined<'a>(lists: impl Iterator<Item = &'a str>) -> Option<Box<str>> {
    let members = lists.flat_map(|list| list.split(',')).map(|member| member.trim_matches([' ', '\t']));
    let mut members: Vec<_> = members.filter(|member| !member.is_empty()).take(MEMBERS_MAX + 1).collect();
    let keys: Option<Vec<_>> = members.iter().map(|member| key(member)).collect();
    let keys = keys?;
    let is_twice = keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key));
    if is_twice || members.len() > MEMBERS_MAX {
        return None;
    }
    while bytes(&members) > BYTES_MAX {
        let large = members.iter().rposition(|member| member.len() > LARGE_BYTES);
        members.remove(large.unwrap_or(members.len() - 1));
    }
    (!members.is_empty()).then(|| members.join(",").into())
}

fn bytes(members: &[&str]) -> usize {
    members.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1)
}

/// The key of a member that is well formed.
fn key(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let is_key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(&b);
    let is_value = |b: u8| (b' '..=b'~').contains(&b) && b != b'=';
    let good = (1..=256).contains(&key.len()) && key.bytes().all(is_key);
    (good && (1..=256).contains(&value.len()) && value.bytes().all(is_value)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(list: &str) -> Option<String> {
        joined([list].into_iter()).map(Into::into)
    }

    #[test]
    fn lists_are_joined_and_what_is_not_well_formed_is_dropped() {
        assert_eq!(joined(["a=1, b=2", "", "c@v=3"].into_iter()).as_deref(), Some("a=1,b=2,c@v=3"));
        for list in
            ["", " ,", "a", "a=", "=1", "A=1", "a=1,a=2", "a=1,b=2\r\nx: y", "a=ä", "a=1=2", "a=\u{7f}"]
        {
            assert_eq!(one(list), None, "{list:?}");
        }
        let members = |count| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(one(&members(32)), Some(members(32)));
        assert_eq!(one(&members(33)), None);
    }

    #[test]
    fn what_is_too_long_is_cut_at_members_the_large_ones_first_and_then_from_the_right() {
        let (large, small) = ("l".repeat(127), "s".repeat(97));
        let list = format!("a=1,b={large},c={small},d={small},e={small},f={small},g=1");
        let kept = format!("a=1,c={small},d={small},e={small},f={small},g=1");
        assert_eq!((kept.len(), one(&list).as_deref()), (407, Some(&*kept)));
        let list = format!("{kept},h={small},i=123");
        assert_eq!(one(&list), Some(format!("{kept},h={small}")), "the last goes first");
    }
}
