//! The macro that declares wire structs: plain data, and how it reads and writes itself.

/// A member's name on the wire: the field's own name, or the literal after `as`.
macro_rules! wire_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $wire:literal) => {
        $wire
    };
}
pub(crate) use wire_name;

/// Declares wire structs: fields in the reference's order, `Field<T>` if the member may be missing, and `as
/// "name"` if the wire's name is not a Rust name. `tagged` marks a struct whose `type` is written by the enum
/// around it.
macro_rules! wire_struct {
    ($($(#[doc = $doc:literal])* pub $(($tagged:ident))? struct $name:ident {
        $($(#[doc = $field_doc:literal])* $field:ident $(as $wire:literal)? : $ty:ty),* $(,)?
    })+) => { $(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])*
                #[doc = concat!("\n\nWire: `", $crate::wire::wire_name!($field $($wire)?), "`.")]
                pub $field: $ty,
            )*
            /// Members without a field here, and members whose value did not fit.
            pub extra: $crate::field::Extra,
        }

        impl $name {
            const TAGGED: bool = false $(|| $crate::wire::is_tagged(stringify!($tagged)))?;

            $(
                #[doc = concat!("Sets `", $crate::wire::wire_name!($field $($wire)?), "`.")]
                #[must_use]
                pub fn $field(mut self, value: impl Into<$ty>) -> Self {
                    self.$field = value.into();
                    self
                }
            )*

            /// Reads the struct so that a member of a wrong shape costs that member.
            fn by_members(
                raw: &serde_json::value::RawValue,
            ) -> Result<Self, $crate::wire::Mismatch> {
                let members = $crate::wire::Members::of(raw)?;
                $(let mut $field = $crate::wire::Slot::<$ty>::EMPTY;)*
                let mut extra = $crate::field::Extra::default();
                for (key, value) in members.0 {
                    $(
                        if key == $crate::wire::wire_name!($field $($wire)?) {
                            $field.read(value);
                            continue;
                        }
                    )*
                    if !(Self::TAGGED && key == "type") {
                        extra.push(&key, value.into());
                    }
                }
                Ok(Self {
                    $($field: $field.settle($crate::wire::wire_name!($field $($wire)?), &mut extra)?,)*
                    extra,
                })
            }
        }

        impl $crate::wire::WireStruct for $name {
            fn write_members<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(
                    if !$crate::wire::Wire::is_absent(&self.$field)
                        && !$crate::wire::is_text_of(
                            &self.extra, $crate::wire::wire_name!($field $($wire)?), &self.$field)
                    {
                        map.serialize_entry($crate::wire::wire_name!($field $($wire)?), &self.$field)?;
                    }
                )*
                for (name, value) in self.extra.iter() {
                    $(
                        if name == $crate::wire::wire_name!($field $($wire)?)
                            && !$crate::wire::Wire::is_absent(&self.$field)
                            && !$crate::wire::is_text_of(&self.extra, name, &self.$field)
                        {
                            continue; // set since it was read
                        }
                    )*
                    map.serialize_entry(name, value)?;
                }
                Ok(())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $crate::wire::WireStruct::write_members(self, &mut map)?;
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $name;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        $(let mut $field: Option<$ty> = None;)*
                        let mut extra = $crate::field::Extra::default();
                        while let Some(key) = map.next_key::<$crate::wire::Key<'de>>()? {
                            let key = key.as_str();
                            $(
                                if key == $crate::wire::wire_name!($field $($wire)?) {
                                    $field = Some(map.next_value()?);
                                    continue;
                                }
                            )*
                            if $name::TAGGED && key == "type" {
                                map.next_value::<serde::de::IgnoredAny>()?;
                                continue;
                            }
                            extra.push(key, map.next_value()?);
                        }
                        Ok($name {
                            $($field: match $field {
                                Some(value) => value,
                                None => <$ty as $crate::wire::Wire>::absent().ok_or_else(|| {
                                    <A::Error as serde::de::Error>::missing_field(
                                        $crate::wire::wire_name!($field $($wire)?))
                                })?,
                            },)*
                            extra,
                        })
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }

        impl $crate::wire::Wire for $name {
            fn from_raw(raw: &serde_json::value::RawValue) -> Result<Self, $crate::wire::Mismatch> {
                if let Ok(value) = serde_json::from_str(raw.get()) {
                    return Ok(value);
                }
                $crate::wire::read_leniently(raw, Self::by_members, |value| &mut value.extra)
            }

            fn mismatches(&self, path: &$crate::wire::Path<'_>, found: &mut $crate::wire::Mismatches) {
                if self.extra.is_noteworthy() {
                    const KNOWN: &[$crate::wire::Known] =
                        &[$(($crate::wire::wire_name!($field $($wire)?), $crate::wire::unfit::<$ty>)),*];
                    $crate::wire::kept_mismatches(&self.extra, KNOWN, path, found);
                }
                $($crate::wire::Wire::mismatches(&self.$field, &path.member($crate::wire::wire_name!($field $($wire)?)), found);)*
            }

            fn unknown_members(&self, path: &$crate::wire::Path<'_>, found: &mut alloc::vec::Vec<alloc::string::String>) {
                for (name, _) in self.extra.iter() {
                    if ![$($crate::wire::wire_name!($field $($wire)?)),*].contains(&name) {
                        found.push(alloc::string::ToString::to_string(&path.member(name)));
                    }
                }
                $($crate::wire::Wire::unknown_members(&self.$field, &path.member($crate::wire::wire_name!($field $($wire)?)), found);)*
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let _ = &generator; // unused if the struct has no members
                $crate::schema::object(concat!($($doc, "\n",)*), alloc::vec![
                    $($crate::schema::Member {
                        name: $crate::wire::wire_name!($field $($wire)?),
                        description: concat!($($field_doc, "\n",)*),
                        required: <$ty as $crate::wire::Wire>::absent().is_none(),
                        schema: generator.subschema_for::<$ty>(),
                    },)*
                ])
            }
        }
    )+ };
}
pub(crate) use wire_struct;
