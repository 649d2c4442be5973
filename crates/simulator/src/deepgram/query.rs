//! The query of `/v1/listen`: every documented parameter with its type and range.
//!
//! Stricter than the vendor on purpose: an unknown parameter is refused, so that a typo shows, and so
//! is one given twice that takes one value.

use std::collections::BTreeMap;

use super::refusals::Refusal;

/// The vendor's limit of key terms.
pub(crate) const MAX_KEYTERMS: usize = 100;
/// The vendor's limit of tokens in all key terms.
const MAX_KEYTERM_TOKENS: usize = 500;
/// The vendor counts tokens of its own; about four characters make one.
const CHARS_PER_TOKEN: usize = 4;
const MAX_TAG: usize = 128;
const MAX_EXTRA: usize = 2048;
const MAX_CHANNELS: u32 = 20;
/// More than any sound card records.
const MAX_SAMPLE_RATE: u32 = 192_000;
/// The silence that ends speech where none is asked for.
const DEFAULT_ENDPOINTING_MS: u64 = 10;

const MODELS: [&str; 30] = [
    "nova-3",
    "nova-3-general",
    "nova-3-medical",
    "nova-2",
    "nova-2-general",
    "nova-2-meeting",
    "nova-2-finance",
    "nova-2-conversationalai",
    "nova-2-voicemail",
    "nova-2-video",
    "nova-2-medical",
    "nova-2-drivethru",
    "nova-2-automotive",
    "nova",
    "nova-general",
    "nova-phonecall",
    "nova-medical",
    "enhanced",
    "enhanced-general",
    "enhanced-meeting",
    "enhanced-phonecall",
    "enhanced-finance",
    "base",
    "meeting",
    "phonecall",
    "finance",
    "conversationalai",
    "voicemail",
    "video",
    "custom",
];
const ENCODINGS: [&str; 11] = [
    "linear16", "linear32", "flac", "alaw", "mulaw", "amr-nb", "amr-wb", "opus", "ogg-opus",
    "speex", "g729",
];
const SWITCHES: [&str; 13] = [
    "detect_entities",
    "diarize",
    "dictation",
    "filler_words",
    "interim_results",
    "mip_opt_out",
    "multichannel",
    "no_delay",
    "numerals",
    "profanity_filter",
    "punctuate",
    "smart_format",
    "vad_events",
];
const REDACTIONS: [&str; 6] = [
    "pci",
    "numbers",
    "aggressive_numbers",
    "ssn",
    "true",
    "false",
];
const REPEATABLE: [&str; 8] = [
    "extra",
    "keyterm",
    "keywords",
    "language_hint",
    "redact",
    "replace",
    "search",
    "tag",
];
/// Parameters that take any text.
const TEXTS: [&str; 2] = ["search", "version"];

/// A query that fits, as far as it changes what is heard or told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the vendor's own switches")]
pub(crate) struct Parameters {
    pub(crate) model: String,
    /// Empty where the audio is said to be in a container.
    pub(crate) encoding: String,
    pub(crate) sample_rate: u32,
    pub(crate) multilingual: bool,
    pub(crate) interim_results: bool,
    pub(crate) vad_events: bool,
    pub(crate) punctuated: bool,
    pub(crate) diarized: bool,
    pub(crate) entities: bool,
    /// `None` where it is switched off.
    pub(crate) endpointing_ms: Option<u64>,
    pub(crate) utterance_end_ms: Option<u64>,
    pub(crate) keyterms: Vec<String>,
    pub(crate) extra: BTreeMap<String, String>,
}

impl Parameters {
    pub(crate) fn is_nova_3(&self) -> bool {
        self.model.starts_with("nova-3")
    }
}

/// Reads a query; the first problem is told.
pub(crate) fn read(pairs: &[(String, String)]) -> Result<Parameters, Refusal> {
    let query = Query { pairs };
    for (name, value) in pairs {
        check(name, value)?;
        if !REPEATABLE.contains(&name.as_str()) && query.all(name).count() > 1 {
            return Err(Refusal::parameter(format!(
                "`{name}` is given more than once."
            )));
        }
    }
    let Some(model) = query.one("model") else {
        return Err(Refusal::parameter("`model` is required."));
    };
    let parameters = Parameters {
        model: model.to_owned(),
        encoding: query.one("encoding").unwrap_or_default().to_owned(),
        sample_rate: query.number("sample_rate").unwrap_or_default(),
        multilingual: query.one("language") == Some("multi"),
        interim_results: query.on("interim_results"),
        vad_events: query.on("vad_events"),
        punctuated: ["punctuate", "smart_format", "dictation", "detect_entities"]
            .iter()
            .any(|name| query.on(name)),
        diarized: query.on("diarize") || query.one("diarize_model").is_some(),
        entities: query.on("detect_entities"),
        endpointing_ms: match query.one("endpointing") {
            None => Some(DEFAULT_ENDPOINTING_MS),
            Some(value) => value.parse().ok(),
        },
        utterance_end_ms: query.number("utterance_end_ms").map(u64::from),
        keyterms: query.all("keyterm").map(str::to_owned).collect(),
        extra: query
            .all("extra")
            .filter_map(|pair| pair.split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    };
    check_together(&query, &parameters)?;
    Ok(parameters)
}

/// Whether these terms are within the vendor's limits.
pub(crate) fn check_keyterms(terms: &[String]) -> Result<(), String> {
    if terms.len() > MAX_KEYTERMS {
        return Err(format!("At most {MAX_KEYTERMS} keyterms are accepted."));
    }
    let tokens: usize = terms
        .iter()
        .map(|term| term.chars().count().div_ceil(CHARS_PER_TOKEN))
        .sum();
    if tokens > MAX_KEYTERM_TOKENS {
        return Err(format!(
            "Keyterm limit exceeded. The maximum number of tokens across all keyterms is {MAX_KEYTERM_TOKENS}."
        ));
    }
    Ok(())
}

/// What is wrong with one parameter by itself.
fn check(name: &str, value: &str) -> Result<(), Refusal> {
    let integer = |from: u32, to: u32| {
        value
            .parse()
            .is_ok_and(|number: u32| (from..=to).contains(&number))
    };
    let fine = match name {
        "model" => MODELS.contains(&value),
        "language" | "language_hint" => {
            value == "multi" && name == "language" || is_language(value)
        }
        "encoding" => ENCODINGS.contains(&value),
        "sample_rate" => integer(1, MAX_SAMPLE_RATE),
        "channels" => integer(1, MAX_CHANNELS),
        "endpointing" => value == "false" || value.parse::<u32>().is_ok(),
        "utterance_end_ms" => integer(1000, 5000),
        "diarize_model" => matches!(value, "latest" | "v1"),
        "keyterm" | "keywords" => !value.trim().is_empty(),
        "redact" => REDACTIONS.contains(&value),
        "replace" => value
            .split_once(':')
            .is_some_and(|(find, _)| !find.is_empty()),
        "tag" => !value.is_empty() && value.chars().count() <= MAX_TAG,
        "extra" => {
            value
                .split_once(':')
                .is_some_and(|(key, _)| !key.is_empty())
                && value.chars().count() <= MAX_EXTRA
        }
        "callback" => {
            value.starts_with("http://") || value.starts_with("https://") || value.starts_with("ws")
        }
        "callback_method" => matches!(value, "POST" | "GET" | "PUT" | "DELETE"),
        name if SWITCHES.contains(&name) => matches!(value, "true" | "false"),
        name if TEXTS.contains(&name) => !value.is_empty(),
        _ => return Err(Refusal::parameter(format!("`{name}` is not a parameter."))),
    };
    if fine {
        Ok(())
    } else {
        Err(Refusal::parameter(format!(
            "The value of `{name}` is not valid."
        )))
    }
}

/// What is wrong with parameters beside each other, and what cannot be simulated.
fn check_together(query: &Query<'_>, parameters: &Parameters) -> Result<(), Refusal> {
    let given = |name: &str| query.one(name).is_some();
    let nova_3 = parameters.is_nova_3();
    let problem = if given("diarize") && given("diarize_model") {
        Some("`diarize` and `diarize_model` cannot be given together.")
    } else if given("encoding") && !given("sample_rate") {
        Some("`encoding` needs `sample_rate`.")
    } else if given("sample_rate") && !given("encoding") {
        Some("`sample_rate` is for raw audio and needs `encoding`.")
    } else if given("utterance_end_ms") && !parameters.interim_results {
        Some("`utterance_end_ms` needs `interim_results=true`.")
    } else if nova_3 && given("keywords") {
        Some("`keywords` are not supported by nova-3; use `keyterm`.")
    } else if !nova_3 && given("keyterm") {
        Some("`keyterm` is only supported by nova-3.")
    } else if given("language_hint") && !(nova_3 && parameters.multilingual) {
        Some("`language_hint` is only for nova-3 with `language=multi`.")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(Refusal::parameter(problem));
    }
    check_keyterms(&parameters.keyterms).map_err(Refusal::parameter)?;
    let mono = query.number("channels").unwrap_or(1) == 1 && !query.on("multichannel");
    let simulated =
        matches!(parameters.encoding.as_str(), "" | "linear16") && mono && !given("callback");
    if simulated {
        Ok(())
    } else {
        Err(Refusal::new(
            501,
            "NOT_IMPLEMENTED",
            "The simulator hears one channel of linear16 and sends no callbacks.",
        ))
    }
}

/// A tag of BCP 47, as far as languages and regions go.
fn is_language(value: &str) -> bool {
    let mut parts = value.split('-');
    let language = parts.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.chars().all(|letter| letter.is_ascii_lowercase())
        && parts.all(|part| {
            (2..=8).contains(&part.len())
                && part.chars().all(|letter| letter.is_ascii_alphanumeric())
        })
}

struct Query<'a> {
    pairs: &'a [(String, String)],
}

impl<'a> Query<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        let name = name.to_owned();
        self.pairs
            .iter()
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }

    fn one(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn on(&self, name: &str) -> bool {
        self.one(name) == Some("true")
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.one(name).and_then(|value| value.parse().ok())
    }
}
