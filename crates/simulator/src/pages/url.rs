//! The page's URL: where its socket is, and what of it may be written down.

use url::Url;

/// Where the page's socket is.
pub(super) const SOCKET_PATH: &str = "/bot/socket";

/// The page's socket, as its protocol has it: `socket` beside the page, with the meeting and the token.
pub(super) fn socket(page: &str) -> Option<Url> {
    let mut url = Url::parse(page).ok()?;
    let keep: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name == "meeting_id" || name == "t")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme).ok()?;
    url.set_path(SOCKET_PATH);
    url.query_pairs_mut().clear().extend_pairs(keep);
    url.set_fragment(None);
    Some(url)
}

/// A text without the queries of the URLs in it, which carry tokens.
pub(super) fn without_queries(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        words.push(match word.split_once('?') {
            Some((before, _)) if before.contains("://") => before,
            _ => word,
        });
    }
    words.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_the_page_is() {
        let page = "https://agent.example.com/bot/?meeting_id=mtg_1&tenant_id=default&t=sealed";
        let expected = "wss://agent.example.com/bot/socket?meeting_id=mtg_1&t=sealed";
        assert_eq!(socket(page).unwrap().as_str(), expected);
        assert_eq!(
            socket("http://127.0.0.1:8787/bot/?t=a").unwrap().as_str(),
            "ws://127.0.0.1:8787/bot/socket?t=a"
        );
        assert_eq!(socket("not a url"), None);
    }

    #[test]
    fn no_query_is_left_of_any_url() {
        let text = "could not reach ws://127.0.0.1:1/rtc?access_token=abc (why?) and http://a/b?t=c\nafter";
        let expected = "could not reach ws://127.0.0.1:1/rtc(why?) and http://a/bafter";
        assert_eq!(without_queries(text), expected);
    }
}
