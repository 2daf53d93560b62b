//! How many bytes a message takes on the wire, without writing it.
//!
//! The live transport writes postcard (its specification: postcard.jamesmunns.com). Counting by
//! postcard itself writes every number into a buffer first; this adds up their lengths.

use std::fmt;

use serde::{Serialize, ser};

/// Returns the length of a value's postcard form; `None`: it has none.
pub(crate) fn frame_size(value: &impl Serialize) -> Option<usize> {
    let mut size = Size(0);
    value.serialize(&mut size).ok()?;
    Some(size.0)
}

struct Size(usize);

/// Sequences of unknown length have no postcard form.
#[derive(Debug)]
struct NoForm;

impl fmt::Display for NoForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the message has no form in postcard")
    }
}

impl std::error::Error for NoForm {}

impl ser::Error for NoForm {
    fn custom<T: fmt::Display>(_: T) -> NoForm {
        NoForm
    }
}

impl Size {
    fn add(&mut self, bytes: usize) -> Result<(), NoForm> {
        self.0 += bytes;
        Ok(())
    }

    /// Seven bits a byte; zero takes one.
    fn number(&mut self, number: u64) -> Result<(), NoForm> {
        let bits = 64 - (number | 1).leading_zeros() as usize;
        self.add(bits.div_ceil(7))
    }

    fn signed(&mut self, number: i64) -> Result<(), NoForm> {
        self.number(((number << 1) ^ (number >> 63)) as u64)
    }

    fn length(&mut self, length: Option<usize>) -> Result<(), NoForm> {
        self.number(length.ok_or(NoForm)? as u64)
    }
}

impl ser::Serializer for &mut Size {
    type Ok = ();
    type Error = NoForm;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, _: bool) -> Result<(), NoForm> {
        self.add(1)
    }

    fn serialize_i8(self, _: i8) -> Result<(), NoForm> {
        self.add(1)
    }

    fn serialize_i16(self, number: i16) -> Result<(), NoForm> {
        self.signed(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<(), NoForm> {
        self.signed(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<(), NoForm> {
        self.signed(number)
    }

    fn serialize_u8(self, _: u8) -> Result<(), NoForm> {
        self.add(1)
    }

    fn serialize_u16(self, number: u16) -> Result<(), NoForm> {
        self.number(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<(), NoForm> {
        self.number(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<(), NoForm> {
        self.number(number)
    }

    fn serialize_f32(self, _: f32) -> Result<(), NoForm> {
        self.add(4)
    }

    fn serialize_f64(self, _: f64) -> Result<(), NoForm> {
        self.add(8)
    }

    fn serialize_char(self, character: char) -> Result<(), NoForm> {
        self.add(1 + character.len_utf8())
    }

    fn serialize_str(self, text: &str) -> Result<(), NoForm> {
        self.serialize_bytes(text.as_bytes())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), NoForm> {
        self.number(bytes.len() as u64)?;
        self.add(bytes.len())
    }

    fn serialize_none(self) -> Result<(), NoForm> {
        self.add(1)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), NoForm> {
        self.add(1)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NoForm> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NoForm> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), NoForm> {
        self.number(index.into())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NoForm> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), NoForm> {
        self.number(index.into())?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, NoForm> {
        self.length(length)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, NoForm> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, NoForm> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NoForm> {
        self.number(index.into())?;
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, NoForm> {
        self.length(length)?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NoForm> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NoForm> {
        self.number(index.into())?;
        Ok(self)
    }
}

/// Parts add nothing of their own to what they hold.
macro_rules! parts {
    ($($form:ident: $part:ident $(($($name:ty),*))?;)*) => {$(
        impl ser::$form for &mut Size {
            type Ok = ();
            type Error = NoForm;

            fn $part<T: ?Sized + Serialize>(
                &mut self,
                $($(_: $name,)*)?
                value: &T,
            ) -> Result<(), NoForm> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), NoForm> {
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
    SerializeStruct: serialize_field(&'static str);
    SerializeStructVariant: serialize_field(&'static str);
}

impl ser::SerializeMap for &mut Size {
    type Ok = ();
    type Error = NoForm;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), NoForm> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), NoForm> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), NoForm> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    enum Shape {
        Nothing,
        One(Option<u64>),
        Pair(i64, char),
        Named {
            text: &'static str,
            shares: [f64; 2],
            small: (u8, i8, bool),
        },
    }

    #[derive(Serialize)]
    struct Unit;

    fn check(value: &impl Serialize) {
        let written = postcard::to_stdvec(value).unwrap();
        assert_eq!(frame_size(value), Some(written.len()), "{written:?}");
    }

    #[test]
    fn sizes_are_postcards() {
        for bits in 0..64 {
            for number in [(1u64 << bits) - 1, 1 << bits, u64::MAX >> bits] {
                check(&number);
                check(&(number as i64, (number as i64).wrapping_neg(), number as u32));
                check(&(number as u16, number as i16, number as i32));
                check(&Shape::One(Some(number)));
                check(&Shape::Pair(number as i64, '\u{e9}'));
            }
        }
        check(&vec![Shape::Nothing, Shape::One(None)]);
        check(&Shape::Named {
            text: "a text",
            shares: [0.5, 1e300],
            small: (200, -100, true),
        });
        check(&(
            Unit,
            (),
            1.5f32,
            BTreeMap::from([(1u64, "x"), (1 << 40, "yz")]),
        ));
        check(&bytes::Bytes::from(vec![7; 300]));
    }
}
