//! Ids as hexadecimal digits, in small letters.

/// `id` in the 16 digits at `at` of `out`.
pub(crate) fn put_u64(out: &mut [u8], at: usize, id: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    #[expect(clippy::cast_possible_truncation, reason = "four bits at a time")]
    for (place, byte) in out[at..at + 16].iter_mut().enumerate() {
        *byte = DIGITS[usize::from((id >> (60 - 4 * place)) as u8 & 15)];
    }
}

/// The id of exactly `digits` digits.
pub(crate) fn read(text: &str, digits: usize) -> Option<u128> {
    let is_hex =
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}
