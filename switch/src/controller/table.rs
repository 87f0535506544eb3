//! A map of the durable state that knows which of its entries may differ from what was last saved.
//!
//! So a save costs what has changed and not what there is: with thousands of ports, comparing them all took longer than
//! anything else that adding one does.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Read as the map that it holds; whatever may change an entry notes its key.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    entries: BTreeMap<K, V>,
    touched: BTreeSet<K>,
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// Puts an entry in, in the place of the one that had the key.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.touched.insert(key.clone());
        self.entries.insert(key, value)
    }

    /// Takes an entry out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let removed = self.entries.remove_entry(key);
        removed.map(|(key, value)| {
            self.touched.insert(key);
            value
        })
    }

    /// An entry that is going to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (own, _) = self.entries.get_key_value(key)?;
        if !self.touched.contains(key) {
            self.touched.insert(own.clone());
        }
        self.entries.get_mut(key)
    }

    /// All entries, one by one; they count as changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.touched.extend(self.entries.keys().cloned());
        self.entries.values_mut()
    }

    /// The keys of what may have been put in, taken out or changed since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.touched)
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self::from(BTreeMap::new())
    }
}

impl<K, V> From<BTreeMap<K, V>> for Table<K, V> {
    fn from(entries: BTreeMap<K, V>) -> Self {
        Self { entries, touched: BTreeSet::new() }
    }
}

impl<'a, K, V> IntoIterator for &'a Table<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = std::collections::btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

/// What was touched is no matter: the same entries make the same table.
impl<K: PartialEq, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Serialize, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_change_an_entry_is_noted_once() {
        let mut table = Table::from(BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]));
        assert!(table.take_touched().is_empty(), "what it was made of is not news");
        table.insert(4, 'd');
        table.remove(&1);
        table.remove(&9);
        *table.get_mut(&2).expect("it is there") = 'B';
        assert_eq!(table.get_mut(&9), None);
        assert_eq!(table.take_touched(), BTreeSet::from([1, 2, 4]));
        assert!(table.take_touched().is_empty());
        table.values_mut().for_each(|value| *value = 'x');
        assert_eq!(table.take_touched(), BTreeSet::from([2, 3, 4]));
    }
}
