//! The announcement: a mail with the page that the release published.

/// Recipients of a release.
pub const LISTS: [&str; 2] = ["dev@kubernetes.io", "kubernetes-announce@googlegroups.com"];

/// Subject of the announcement.
#[must_use]
pub fn subject(tag: &str) -> String {
    format!("Kubernetes {tag} is live!")
}

/// The announcement for readers that show no HTML.
#[must_use]
pub fn plain(tag: &str) -> String {
    let minor: Vec<&str> = tag.trim_start_matches('v').split('.').take(2).collect();
    format!(
        "{}\n\nhttps://github.com/kubernetes/kubernetes/releases/tag/{tag}\n\
         https://github.com/kubernetes/kubernetes/blob/master/CHANGELOG/CHANGELOG-{}.md\n",
        subject(tag),
        minor.join(".")
    )
}

/// The whole mail (RFC 5322). No sender: whoever sends it is.
#[must_use]
pub fn message(tag: &str, html: &str) -> String {
    let html = html.replace("\r\n", "\n").replace('\n', "\r\n");
    format!(
        "To: kubernetes-announce <{}>, dev <{}>\r\nSubject: {}\r\nMIME-Version: 1.0\r\nContent-Type: text/html; \
         charset=\"UTF-8\"\r\n\r\n{html}",
        LISTS[1],
        LISTS[0],
        subject(tag)
    )
}

/// Bytes in the alphabet of addresses (RFC 4648, 5), with padding: how the Gmail API takes a mail.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place) & 63) as usize;
            let letter = ALPHABET.get(index).copied().unwrap_or(b'A');
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_have_no_sender_and_right_line_ends() {
        let mail = message("v1.35.1", "<p>\nHi\r\n</p>\n");
        assert!(mail.contains("\r\nSubject: Kubernetes v1.35.1 is live!\r\n") && !mail.contains("From:"));
        assert!(mail.ends_with("\r\n\r\n<p>\r\nHi\r\n</p>\r\n"));
        assert!(LISTS.iter().all(|list| mail.contains(list)));
    }

    #[test]
    fn plain_words_name_release_and_changelog() {
        let text = plain("v1.35.1");
        assert!(text.contains("/tag/v1.35.1\n") && text.ends_with("/CHANGELOG-1.35.md\n"), "{text}");
    }

    #[test]
    fn bytes_as_text() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{ff}\u{fe}?", "w7_Dvj8="),
        ] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
    }
}
