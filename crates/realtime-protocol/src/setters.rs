//! One style for options: reading by their public members, and a setter for each of them.

/// Gives options a setter for each of these members, by its name.
macro_rules! setters {
    ($options:ident { $($member:ident: $type:ty),* $(,)? }) => {
        impl $options {
            $(
                #[doc = concat!("Replaces [`", stringify!($member), "`](field@Self::", stringify!($member), ").")]
                #[must_use]
                pub fn $member(mut self, $member: $type) -> Self {
                    self.$member = $member;
                    self
                }
            )*
        }
    };
}

pub(crate) use setters;
