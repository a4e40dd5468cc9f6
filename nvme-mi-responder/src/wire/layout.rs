//! How the types of this module are defined: each field once, with the byte numbers that the
//! standard prints. Documentation, layout and checks are made from that.

/// Where the bytes of a type and of its fields stand.
///
/// Byte numbers are those of the standard: messages count from the message type byte, which is byte
/// 0 and is not a part of the types; data structures count from their own first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The name of the type.
    pub name: &'static str,
    /// The number of its first byte.
    pub first: usize,
    /// Its length in bytes.
    pub length: usize,
    /// Its fields in ascending order, reserved ones included. There are no bytes between them.
    pub fields: &'static [FieldLayout],
}

/// Where a field stands: see [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLayout {
    /// The name of the field.
    pub name: &'static str,
    /// The number of its first byte.
    pub first: usize,
    /// Its length in bytes.
    pub length: usize,
}

/// A type with the layout of the standard.
pub trait Wire {
    /// Where its bytes stand.
    const BYTE_TABLE: Layout;
}

/// The byte number that the standard gives to a field, for a Parameter Error Location (NVMe-MI 1.2,
/// section 4.1.2.2, Figure 29), as a constant of type `u16`.
///
/// ```
/// use nvme_mi_responder::wire::{AdminRequest, GetLogPage, ReadDataStructure, location};
///
/// assert_eq!(location!(AdminRequest, data_length), 32);
/// assert_eq!(location!(ReadDataStructure, data_structure_type), 11);
/// assert_eq!(location!(GetLogPage, log_page_offset), 52);
/// ```
#[macro_export]
macro_rules! location {
    ($type:ty, $field:ident) => {
        const {
            let first = <$type as $crate::wire::Wire>::BYTE_TABLE.first;
            first.wrapping_add(::core::mem::offset_of!($type, $field)) as u16
        }
    };
}

/// Defines the types of one file. Each field has its byte numbers, the last one first as in the
/// standard, then visibility, name and type:
///
/// ```text
/// wire! {
///     /// A structure of 4 bytes that begins at byte 8 (its document, section and figure).
///     pub struct Name: 4 from 8 {
///         /// ABC, its meaning in the words of the standard.
///         9:8 pub field: U16,
///         10 pub other_field: u8,
///         11 pub(crate) reserved_11: u8,
///     }
/// }
/// ```
///
/// Without `from`, a structure begins at byte 0. From this come:
///
/// - the structure, with the derives of zerocopy, `Default` (zeros), and `Copy` unless it has 4096
///   bytes, which nobody should copy unawares;
/// - its byte table, at the end of its documentation;
/// - assertions at compile time that the fields and the whole are where and as long as they say;
/// - its [`Layout`], and for the file `TYPES`, the layouts of all its types, for tests.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident: $length:tt $(from $first:tt)? { $($fields:tt)* }
    )+) => {
        #[cfg(test)]
        pub(crate) const TYPES: &[$crate::wire::Layout] =
            &[$(<$name as $crate::wire::Wire>::BYTE_TABLE),+];

        $($crate::wire::layout::define! {
            $(#[$meta])*
            pub struct $name: $length $(from $first)? { $($fields)* }
        })+
    };
}

/// Defines one type: see [`wire!`].
macro_rules! define {
    ($(#[$meta:meta])* pub struct $name:ident: 4096 { $($fields:tt)* }) => {
        $crate::wire::layout::define! { @ $(#[$meta])* pub struct $name: 4096 from 0 { $($fields)* } }
    };
    ($(#[$meta:meta])* pub struct $name:ident: $length:literal { $($fields:tt)* }) => {
        $crate::wire::layout::define! {
            @ $(#[$meta])* #[derive(Copy)] pub struct $name: $length from 0 { $($fields)* }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident: $length:literal from $first:literal { $($fields:tt)* }) => {
        $crate::wire::layout::define! {
            @ $(#[$meta])* #[derive(Copy)] pub struct $name: $length from $first { $($fields)* }
        }
    };
    (@
        $(#[$meta:meta])*
        pub struct $name:ident: $length:literal from $first:literal {
            $(
                $(#[doc = $doc:literal])*
                $last_byte:literal $(: $first_byte:literal)? $visibility:vis $field:ident: $type:ty
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        ///
        /// | byte | field | |
        /// |-|-|-|
        $(
            #[doc = concat!(
                "| ", stringify!($last_byte), $(":", stringify!($first_byte),)?
                " | `", stringify!($field), "` |", $($doc,)* " |"
            )]
        )*
        #[derive(
            Clone, Debug, PartialEq, Eq,
            ::zerocopy::FromBytes, ::zerocopy::IntoBytes, ::zerocopy::Immutable,
            ::zerocopy::KnownLayout, ::zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            $($(#[doc = $doc])* $visibility $field: $type,)*
        }

        impl $crate::wire::Wire for $name {
            const BYTE_TABLE: $crate::wire::Layout = $crate::wire::Layout {
                name: stringify!($name),
                first: $first,
                length: $length,
                fields: &[$($crate::wire::FieldLayout {
                    name: stringify!($field),
                    first: $crate::wire::layout::first_byte!($last_byte $(: $first_byte)?),
                    length: $last_byte + 1
                        - $crate::wire::layout::first_byte!($last_byte $(: $first_byte)?),
                }),*],
            };
        }

        /// All bytes are zero.
        impl Default for $name {
            fn default() -> Self {
                ::zerocopy::FromZeros::new_zeroed()
            }
        }

        const _: () = {
            assert!(
                size_of::<$name>() == $length,
                concat!("the length of ", stringify!($name))
            );
            $(
                assert!(
                    ::core::mem::offset_of!($name, $field).wrapping_add($first)
                        == $crate::wire::layout::first_byte!($last_byte $(: $first_byte)?),
                    concat!("the first byte of ", stringify!($field))
                );
                assert!(
                    size_of::<$type>()
                        == $last_byte + 1
                            - $crate::wire::layout::first_byte!($last_byte $(: $first_byte)?),
                    concat!("the last byte of ", stringify!($field))
                );
            )*
        };
    };
}

/// The first byte of `last` or `last:first`.
macro_rules! first_byte {
    ($only:literal) => {
        $only
    };
    ($last:literal: $first:literal) => {
        $first
    };
}

/// Defines a number that has named values. Others survive parsing, and compare and print as
/// numbers. The names are in a table at the end of its documentation.
///
/// ```text
/// values! {
///     /// A number (its document, section and figure).
///     pub struct Name(u8) {
///         /// The meaning of this value.
///         ONE_VALUE = 0x01,
///     }
/// }
/// ```
macro_rules! values {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident($type:ty) {
            $($(#[doc = $doc:literal])+ $value_name:ident = $value:literal),+ $(,)?
        }
    )+) => {
        $(
            $(#[$meta])*
            ///
            /// | value | name | |
            /// |-|-|-|
            $(
                #[doc = concat!(
                    "| ", stringify!($value), " | [`", stringify!($value_name), "`](Self::",
                    stringify!($value_name), ") |", $($doc,)+ " |"
                )]
            )+
            #[derive(
                Clone, Copy, Debug, Default, PartialEq, Eq, Hash,
                ::zerocopy::FromBytes, ::zerocopy::IntoBytes, ::zerocopy::Immutable,
                ::zerocopy::KnownLayout, ::zerocopy::Unaligned,
            )]
            #[cfg_attr(feature = "defmt", derive(defmt::Format))]
            #[repr(transparent)]
            pub struct $name(pub $type);

            impl $name {
                $($(#[doc = $doc])+ pub const $value_name: Self = Self($value);)+

                /// The name of the value here; `None` for a value without a name.
                pub const fn name(self) -> Option<&'static str> {
                    match self {
                        $(Self::$value_name => Some(stringify!($value_name)),)+
                        _ => None,
                    }
                }
            }
        )+
    };
}

/// Makes the types of command dwords, and of what comes back in their place, from those bytes and
/// into them.
macro_rules! bytes {
    ($length:literal: $($name:ident),+ $(,)?) => {
        $(
            impl From<[u8; $length]> for $name {
                fn from(bytes: [u8; $length]) -> Self {
                    ::zerocopy::transmute!(bytes)
                }
            }

            impl From<$name> for [u8; $length] {
                fn from(value: $name) -> Self {
                    ::zerocopy::transmute!(value)
                }
            }
        )+
    };
}

pub(crate) use {bytes, define, first_byte, values, wire};
