//! Which meeting URLs bots are sent to: the API cannot be used to send bots to arbitrary hosts.

use url::Url;

use crate::meeting::Platform;

/// Longer URLs than this are no meeting URLs; the longest known are Teams links of some 300 characters.
const MAX_URL_CHARS: usize = 2048;

/// Finds the platform of an https meeting URL, or says what is wrong with the URL.
///
/// Hosts follow Recall's own patterns (<https://docs.recall.ai/docs/meeting-urls>).
pub fn platform_of(meeting_url: &str) -> Result<Platform, &'static str> {
    if meeting_url.len() > MAX_URL_CHARS {
        return Err("must have at most 2048 characters");
    }
    // URL parsers disagree about these, and it is another parser that follows the URL.
    if meeting_url.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return Err("must contain neither backslashes nor white space");
    }
    let url = Url::parse(meeting_url).map_err(|_| "must be an absolute URL")?;
    if url.scheme() != "https" {
        return Err("must be an https URL");
    }
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err("must carry neither user information nor a port");
    }
    let host = url.host_str().unwrap_or_default();
    // Nothing is taken that this parser had to mend: another one may mend it into another host.
    let written = meeting_url.get("https://".len()..).unwrap_or_default();
    let written = written.split(['/', '?', '#']).next().unwrap_or_default();
    if !written.eq_ignore_ascii_case(host) {
        return Err("must have `https://` and then its host, written out plainly");
    }
    let platform = platform_of_host(host)
        .ok_or("must be a meeting on Zoom, Google Meet, Microsoft Teams or Webex")?;
    if url.path() == "/" {
        return Err("must name a meeting, not just the platform");
    }
    Ok(platform)
}

fn platform_of_host(host: &str) -> Option<Platform> {
    let is_or_below = |domain: &str| {
        host == domain
            || host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    if ["zoom.us", "zoom.com", "zoomgov.com"]
        .into_iter()
        .any(is_or_below)
    {
        Some(Platform::Zoom)
    } else if host == "meet.google.com" {
        Some(Platform::GoogleMeet)
    } else if [
        "teams.microsoft.com",
        "teams.live.com",
        "teams.microsoft.us",
    ]
    .into_iter()
    .any(is_or_below)
    {
        Some(Platform::MicrosoftTeams)
    } else if is_or_below("webex.com") {
        Some(Platform::Webex)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_are_told_from_the_host() {
        for (url, platform) in [
            ("https://meet.google.com/abc-defg-hij", Platform::GoogleMeet),
            (
                "https://us02web.zoom.us/j/1234567890?pwd=abc",
                Platform::Zoom,
            ),
            ("https://zoom.us/j/1234567890", Platform::Zoom),
            ("https://agency.zoomgov.com/j/1234567890", Platform::Zoom),
            (
                "https://teams.microsoft.com/l/meetup-join/19%3ameeting",
                Platform::MicrosoftTeams,
            ),
            (
                "https://teams.live.com/meet/93123?p=x",
                Platform::MicrosoftTeams,
            ),
            ("https://acme.webex.com/meet/ada", Platform::Webex),
        ] {
            assert_eq!(platform_of(url), Ok(platform), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for url in [
            "",
            "meet.google.com/abc-defg-hij",
            "http://meet.google.com/abc-defg-hij",
            "https://meet.google.com/",
            "https://meet.google.com/?x",
            "https://meet.google.com\\@evil.example/x",
            "https://meet.google.com\\.evil.example/x",
            " https://meet.google.com/abc-defg-hij",
            "https://meet.google.com/abc\n-defg",
            "https://meet.google.com.evil.example/abc",
            "https://evil.example/?meet.google.com",
            "https://evilzoom.us/j/1",
            "https://user@zoom.us/j/1",
            "https://zoom.us:8443/j/1",
            "https://zoom.us:443/j/1",
            "https://zoom.us:/j/1",
            "https://@zoom.us/j/1",
            "https://:@zoom.us/j/1",
            "https://user:secret@zoom.us/j/1",
            "https:zoom.us/j/1",
            "https:/zoom.us/j/1",
            "https:///zoom.us/j/1",
            "//zoom.us/j/1",
            "https://zoom%2eus/j/1",
            "https://zoom.us%2f.evil.example/j/1",
            "https://zoom.us%00.evil.example/j/1",
            "https://zoom\u{3002}us/j/1",
            "https://\u{ff5a}oom.us/j/1",
            "https://zo\u{ad}om.us/j/1",
            "https://z\u{43e}\u{43e}m.us/j/1",
            "https://xn--zm-fmca.us/j/1",
            "https://zoom.us./j/1",
            "https://[::1]/j/1",
            "https://[::ffff:127.0.0.1]/j/1",
            "https://2130706433/j/1",
            "https://0x7f.1/j/1",
            "https://evil.example#@zoom.us/j/1",
            "https://evil.example?.zoom.us/j/1",
            "file:///zoom.us/j/1",
            "https://127.0.0.1/j/1",
            "https://docs.google.com/x",
            "javascript:alert(1)",
        ] {
            assert!(platform_of(url).is_err(), "{url}");
        }
        assert!(platform_of(&format!("https://zoom.us/j/{}", "1".repeat(3000))).is_err());
    }
}
