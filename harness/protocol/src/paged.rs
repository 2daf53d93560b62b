//! A map for keys that are mostly small numbers: an array in pages, iterated in order.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Keys on one page.
const PAGE: usize = 32;

/// Keys from here on stand in a tree: an array would be mostly empty.
const PAGED_KEYS: u64 = 1 << 22;

/// A map from numbers to values, in ascending order of the numbers.
///
/// Keys below 2^22 cost one look at a page table and one at a page; the table grows to the
/// largest such key used, 8 bytes for every 32 keys. Larger keys cost what a tree costs. It is
/// written and read by serde like a `BTreeMap<u64, V>`.
#[derive(Clone)]
pub struct PagedMap<V> {
    pages: Vec<Option<Box<[Option<V>; PAGE]>>>,
    beyond: BTreeMap<u64, V>,
    count: usize,
}

impl<V> Default for PagedMap<V> {
    fn default() -> PagedMap<V> {
        PagedMap {
            pages: Vec::new(),
            beyond: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<V> PagedMap<V> {
    /// Returns the value at a key.
    pub fn get(&self, key: u64) -> Option<&V> {
        if key >= PAGED_KEYS {
            return self.beyond.get(&key);
        }
        let (page, place) = split(key);
        self.pages.get(page)?.as_ref()?[place].as_ref()
    }

    /// Returns the value at a key, to be changed.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        if key >= PAGED_KEYS {
            return self.beyond.get_mut(&key);
        }
        let (page, place) = split(key);
        self.pages.get_mut(page)?.as_mut()?[place].as_mut()
    }

    /// Puts a value at a key, and returns what was there.
    pub fn insert(&mut self, key: u64, value: V) -> Option<V> {
        let before = if key >= PAGED_KEYS {
            self.beyond.insert(key, value)
        } else {
            self.slot(key).replace(value)
        };
        self.count += usize::from(before.is_none());
        before
    }

    /// Returns the value at a key, which is made if there is none.
    pub fn get_or_default(&mut self, key: u64) -> &mut V
    where
        V: Default,
    {
        if key >= PAGED_KEYS {
            self.count += usize::from(!self.beyond.contains_key(&key));
            return self.beyond.entry(key).or_default();
        }
        let is_new = self.get(key).is_none();
        self.count += usize::from(is_new);
        self.slot(key).get_or_insert_default()
    }

    /// Returns how many keys have a value.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Says whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns all keys with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        let pages = self.pages.iter().enumerate();
        let paged = pages.flat_map(|(number, page)| {
            let slots = page.iter().flat_map(|page| page.iter().enumerate());
            slots.filter_map(move |(place, slot)| {
                let key = (number * PAGE + place) as u64;
                slot.as_ref().map(|value| (key, value))
            })
        });
        paged.chain(self.beyond.iter().map(|(&key, value)| (key, value)))
    }

    /// Returns all values in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let pages = self.pages.iter_mut().flatten();
        let paged = pages.flat_map(|page| page.iter_mut().flatten());
        paged.chain(self.beyond.values_mut())
    }

    fn slot(&mut self, key: u64) -> &mut Option<V> {
        let (page, place) = split(key);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new([const { None }; PAGE]));
        &mut page[place]
    }
}

fn split(key: u64) -> (usize, usize) {
    let key = key as usize;
    (key / PAGE, key % PAGE)
}

impl<V: PartialEq> PartialEq for PagedMap<V> {
    fn eq(&self, other: &PagedMap<V>) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for PagedMap<V> {}

impl<V: fmt::Debug> fmt::Debug for PagedMap<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<V: Serialize> Serialize for PagedMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(self.count))?;
        for (key, value) in self.iter() {
            map.serialize_entry(&key, value)?;
        }
        map.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for PagedMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PagedMap<V>, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
    type Value = PagedMap<V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map from numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<PagedMap<V>, A::Error> {
        let mut map = PagedMap::default();
        while let Some((key, value)) = access.next_entry()? {
            map.insert(key, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [u64; 9] = [
        0,
        31,
        32,
        5,
        70_000,
        PAGED_KEYS - 1,
        PAGED_KEYS,
        7,
        u64::MAX,
    ];

    fn filled() -> (PagedMap<String>, BTreeMap<u64, String>) {
        let (mut paged, mut tree) = (PagedMap::default(), BTreeMap::new());
        for key in KEYS {
            assert_eq!(paged.insert(key, key.to_string()), None);
            tree.insert(key, key.to_string());
        }
        (paged, tree)
    }

    #[test]
    fn it_holds_and_iterates_what_a_tree_would() {
        let (mut paged, mut tree) = filled();
        for key in [5, u64::MAX, 8] {
            let value = "again".to_owned();
            assert_eq!(paged.insert(key, value.clone()), tree.insert(key, value));
        }
        paged.get_or_default(32).push('!');
        tree.entry(32).or_default().push('!');
        paged.get_or_default(PAGED_KEYS + 9).push('?');
        tree.entry(PAGED_KEYS + 9).or_default().push('?');
        let expected: Vec<(u64, &String)> = tree.iter().map(|(&key, value)| (key, value)).collect();
        assert_eq!(paged.iter().collect::<Vec<_>>(), expected);
        assert_eq!(paged.len(), tree.len());
        assert_eq!(paged.get(6), None);
        assert_eq!(paged.get_mut(1 << 40), None);
    }

    #[test]
    fn it_is_written_like_a_tree_and_read_back() {
        let (paged, tree) = filled();
        let bytes = postcard::to_stdvec(&paged).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&tree).unwrap());
        assert_eq!(
            postcard::from_bytes::<PagedMap<String>>(&bytes).unwrap(),
            paged
        );
    }
}
