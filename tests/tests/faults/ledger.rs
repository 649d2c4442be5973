//! Which calls each meeting made, filed once, so that nobody has to search the whole journal.

use std::collections::HashMap;
use std::sync::Mutex;

use attache_simulator::{Entry, Operation, RequestSeen, Simulator};

/// One call, as the vendor saw it.
#[derive(Clone, Debug)]
pub(crate) struct CallSeen {
    pub(crate) operation: Operation,
    pub(crate) faulted: bool,
}

/// The calls by what they name: a link, an agent, an avatar, or a meeting's id.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    /// The first entry of the journal that is not filed yet.
    next: u64,
    calls: HashMap<String, Vec<CallSeen>>,
}

impl Ledger {
    /// The calls of one kind that name any of these, in order, up to now.
    pub(crate) fn calls(
        &self,
        simulator: &Simulator,
        names: &[&str],
        operation: Operation,
    ) -> Vec<CallSeen> {
        let mut pages = self.pages.lock().expect("nobody panics with it");
        for entry in simulator.journal_since(pages.next) {
            pages.file(&entry);
        }
        let found = names.iter().filter_map(|name| pages.calls.get(*name));
        let kind = |call: &&CallSeen| call.operation == operation;
        found.flatten().filter(kind).cloned().collect()
    }
}

impl Pages {
    fn file(&mut self, entry: &Entry) {
        self.next = entry.seq + 1;
        let Some(request) = entry.what.request() else {
            return;
        };
        if let (Some(operation), Some(name)) = (request.operation, name(request)) {
            let faulted = request.fault.is_some();
            let calls = self.calls.entry(name).or_default();
            calls.push(CallSeen { operation, faulted });
        }
    }
}

/// What a call names; each is filed once.
pub(crate) fn name(request: &RequestSeen) -> Option<String> {
    let agent = || {
        let text = request.body.as_ref()?["text"].as_str()?;
        let begin = text.find("Ada ")?;
        text.get(begin..begin + 8).map(str::to_owned)
    };
    let meeting_id = || {
        let begin = request.query.find("mtg_")?;
        let id = request.query[begin..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        id.take(1).next().map(str::to_owned)
    };
    request
        .avatar
        .clone()
        .or_else(|| request.meeting_url.clone())
        .or_else(agent)
        .or_else(meeting_id)
}
