//! Format, sanitize and self-test.

use super::NotSupported;

/// What the media can do.
pub trait Media {
    /// Whether namespaces can be formatted.
    fn supports_format(&self) -> bool {
        false
    }

    /// Whether controllers can test themselves.
    fn supports_self_test(&self) -> bool {
        false
    }

    /// Sanitize Capabilities (SANICAP, NVM Express Base 2.0, figure 275): bit 0 crypto erase, bit 1 block erase, bit 2 overwrite.
    /// 0, the default: not supported.
    fn sanitize_capabilities(&self) -> u32 {
        0
    }
}

impl Media for NotSupported {}
