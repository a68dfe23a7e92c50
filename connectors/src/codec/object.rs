//! One message as a JSON object that omits its absent fields.
//!
//! The structs of `wire` write every field, absent ones as `null`, since bincode has no other way.
//! This serializer takes one struct apart and leaves the absent fields of its outermost level out;
//! what lies deeper (`next`, `next_tier`) is written by `serde_json` as it is.

use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeStruct, Serializer};
use serde_json::Error;

/// Appends `message`, behind `at` and `kind` where given.
///
/// # Panics
/// If `message` is no struct, or holds a map whose keys are not text: the wire has none.
pub(super) fn write<T: Serialize>(
    out: &mut Vec<u8>,
    at: Option<&str>,
    kind: Option<&str>,
    message: &T,
) {
    let mut fields = Fields { out, empty: true };
    let written = fields
        .serialize_field("at", &at)
        .and_then(|()| fields.serialize_field("kind", &kind))
        .and_then(|()| message.serialize(fields));
    written.expect("a message of the wire is a struct of texts, numbers, lists and maps");
}

/// The fields of one object, as far as they are written.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T>(&mut self, key: &'static str, value: &T) -> Result<(), Error>
    where
        T: ?Sized + Serialize,
    {
        let before = self.out.len();
        self.out.extend_from_slice(if self.empty { b"{\"" } else { b",\"" });
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        let start = self.out.len();
        serde_json::to_writer(&mut *self.out, value)?;
        if &self.out[start..] == b"null" {
            self.out.truncate(before);
        } else {
            self.empty = false;
        }
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        self.out.extend_from_slice(if self.empty { b"{}" } else { b"}" });
        Ok(())
    }
}

/// Methods that refuse whatever is not a struct.
macro_rules! refuse {
    ($($name:ident($($kind:ty),*);)*) => {
        $(fn $name(self, $(_: $kind),*) -> Result<(), Error> {
            Err(Error::custom("not a struct"))
        })*
    };
}

impl<'a> Serializer for Fields<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Error> {
        Ok(self)
    }

    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<(), Error> {
        Err(Error::custom("not a struct"))
    }

    fn serialize_newtype_struct<T>(self, _: &'static str, _: &T) -> Result<(), Error>
    where
        T: ?Sized + Serialize,
    {
        Err(Error::custom("not a struct"))
    }

    fn serialize_newtype_variant<T>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error>
    where
        T: ?Sized + Serialize,
    {
        Err(Error::custom("not a struct"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Err(Error::custom("not a struct"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(Error::custom("not a struct"))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(Error::custom("not a struct"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(Error::custom("not a struct"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(Error::custom("not a struct"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(Error::custom("not a struct"))
    }
}
