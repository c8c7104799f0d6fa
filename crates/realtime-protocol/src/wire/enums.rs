//! The macros that declare wire enums: structs told apart by `type`, open sets of words, and values of two
//! shapes.

/// Declares an enum of wire structs told apart by their `type` member, with `Unknown` for all others.
macro_rules! wire_enum {
    ($(#[doc = $doc:literal])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident($ty:ident) = $kind:literal),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("\n\nWire: `", $kind, "`.")] $variant($ty),)*
            /// A `type` this version does not know, or one whose members do not fit: kept as it came.
            Unknown($crate::field::RawJson),
        }

        impl $name {
            /// The `type` on the wire; empty if it had none.
            pub fn kind(&self) -> alloc::borrow::Cow<'_, str> {
                match self {
                    $(Self::$variant(_) => $kind.into(),)*
                    Self::Unknown(raw) => $crate::wire::kind_of(raw.get()).unwrap_or_default().into(),
                }
            }
        }

        impl Default for $name {
            /// `null`: a placeholder to be replaced.
            fn default() -> Self {
                Self::Unknown($crate::field::RawJson::default())
            }
        }

        $(impl From<$ty> for $name {
            fn from(value: $ty) -> Self {
                Self::$variant(value)
            }
        })*

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                match self {
                    $(Self::$variant(value) => {
                        let mut map = serializer.serialize_map(None)?;
                        map.serialize_entry("type", $kind)?;
                        $crate::wire::WireStruct::write_members(value, &mut map)?;
                        map.end()
                    })*
                    Self::Unknown(raw) => raw.serialize(serializer),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = alloc::boxed::Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
                Ok(Self::read(raw))
            }
        }

        impl $name {
            fn read(raw: alloc::boxed::Box<serde_json::value::RawValue>) -> Self {
                let kind = $crate::event::scan::peek_kind(raw.get());
                match kind.as_deref() {
                    $(Some($kind) => <$ty as $crate::wire::Wire>::from_raw(&raw)
                        .map_or_else(|_| Self::Unknown(raw.into()), Self::$variant),)*
                    _ => Self::Unknown(raw.into()),
                }
            }
        }

        impl $crate::wire::Wire for $name {
            fn from_raw(raw: &serde_json::value::RawValue) -> Result<Self, $crate::wire::Mismatch> {
                Ok(Self::read(alloc::borrow::ToOwned::to_owned(raw)))
            }

            fn mismatches(&self, path: &$crate::wire::Path<'_>, found: &mut $crate::wire::Mismatches) {
                match self {
                    $(Self::$variant(value) => value.mismatches(path, found),)*
                    Self::Unknown(raw) => match self.kind().as_ref() {
                        $($kind => found.note(|| $crate::wire::unfit::<$ty>(path, raw)),)*
                        _ => $crate::wire::raw_mismatch(raw, path, found),
                    },
                }
            }

            fn unknown_members(&self, path: &$crate::wire::Path<'_>, found: &mut alloc::vec::Vec<alloc::string::String>) {
                match self {
                    $(Self::$variant(value) => value.unknown_members(path, found),)*
                    Self::Unknown(_) => {}
                }
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::tagged(concat!($($doc, "\n",)*), alloc::vec![
                    $(($kind, <$ty as schemars::JsonSchema>::json_schema(generator)),)*
                ])
            }
        }
    };
}
pub(crate) use wire_enum;

/// Declares an enum of strings that keeps strings it does not know.
macro_rules! open_enum {
    ($($(#[doc = $doc:literal])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $text:literal),* $(,)?
    })+) => { $(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("Wire: `", $text, "`.")] $variant,)*
            /// A string this version does not know.
            Other(alloc::boxed::Box<str>),
        }

        impl $name {
            /// The string on the wire.
            pub const fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }
        }

        impl From<&str> for $crate::field::Field<$name> {
            fn from(text: &str) -> Self {
                Self::Value(text.into())
            }
        }

        impl Default for $name {
            /// The first one listed.
            fn default() -> Self {
                $crate::wire::first([$(Self::$variant,)*])
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok(text.into())
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl $crate::wire::Wire for $name {}

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::words(concat!($($doc, "\n",)*), &[$($text),*])
            }
        }
    )+ };
}
pub(crate) use open_enum;

/// Implements reading and writing for an enum whose variants differ in JSON's shape: each gives the character
/// that its text begins with.
macro_rules! by_shape {
    ($name:ident, $($variant:ident($ty:ty) = $first:literal),+) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(value) => value.serialize(serializer),)+
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = alloc::boxed::Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
                <Self as $crate::wire::Wire>::from_raw(&raw)
                    .map_err(|mismatch| serde::de::Error::custom(mismatch.reason))
            }
        }

        impl $crate::wire::Wire for $name {
            fn from_raw(raw: &serde_json::value::RawValue) -> Result<Self, $crate::wire::Mismatch> {
                match raw.get().as_bytes().first() {
                    $(Some($first) => <$ty as $crate::wire::Wire>::from_raw(raw).map(Self::$variant),)+
                    _ => Err($crate::wire::wrong_shape(&[$($first),+], raw)),
                }
            }

            fn mismatches(
                &self,
                path: &$crate::wire::Path<'_>,
                found: &mut $crate::wire::Mismatches,
            ) {
                match self {
                    $(Self::$variant(value) => $crate::wire::Wire::mismatches(value, path, found),)+
                }
            }

            fn unknown_members(
                &self,
                path: &$crate::wire::Path<'_>,
                found: &mut alloc::vec::Vec<alloc::string::String>,
            ) {
                match self {
                    $(Self::$variant(value) => $crate::wire::Wire::unknown_members(value, path, found),)+
                }
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::any_of(alloc::vec![$(generator.subschema_for::<$ty>()),+])
            }
        }

        $(impl From<$ty> for $name {
            fn from(value: $ty) -> Self {
                Self::$variant(value)
            }
        })+
    };
}
pub(crate) use by_shape;
