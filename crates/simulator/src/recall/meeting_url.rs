//! Reads a meeting link: which platform, which meeting.

use serde_json::{Value, json};
use url::Url;

/// A platform Recall can send bots to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Zoom,
    GoogleMeet,
    MicrosoftTeams,
    Webex,
}

impl Platform {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zoom => "zoom",
            Self::GoogleMeet => "google_meet",
            Self::MicrosoftTeams => "microsoft_teams",
            Self::Webex => "webex",
        }
    }

    /// The longest chat message, in characters; Webex has no chat for bots.
    pub(crate) fn chat_limit(self) -> Option<usize> {
        match self {
            Self::Zoom | Self::MicrosoftTeams => Some(4096),
            Self::GoogleMeet => Some(500),
            Self::Webex => None,
        }
    }
}

/// A link to a meeting on a supported platform.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MeetingUrl {
    pub(crate) raw: String,
    pub(crate) platform: Platform,
    /// The object that responses show instead of the link.
    pub(crate) view: Value,
}

impl MeetingUrl {
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let url = Url::parse(raw).ok().filter(|url| url.scheme() == "https")?;
        let host = url.host_str()?;
        let segments: Vec<&str> = url
            .path_segments()?
            .filter(|part| !part.is_empty())
            .collect();
        let query = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let (platform, view) = match host {
            "meet.google.com" => {
                let code = segments.first()?;
                (
                    Platform::GoogleMeet,
                    json!({ "meeting_id": code, "platform": "google_meet" }),
                )
            }
            _ if in_domain(host, "zoom.us") || in_domain(host, "zoomgov.com") => {
                let ["j" | "w" | "s" | "my", id, ..] = segments.as_slice() else {
                    return None;
                };
                let password = query("pwd");
                (
                    Platform::Zoom,
                    json!({ "meeting_id": id, "meeting_password": password, "platform": "zoom" }),
                )
            }
            "teams.microsoft.com" | "teams.live.com" => {
                (Platform::MicrosoftTeams, teams(&segments, &query)?)
            }
            _ if in_domain(host, "webex.com") => {
                let path = segments.join("/");
                if path.is_empty() {
                    return None;
                }
                let subdomain = host.strip_suffix(".webex.com");
                let view = json!({ "meeting_subdomain": subdomain, "meeting_mtid": query("MTID"),
                    "meeting_path": path, "platform": "webex" });
                (Platform::Webex, view)
            }
            _ => return None,
        };
        Some(Self {
            raw: raw.to_owned(),
            platform,
            view,
        })
    }
}

fn teams(segments: &[&str], query: &dyn Fn(&str) -> Option<String>) -> Option<Value> {
    let mut view = json!({ "meeting_id": null, "meeting_password": null, "organizer_id": null,
        "tenant_id": null, "message_id": null, "thread_id": null, "business_meeting_id": null,
        "business_meeting_password": null, "platform": "microsoft_teams" });
    match segments {
        ["l", "meetup-join", thread, message, ..] => {
            let context: Value =
                query("context").and_then(|text| serde_json::from_str(&text).ok())?;
            view["thread_id"] = json!(thread);
            view["message_id"] = json!(message);
            view["tenant_id"] = context["Tid"].clone();
            view["organizer_id"] = context["Oid"].clone();
        }
        ["meet", id, ..] => {
            view["business_meeting_id"] = json!(id);
            view["business_meeting_password"] = json!(query("p"));
        }
        _ => return None,
    }
    Some(view)
}

fn in_domain(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(raw: &str) -> Option<&'static str> {
        MeetingUrl::parse(raw).map(|url| url.platform.name())
    }

    #[test]
    fn each_platform_is_recognised() {
        assert_eq!(
            platform("https://meet.google.com/abc-defg-hij"),
            Some("google_meet")
        );
        assert_eq!(
            platform("https://us02web.zoom.us/j/1234567890?pwd=abc"),
            Some("zoom")
        );
        assert_eq!(
            platform("https://teams.live.com/meet/9312?p=x"),
            Some("microsoft_teams")
        );
        let teams = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0?context=%7b%22Tid%22%3a%22t%22%2c%22Oid%22%3a%22o%22%7d";
        assert_eq!(platform(teams), Some("microsoft_teams"));
        assert_eq!(platform("https://acme.webex.com/meet/dana"), Some("webex"));
    }

    #[test]
    fn other_hosts_and_look_alikes_are_refused() {
        for raw in [
            "http://meet.google.com/abc-defg-hij",
            "https://meet.google.com/",
            "https://meet.google.com.example.com/abc",
            "https://evilzoom.us/j/1",
            "https://zoom.us/pricing",
            "https://example.com/j/1",
            "not a url",
        ] {
            assert_eq!(platform(raw), None, "{raw}");
        }
    }
}
