//! The keys of a table of a topology file, and what is wrong with their values.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::BadTopology;
use crate::model_file::line_of;

/// The longest part of a value that a sentence repeats, in characters.
const LONGEST_SHOWN: usize = 40;

/// A value and where it is in the file.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// A table of which all keys are known ones.
pub(super) struct Keys<'f, 't> {
    text: &'f str,
    /// The table's name, as keys are named in sentences.
    table: &'static str,
    keys: &'f DeTable<'t>,
    at: usize,
}

/// A key, and what its values are.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Completes the sentence that begins with the key.
    pub(super) range: &'static str,
    /// Completes a sentence about a value that is not in the range; may be empty.
    pub(super) why: &'static str,
}

/// What is wrong at a byte of the text.
pub(super) fn bad_at(text: &str, at: usize, sentence: String) -> BadTopology {
    BadTopology {
        line: Some(line_of(text, at)),
        sentence,
    }
}

/// The value as the file has it: its first line, and not all of a long one.
pub(super) fn shown(text: &str, value: &Value<'_>) -> String {
    match value.as_ref() {
        DeValue::Table(_) => return "a table".into(),
        // Its tables may be all over the file.
        DeValue::Array(items) if items.iter().any(|item| item.as_ref().is_table()) => {
            return "a list of tables".into();
        }
        _ => {}
    }
    let written = text.get(value.span()).unwrap_or_default();
    let line = written.lines().next().unwrap_or_default();
    let start: String = line.chars().take(LONGEST_SHOWN).collect();
    if start.len() == written.len() {
        start
    } else {
        format!("{start}...")
    }
}

impl<'f, 't> Keys<'f, 't> {
    /// The keys of a table that is called so, and begins at this byte.
    pub(super) fn new(
        text: &'f str,
        table: &'static str,
        keys: &'f DeTable<'t>,
        at: usize,
        known: &[Key],
    ) -> Result<Self, BadTopology> {
        let names: Vec<_> = known.iter().map(|key| key.name).collect();
        let unknown = keys
            .keys()
            .filter(|key| !names.contains(&key.as_ref().as_ref()));
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let name: &str = key.as_ref();
            let name: String = name.chars().take(LONGEST_SHOWN).collect();
            let names = names.join(", ");
            let place = match table {
                "" => "a topology file".into(),
                table => format!("the table {table}"),
            };
            let sentence = format!("unknown key {name:?}: {place} has {names}");
            return Err(bad_at(text, key.span().start, sentence));
        }
        Ok(Self {
            text,
            table,
            keys,
            at,
        })
    }

    /// The value of a key that may be left out.
    pub(super) fn optional(&self, key: Key) -> Option<&'f Value<'t>> {
        self.keys.get(key.name)
    }

    /// The value of a key that may not be left out.
    pub(super) fn required(&self, key: Key) -> Result<&'f Value<'t>, BadTopology> {
        self.optional(key).ok_or_else(|| {
            let (name, range) = (self.name(key), key.range);
            let sentence = format!("{name} is missing: it is {range}");
            bad_at(self.text, self.at, sentence)
        })
    }

    /// The name of the key with that of its table.
    fn name(&self, key: Key) -> String {
        match self.table {
            "" => key.name.into(),
            table => format!("{table}.{}", key.name),
        }
    }

    /// What is wrong at a value.
    pub(super) fn bad(&self, value: &Value<'_>, sentence: String) -> BadTopology {
        bad_at(self.text, value.span().start, sentence)
    }

    /// That the key has no value that is described so.
    pub(super) fn wrong_with(&self, key: Key, value: &Value<'_>, found: &str) -> BadTopology {
        let (name, range) = (self.name(key), key.range);
        self.bad(value, format!("{name} is {range}, not {found}"))
    }

    /// That the key has no such value, and `why`.
    pub(super) fn wrong_because(&self, key: Key, value: &Value<'_>, why: &str) -> BadTopology {
        let shown = shown(self.text, value);
        self.wrong_with(key, value, &format!("{shown}{why}"))
    }

    /// That the key has no such value.
    pub(super) fn wrong(&self, key: Key, value: &Value<'_>) -> BadTopology {
        self.wrong_because(key, value, key.why)
    }

    /// A whole number that `legal` makes something of.
    pub(super) fn number<T>(
        &self,
        key: Key,
        value: &Value<'_>,
        legal: impl FnOnce(u8) -> Option<T>,
    ) -> Result<T, BadTopology> {
        let integer = value.as_ref().as_integer();
        let number = integer.and_then(|integer| {
            let digits = integer.as_str();
            u8::from_str_radix(digits, integer.radix()).ok()
        });
        let found = number.and_then(legal);
        found.ok_or_else(|| self.wrong(key, value))
    }

    /// A string that `legal` makes something of.
    pub(super) fn string<T>(
        &self,
        key: Key,
        value: &Value<'_>,
        legal: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, BadTopology> {
        let found = value.as_ref().as_str().and_then(legal);
        found.ok_or_else(|| self.wrong(key, value))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, key: Key, value: &Value<'_>) -> Result<bool, BadTopology> {
        let found = value.as_ref().as_bool();
        found.ok_or_else(|| self.wrong(key, value))
    }

    /// The keys of the table that is the value of a key.
    pub(super) fn table(&self, key: Key, known: &[Key]) -> Result<Self, BadTopology> {
        let value = self.required(key)?;
        let table = value.as_ref().as_table();
        let table = table.ok_or_else(|| self.wrong(key, value))?;
        Self::new(self.text, key.name, table, value.span().start, known)
    }

    /// The keys of each table that the value of a key lists.
    pub(super) fn tables(&self, key: Key, known: &[Key]) -> Result<Vec<Self>, BadTopology> {
        let value = self.required(key)?;
        let list = value.as_ref().as_array();
        let list = list.ok_or_else(|| self.wrong(key, value))?;
        list.iter()
            .map(|item| {
                let table = item.as_ref().as_table();
                let table = table.ok_or_else(|| self.wrong(key, item))?;
                Self::new(self.text, key.name, table, item.span().start, known)
            })
            .collect()
    }

    /// The line of a value.
    pub(super) fn line(&self, value: &Value<'_>) -> usize {
        line_of(self.text, value.span().start)
    }
}
