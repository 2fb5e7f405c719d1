//! A fault on purpose, five bytes deep: scripts/fuzz.sh expects it to be found, which without coverage feedback would take
//! 2^40 tries. It shows that the other targets' silence means something.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // One branch for each byte, so that each right one is new coverage.
    if let [a, b, c, d, e, ..] = data
        && *a == b'p'
        && *b == b'l'
        && *c == b'a'
        && *d == b'n'
        && *e == b't'
    {
        panic!("the planted fault");
    }
});
