//! The entries of one message.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::log::Entry;

/// A list of entries in order. One alone, which most messages carry, takes no memory of its own.
///
/// It is written and read by serde like a `Vec<Entry>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries(List);

#[derive(Clone, Debug, PartialEq, Eq)]
enum List {
    One(Entry),
    /// None, or several.
    Many(Vec<Entry>),
}

impl Entries {
    /// Returns the first `count` of a list of entries, or fewer if it has no more.
    pub(super) fn first<'a>(count: usize, mut entries: impl Iterator<Item = &'a Entry>) -> Entries {
        match (count, entries.next()) {
            (0, _) | (_, None) => Entries::from(Vec::new()),
            (1, Some(entry)) => Entries(List::One(entry.clone())),
            (_, Some(first)) => {
                let mut list = Vec::with_capacity(count);
                list.push(first.clone());
                list.extend(entries.take(count - 1).cloned());
                Entries::from(list)
            }
        }
    }

    /// Returns the entries.
    pub fn as_slice(&self) -> &[Entry] {
        match &self.0 {
            List::One(entry) => std::slice::from_ref(entry),
            List::Many(entries) => entries,
        }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(mut entries: Vec<Entry>) -> Entries {
        match entries.pop() {
            Some(entry) if entries.is_empty() => Entries(List::One(entry)),
            last => {
                entries.extend(last);
                Entries(List::Many(entries))
            }
        }
    }
}

impl IntoIterator for Entries {
    type Item = Entry;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Entry>, std::vec::IntoIter<Entry>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self.0 {
            List::One(entry) => (Some(entry), Vec::new()),
            List::Many(entries) => (None, entries),
        };
        one.into_iter().chain(many)
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries, D::Error> {
        Vec::deserialize(deserializer).map(Entries::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_entries_is_written_like_a_list_and_read_back() {
        let entry = |term| Entry {
            term,
            request: None,
        };
        let log: Vec<Entry> = (1..=5).map(entry).collect();
        for count in 0..=6 {
            let list: Vec<Entry> = log.iter().take(count).cloned().collect();
            let entries = Entries::first(count, log.iter());
            assert_eq!(entries, Entries::from(list.clone()));
            assert_eq!(entries.as_slice(), list);
            let bytes = postcard::to_stdvec(&entries).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(&list).unwrap());
            assert_eq!(postcard::from_bytes::<Entries>(&bytes).unwrap(), entries);
            assert_eq!(entries.into_iter().collect::<Vec<_>>(), list);
        }
    }
}
