//! Damage to JSON, the same for the same seed: other types, other values, missing and doubled parts, broken text.

use serde_json::{Value, json};

/// Longer than anything a vendor sends in one field.
const LONG: usize = 20_000;

/// Deeper than any parser needs to go.
const DEEP: usize = 5_000;

/// A source of damage.
#[derive(Debug)]
pub(crate) struct Mutator {
    chance: Chance,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
        }
    }

    /// The document with one to three things wrong, as text that may be no JSON any more.
    pub(crate) fn damage(&mut self, document: &Value) -> String {
        let mut damaged = document.clone();
        for _ in 0..=self.chance.below(3) {
            let parts = count(&damaged);
            let mut target = self.chance.below(parts);
            let wound = self.chance.below(12);
            self.wound(&mut damaged, &mut target, wound);
        }
        let text = damaged.to_string();
        match self.chance.below(8) {
            0 => self.broken(&text),
            _ => text,
        }
    }

    /// Walks to the part with this number and hurts it.
    fn wound(&mut self, part: &mut Value, target: &mut usize, wound: usize) {
        if *target == 0 {
            let whole = part.take();
            *part = self.hurt(whole, wound);
            *target = usize::MAX;
            return;
        }
        *target -= 1;
        let inner: Vec<&mut Value> = match part {
            Value::Object(fields) => fields.values_mut().collect(),
            Value::Array(items) => items.iter_mut().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for part in inner {
            if *target != usize::MAX {
                self.wound(part, target, wound);
            }
        }
    }

    fn hurt(&mut self, part: Value, wound: usize) -> Value {
        match wound {
            0 => Value::Null,
            1 => json!(-1),
            2 => json!(1.5e300),
            3 => json!(u64::MAX),
            4 => json!(""),
            5 => json!("x".repeat(LONG)),
            6 => json!("\u{0}\u{202e}\u{feff}'\"\\<script>{}%s\u{1f9a9}"),
            7 => json!([part]),
            8 => json!({ "event": part }),
            9 => json!({}),
            10 => json!(true),
            _ => self.without_a_part(part),
        }
    }

    fn without_a_part(&mut self, part: Value) -> Value {
        match part {
            Value::Object(mut fields) => {
                let lost = self.chance.below(fields.len().max(1));
                if let Some(name) = fields.keys().nth(lost).cloned() {
                    fields.remove(&name);
                }
                Value::Object(fields)
            }
            Value::Array(mut items) => {
                items.extend(items.clone());
                Value::Array(items)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => json!([]),
        }
    }

    /// Text that is cut, spliced, nested without end or strange in its escapes.
    fn broken(&mut self, text: &str) -> String {
        let mut at = self.chance.below(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = text.split_at(at);
        match self.chance.below(6) {
            0 => head.to_owned(),
            1 => format!("{head}\u{7f}{tail}"),
            2 => format!("{text}{text}"),
            3 => format!("{{\"event\":{}", "[".repeat(DEEP)),
            4 => format!("{{\"event\":\"\\ud800\",{}", text.trim_start_matches('{')),
            _ => format!("{{\"data\":1e999,{}", text.trim_start_matches('{')),
        }
    }
}

/// How many parts a document has, itself included.
fn count(part: &Value) -> usize {
    match part {
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Numbers that look random and are the same for the same seed.
#[derive(Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number below the limit, by the `SplitMix64` generator.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit.max(1) as u64).unwrap_or(0)
    }
}
