//! Pkt-lines, the framing of git's protocol (gitprotocol-common(5)).

/// Ends a message.
pub(crate) const FLUSH: &[u8] = b"0000";

/// Divides the sections of a message, in version 2.
pub(crate) const DELIMITER: &[u8] = b"0001";

/// Bytes that a pkt-line of the side band carries beside its length and band (gitprotocol-pack(5)).
const SIDE_BAND: usize = 65_515;

/// One line with its length before it.
pub(crate) fn packet(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// Texts of the lines of a message up to its flush, without line ends and delimiters, and the bytes behind the flush; none
/// when they are malformed.
pub(crate) fn packets(mut body: &[u8]) -> Option<(Vec<&str>, &[u8])> {
    let mut found = Vec::new();
    loop {
        let (length, rest) = body.split_at_checked(4)?;
        let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
        match length {
            0 => return Some((found, rest)),
            1 => body = rest,
            _ => {
                let (text, rest) = rest.split_at_checked(length.checked_sub(4)?)?;
                found.push(std::str::from_utf8(text).ok()?.trim_end_matches('\n'));
                body = rest;
            }
        }
    }
}

/// Appends bytes in the side band's first channel, that of the message itself.
pub(crate) fn side_band(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.chunks(SIDE_BAND) {
        out.extend_from_slice(format!("{:04x}\u{1}", part.len() + 5).as_bytes());
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut message = [packet("command=fetch\n"), DELIMITER.to_vec(), packet("done")].concat();
        message.extend_from_slice(FLUSH);
        message.extend_from_slice(b"PACK");
        assert_eq!(packets(&message), Some((vec!["command=fetch", "done"], b"PACK".as_slice())));
    }

    #[test]
    fn a_message_that_is_cut_off_is_none() {
        let message = [packet("want x\n").as_slice(), FLUSH].concat();
        for length in 0..message.len() {
            assert_eq!(packets(&message[..length]), None, "{length}");
        }
        assert_eq!(packets(b"zzzz0000"), None);
        assert_eq!(packets(b"00020000"), None);
    }

    #[test]
    fn long_contents_are_divided() {
        let mut out = Vec::new();
        side_band(&mut out, &vec![7; SIDE_BAND + 1]);
        assert_eq!(out.len(), SIDE_BAND + 1 + 2 * 5);
        assert_eq!(&out[..5], b"fff0\x01");
        assert_eq!(&out[5 + SIDE_BAND..], b"0006\x01\x07");
    }
}
