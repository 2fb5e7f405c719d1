use std::{
    io::Write,
    process::{Command, Stdio},
};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use proptest::prelude::*;
use zstd_safe::{CCtx, CParameter};

use super::*;

/// A way to pack, and the coding that unpacks it.
type Packer = (&'static str, Coding, fn(&[u8]) -> Vec<u8>);

const PACKERS: [Packer; 4] = [
    ("gzip", Coding::Gzip, gzip),
    ("zlib", Coding::Deflate, zlib),
    ("raw deflate", Coding::Deflate, raw),
    ("zstd", Coding::Zstd, zstd),
];

macro_rules! packer {
    ($name:ident, $encoder:ident) => {
        fn $name(plain: &[u8]) -> Vec<u8> {
            let mut encoder = $encoder::new(Vec::new(), Compression::default());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
    };
}

packer!(gzip, GzEncoder);
packer!(zlib, ZlibEncoder);
packer!(raw, DeflateEncoder);

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd_with(&[CParameter::ChecksumFlag(true)], plain)
}

fn zstd_with(parameters: &[CParameter], plain: &[u8]) -> Vec<u8> {
    let mut context = CCtx::create();
    for parameter in parameters {
        context.set_parameter(*parameter).unwrap();
    }
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
    context.compress2(&mut packed, plain).unwrap();
    packed
}

fn unpack<'a>(
    coding: Coding,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    let mut unpack = coding.unpack(bytes_max);
    for piece in pieces {
        unpack.push(piece)?;
    }
    unpack.finish()
}

fn is_corrupt(result: &Result<Bytes, BodyError>) -> bool {
    matches!(result, Err(error @ BodyError::Corrupt { .. }) if error.status() == 400)
}

#[test]
fn what_was_packed_comes_out_in_whole_and_byte_by_byte() {
    let plain: Vec<u8> = (0..200_000_u64).map(|n| u8::try_from(((n * n) >> 7) % 256).unwrap()).collect();
    for (name, coding, pack) in PACKERS {
        for length in [0, 1, 2, 31_999, super::BLOCK, super::BLOCK + 1, plain.len()] {
            let packed = pack(&plain[..length]);
            assert_eq!(unpack(coding, [&*packed], plain.len()).unwrap(), plain[..length], "{name}, {length}");
            let bytewise = unpack(coding, packed.chunks(1), plain.len());
            assert_eq!(bytewise.unwrap(), plain[..length], "{name}, {length}, byte by byte");
        }
    }
}

#[test]
fn members_and_frames_in_a_row_are_one_body() {
    let quiet = [&0x184D_2A53_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
    for (coding, body) in [
        (Coding::Gzip, [gzip(b"out"), gzip(b""), gzip(b"rigger")].concat()),
        (Coding::Zstd, [zstd(b"out"), zstd(b""), quiet.clone(), zstd(b"rigger"), quiet.clone()].concat()),
    ] {
        assert_eq!(unpack(coding, [&*body], 64).unwrap(), "outrigger", "{coding:?}");
        assert_eq!(unpack(coding, body.chunks(1), 64).unwrap(), "outrigger", "{coding:?}, byte by byte");
    }
    assert_eq!(unpack(Coding::Zstd, [&*quiet], 64).unwrap(), "", "a frame that says nothing");
    assert!(is_corrupt(&unpack(Coding::Deflate, [&*[zlib(b"out"), zlib(b"rigger")].concat()], 64)));
}

#[test]
fn what_follows_the_end_is_refused() {
    for (name, coding, pack) in PACKERS {
        for tail in [&b"x"[..], b"\0", b"trailing garbage, longer than a header"] {
            let body = [&pack(b"outrigger")[..], tail].concat();
            assert!(is_corrupt(&unpack(coding, [&*body], 64)), "{name}: {tail:?}");
            let late = unpack(coding, [&pack(b"outrigger")[..], tail], 64);
            assert!(is_corrupt(&late), "{name}: {tail:?} in a piece of its own");
        }
    }
}

#[test]
fn cut_at_any_byte_it_is_refused() {
    for (name, coding, pack) in PACKERS {
        for whole in [pack(b"outrigger"), pack(b"")] {
            for length in 0..whole.len() {
                let refused = unpack(coding, [&whole[..length]], 64);
                assert!(is_corrupt(&refused), "{name} cut at {length}: {refused:?}");
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_refused() {
    for (name, coding, pack, checksum_at) in [
        ("gzip", Coding::Gzip, gzip as fn(&[u8]) -> Vec<u8>, 8),
        ("zlib", Coding::Deflate, zlib, 1),
        ("zstd", Coding::Zstd, zstd, 1),
    ] {
        let mut packed = pack(b"outrigger");
        let at = packed.len() - checksum_at;
        packed[at] ^= 1;
        let refused = unpack(coding, [&*packed], 64);
        assert!(is_corrupt(&refused), "{name}: {refused:?}");
    }
}

#[test]
fn what_is_packed_in_another_way_is_refused() {
    for (name, _, pack) in PACKERS {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            if PACKERS.iter().any(|packer| packer.0 == name && packer.1 == coding) {
                continue;
            }
            let refused = unpack(coding, [&*pack(b"outrigger")], 64);
            assert!(is_corrupt(&refused), "{name} as {coding:?}: {refused:?}");
        }
    }
}

#[test]
fn row_30_a_bomb_is_cut_at_the_decompressed_limit() {
    for (name, coding, pack) in PACKERS {
        let bomb = pack(&vec![0; 64 << 20]);
        assert!(bomb.len() < 1 << 20, "{name}: it is small on the wire");
        let refused = coding.unpack(1 << 20).push(&bomb);
        assert_eq!(refused, Err(BodyError::TooLargeDecompressed { bytes_max: 1 << 20 }), "{name}");
    }
}

#[test]
fn no_more_is_held_than_the_limit() {
    let mut bounded = Bounded::new(1 << 20);
    let refused = (0..100).find_map(|_| bounded.push(&block()).err());
    assert_eq!(refused, Some(BodyError::TooLargeDecompressed { bytes_max: 1 << 20 }));
    assert!(bounded.out.capacity() <= 2 << 20, "{} bytes for 1 MiB", bounded.out.capacity());
}

#[test]
fn exactly_the_limit_fits() {
    for (name, coding, pack) in PACKERS {
        let body = pack(&[7; 4096]);
        assert_eq!(unpack(coding, [&*body], 4096).unwrap().len(), 4096, "{name}");
        let over = unpack(coding, [&*body], 4095);
        assert_eq!(over, Err(BodyError::TooLargeDecompressed { bytes_max: 4095 }), "{name}");
    }
}

#[test]
fn a_zstd_window_of_8_mib_is_read_and_a_larger_one_is_refused_before_it_is_held() {
    let frame = |window: u8| {
        // A frame of an empty last block, whose header names the window alone (RFC 8878, section 3.1.1.1.2).
        [&super::zstd::FRAME.to_le_bytes()[..], &[0, (window - 10) << 3], &[1, 0, 0]].concat()
    };
    assert_eq!(unpack(Coding::Zstd, [&*frame(23)], 64).unwrap(), "");
    let refused = unpack(Coding::Zstd, [&*frame(24)], 64).unwrap_err();
    assert!(refused.to_string().contains("larger than 8 MiB"), "{refused}");
    let large: Vec<u8> = (0..4_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let packed = zstd_with(&[CParameter::CompressionLevel(19), CParameter::ContentSizeFlag(false)], &large);
    assert_eq!(unpack(Coding::Zstd, packed.chunks(999), large.len()).unwrap(), large);
}

#[test]
fn zstd_of_before_its_rfc_is_no_frame() {
    for version in 0x22..=0x27_u8 {
        let refused = unpack(Coding::Zstd, [&[version, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0][..]], 64).unwrap_err();
        assert!(refused.to_string().contains("no frame begins it"), "{version:x}: {refused}");
    }
}

/// What a command makes of `plain`; none where it is not there.
fn by_command(command: &[&str], plain: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(plain).unwrap(); // small enough for the pipe
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    Some(output.stdout)
}

#[test]
fn what_the_usual_tools_pack_is_unpacked() {
    let plain = b"{\"hello\": \"world\"}".repeat(1000);
    let commands: [(Coding, &[&str]); 6] = [
        (Coding::Gzip, &["gzip", "-c"]),
        (Coding::Gzip, &["pigz", "-c"]),
        (Coding::Deflate, &["pigz", "-cz"]),
        (Coding::Zstd, &["zstd", "-cq"]),
        (Coding::Zstd, &["zstd", "-cq19", "--no-check"]),
        (Coding::Zstd, &["zstd", "-cqT2", "--fast=5"]),
    ];
    for (coding, command) in commands {
        match by_command(command, &plain) {
            Some(packed) => {
                assert_eq!(unpack(coding, [&*packed], plain.len()).unwrap(), plain, "{command:?}");
            }
            None => eprintln!("{} is absent, so its output is not tried", command[0]),
        }
    }
}

proptest! {
    #[test]
    fn however_it_is_cut_into_pieces_the_body_comes_out(
        plain in proptest::collection::vec(any::<u8>(), 0..2000), repeat in 1_usize..40, cut in 1_usize..500,
    ) {
        let plain = plain.repeat(repeat);
        for (name, coding, pack) in PACKERS {
            let packed = pack(&plain);
            prop_assert_eq!(unpack(coding, packed.chunks(cut), plain.len()).unwrap(), &plain, "{}", name);
        }
    }

    #[test]
    fn no_input_panics_or_comes_out_larger_than_allowed(
        garbage in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..40, with in any::<u8>(),
    ) {
        for (_, coding, pack) in PACKERS {
            let mut damaged = pack(&garbage);
            let at = at % damaged.len();
            damaged[at] ^= with;
            for body in [&garbage, &damaged, &[&[0x1f, 0x8b, 8, 0], &garbage[..]].concat()] {
                let unpacked = unpack(coding, body.chunks(7), 1000);
                prop_assert!(unpacked.map_or(0, |bytes| bytes.len()) <= 1000);
            }
        }
    }
}
