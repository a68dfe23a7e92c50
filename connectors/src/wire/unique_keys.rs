//! Maps in which no key may occur twice: of two values nobody could say which one counts.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads an optional map in which no key may occur twice.
pub(super) fn unique_keys<'de, D>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, i64>>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<UniqueKeys>::deserialize(deserializer)?.map(|keys| keys.0))
}

/// A map that refuses a second value for the same key.
struct UniqueKeys(BTreeMap<String, i64>);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueKeysVisitor)
    }
}

/// Builds a [`UniqueKeys`].
struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
        let mut keys = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, i64>()? {
            if keys.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            keys.insert(key, value);
        }
        Ok(UniqueKeys(keys))
    }
}
