use super::*;
use proptest::prelude::*;

/// The shortest metadata that any head fits into, in base64 without padding.
const BYTES_MIN: usize = PREFIX.len() + (HEAD_BYTES * 4).div_ceil(3);

#[test]
fn nothing_finished_beyond_needs_no_text() {
    assert_eq!(encode(7, 7, [].into_iter(), 4096), "");
    assert_eq!(decode(7, ""), None);
}

#[test]
fn what_others_wrote_is_not_read() {
    for text in ["", "og2:TAE", "og1:", "og1:!!", "og1:TA", "og1:WgE", "{\"v\":1}", "og1:TAEB"] {
        assert_eq!(decode(0, text), None, "{text}");
    }
}

#[test]
fn the_shorter_form_is_taken() {
    let dense = encode(0, 8_000, (0..8_000).filter(|o| o % 2 == 0), 4096);
    assert_eq!(BASE64.decode(&dense[4..]).unwrap()[0], BITMAP);
    let sparse = encode(0, 1_000_000, [5, 900_000].into_iter(), 4096);
    assert_eq!(BASE64.decode(&sparse[4..]).unwrap()[0], LIST);
    assert!(sparse.len() < 24, "{sparse}");
}

#[test]
fn what_does_not_fit_is_left_out_from_the_end() {
    let pending: Vec<i64> = (0..10_000).map(|n| n * 1_000).collect();
    let text = encode(0, 10_000_000, pending.iter().copied(), 512);
    assert!(text.len() <= 512);
    let marks = decode(0, &text).unwrap();
    assert!(marks.until() > 100_000 && marks.until() < 1_000_000);
    assert!(pending.iter().all(|offset| !marks.contains(*offset)));
}

#[test]
fn a_metadata_that_no_head_fits_into_stays_empty() {
    for bytes_max in 0..BYTES_MIN {
        let text = encode(0, i64::MAX, [].into_iter(), bytes_max);
        assert!(text.len() <= bytes_max, "{bytes_max}: {text}");
        assert_eq!(decode(0, &text), None, "{bytes_max}: {text}");
    }
    let whole = decode(0, &encode(0, i64::MAX, [].into_iter(), BYTES_MIN)).unwrap();
    assert_eq!(whole.until(), i64::MAX);
}

proptest! {
    #[test]
    fn a_commit_is_read_as_it_was_written(
        from in 0_i64..1 << 40,
        gaps in proptest::collection::vec(1_i64..3_000, 0..300),
        more in 0_i64..100_000,
        bytes_max in 0_usize..4_200,
    ) {
        let pending: Vec<i64> =
            gaps.iter().scan(from - 1, |at, gap| { *at += gap; Some(*at) }).collect();
        let until = pending.last().map_or(from, |last| last + 1) + more;
        let text = encode(from, until, pending.iter().copied(), bytes_max);
        prop_assert!(text.len() <= bytes_max);
        let marks = decode(from, &text).unwrap_or_default();
        prop_assert!(marks.until() <= until);
        for offset in from..marks.until().min(from + 5_000) {
            prop_assert_eq!(marks.contains(offset), pending.binary_search(&offset).is_err(), "{}", offset);
        }
        let list: usize = gaps.iter().map(|gap| list_bytes(*gap)).sum();
        let room = capacity(bytes_max);
        if bytes_max >= BYTES_MIN && (list <= room || bitmap_bytes(until - from) <= room) {
            prop_assert_eq!(marks.until(), if until > from { until } else { 0 });
        }
    }

    #[test]
    fn no_text_makes_it_panic(from in any::<i64>(), text in "(og1:)?[A-Za-z0-9+/]{0,64}") {
        let _ = decode(from, &text);
    }
}
