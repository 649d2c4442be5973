//! The bots of the workspace: create and list them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::bot::{Bot, Endpoint, Phase, SCHEDULED_AHEAD};
use super::create::{self, BotRequest};
use super::fields::FieldError;
use super::ids::Ids;
use super::{Model, refusals, views};
use crate::answer::{Answer, Request};
use crate::operation::{Operation, Route};

/// Bots per page of a list.
const PAGE: usize = 100;

/// The meeting whose bots a list is asked for, if it is.
pub(crate) fn filtered_meeting(route: &Route, request: &Request) -> Option<String> {
    if route.operation != Operation::ListBots {
        return None;
    }
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(name, _)| name == "metadata__meeting_id");
    found.map(|(_, id)| id.into_owned())
}

impl Model {
    pub(super) fn create_bot(&mut self, body: &Value, now: Timestamp) -> Answer {
        let request = match create::read(body) {
            Ok(request) => request,
            Err(errors) => return refusals::fields(&errors),
        };
        let scheduled = request
            .join_at
            .is_some_and(|join_at| join_at > now + SCHEDULED_AHEAD);
        if !scheduled && self.adhoc_limit_reached() {
            let detail = "You have reached the number of concurrent adhoc bots allowed.";
            return refusals::coded(429, "throttled", detail).with_header("retry-after", "60");
        }
        let bot = self.new_bot(request, scheduled, now);
        let view = views::bot(&bot, &mut self.services.presigner, now);
        let number = self.next_bot;
        self.next_bot += 1;
        self.numbers.insert(bot.id.clone(), number);
        self.bots.insert(number, bot);
        self.reschedule(number);
        Answer::json(201, &view)
    }

    fn adhoc_limit_reached(&self) -> bool {
        let running = || {
            self.bots
                .values()
                .filter(|bot| !bot.scheduled && bot.phase != Phase::Over)
                .count()
        };
        self.services
            .settings
            .adhoc_limit
            .is_some_and(|limit| running() >= limit)
    }

    fn new_bot(&mut self, request: BotRequest, scheduled: bool, now: Timestamp) -> Bot {
        let id = self.services.ids.uuid();
        let script = self.script_for(&request.meeting_url.raw);
        let endpoints = endpoints(&request, &mut self.services.ids);
        let from = request.join_at.filter(|_| scheduled).unwrap_or(now);
        let mut bot = Bot::new(id, request, script, endpoints, now);
        bot.scheduled = scheduled;
        bot.start_script(from);
        bot
    }

    pub(super) fn list_bots(&mut self, query: &[(String, String)], now: Timestamp) -> Answer {
        let filters = match BotFilters::read(query) {
            Ok(filters) => filters,
            Err(errors) => return refusals::fields(&errors),
        };
        let found: Vec<&Bot> = self
            .bots
            .values()
            .rev()
            .filter(|bot| filters.matches(bot))
            .collect();
        let first = (filters.page - 1) * PAGE;
        if first > 0 && first >= found.len() {
            return refusals::coded(404, "not_found", "Invalid page.");
        }
        let url = |page: usize| page_url(&self.services.presigner.base_url, query, page);
        let next = (first + PAGE < found.len()).then(|| url(filters.page + 1));
        let previous = (filters.page > 1).then(|| url(filters.page - 1));
        let presigner = &mut self.services.presigner;
        let page = found.iter().skip(first).take(PAGE);
        let results: Vec<Value> = page.map(|bot| views::bot(bot, presigner, now)).collect();
        let list = json!({
            "count": found.len(), "next": next, "previous": previous, "results": results,
        });
        Answer::json(200, &list)
    }
}

/// The endpoints that a request asks for, with ids of their own.
pub(super) fn endpoints(request: &BotRequest, ids: &mut Ids) -> Vec<Endpoint> {
    let configs = request.recording.endpoints.iter();
    configs
        .map(|config| Endpoint {
            id: ids.uuid(),
            kind: config.kind.clone(),
            url: config.url.clone(),
            events: config.events.clone(),
            metadata: config.metadata.clone(),
            failed: false,
        })
        .collect()
}

fn page_url(base_url: &str, query: &[(String, String)], page: usize) -> String {
    let mut serializer = url::form_urlencoded::Serializer::new(String::new());
    serializer.extend_pairs(query.iter().filter(|(key, _)| key != "page"));
    serializer.append_pair("page", &page.to_string());
    format!("{base_url}/api/v1/bot/?{}", serializer.finish())
}

struct BotFilters<'a> {
    metadata: Vec<(&'a str, &'a str)>,
    meeting_url: Option<&'a str>,
    platforms: Vec<&'a str>,
    statuses: Vec<&'a str>,
    join_at_after: Option<Timestamp>,
    join_at_before: Option<Timestamp>,
    page: usize,
}

impl<'a> BotFilters<'a> {
    /// A filter nobody knows is an error: ignored, it would look like one that matches everything.
    fn read(query: &'a [(String, String)]) -> Result<Self, FieldError> {
        let mut filters = Self {
            metadata: Vec::new(),
            meeting_url: None,
            platforms: Vec::new(),
            statuses: Vec::new(),
            join_at_after: None,
            join_at_before: None,
            page: 1,
        };
        for (key, value) in query {
            let invalid = |text: &str| json!({ key: [text] });
            let time = || {
                value
                    .parse()
                    .map_err(|_| invalid("Enter a valid date/time."))
            };
            match key.as_str() {
                "meeting_url" => filters.meeting_url = Some(value),
                "platform" | "platform[]" => filters.platforms.push(value),
                "status" | "status[]" => filters.statuses.push(value),
                "join_at_after" => filters.join_at_after = Some(time()?),
                "join_at_before" => filters.join_at_before = Some(time()?),
                "page" => {
                    let page = value.parse().ok().filter(|page| *page > 0);
                    filters.page = page.ok_or_else(|| invalid("Invalid page."))?;
                }
                _ => match key.strip_prefix("metadata__") {
                    Some(name) if !name.is_empty() => filters.metadata.push((name, value)),
                    _ => return Err(invalid("Unknown filter.")),
                },
            }
        }
        Ok(filters)
    }

    fn matches(&self, bot: &Bot) -> bool {
        let request = &bot.request;
        let platform = request.meeting_url.platform.name();
        let status = bot.status().map(|change| change.code.as_str());
        let has = |(name, value): &(&str, &str)| {
            request.metadata.get(*name).is_some_and(|own| own == value)
        };
        let join_at = |fits: &dyn Fn(Timestamp) -> bool| request.join_at.is_some_and(fits);
        self.metadata.iter().all(has)
            && self
                .meeting_url
                .is_none_or(|url| request.meeting_url.raw == url)
            && (self.platforms.is_empty() || self.platforms.contains(&platform))
            && (self.statuses.is_empty()
                || status.is_some_and(|code| self.statuses.contains(&code)))
            && self
                .join_at_after
                .is_none_or(|after| join_at(&|at| at >= after))
            && self
                .join_at_before
                .is_none_or(|before| join_at(&|at| at <= before))
    }
}
