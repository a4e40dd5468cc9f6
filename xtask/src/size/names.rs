//! From a symbol's name to the crate that its function or variable is written in.

/// The standard library. What it has in common with everybody is inlined everywhere.
const STANDARD: &[&str] = &["core", "alloc", "std"];

/// The name as it stands in the source, without the hash at its end.
pub(crate) fn readable(symbol: &str) -> String {
    // The compiler puts words such as `.Lswitch.table.` before some names.
    let start = ["_ZN", "_R"]
        .iter()
        .find_map(|prefix| symbol.find(prefix))
        .unwrap_or(0);
    match rustc_demangle::try_demangle(&symbol[start..]) {
        Ok(name) => format!("{name:#}"),
        Err(_) => symbol.to_owned(),
    }
}

/// Whether `name` is that of a crate that comes with the compiler.
pub(crate) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name)
}

/// The crate of a symbol, as far as its name tells; `ours` are the crates of this repository.
///
/// A function of an implementation, `<Type as Trait>::function`, is written in the crate of the
/// type or in that of the trait, or in the crate of a parameter of the trait. The name does not say
/// in which. It is ours if one of these crates is ours; otherwise it is the first of them that is
/// not the standard library.
pub(crate) fn crate_of(symbol: &str, ours: &[String]) -> Option<String> {
    let name = readable(symbol);
    let candidates = candidates(&name);
    let ours = candidates
        .iter()
        .find(|name| ours.iter().any(|ours| ours == *name));
    let named = ours
        .or_else(|| candidates.iter().find(|name| !is_standard(name)))
        .or(candidates.first())?;
    Some((*named).to_owned())
}

/// Crates that the function may be written in.
fn candidates(name: &str) -> Vec<&str> {
    if let Some(dropped) = name.strip_prefix("core::ptr::drop_in_place<") {
        // Written by the compiler, for the type.
        return leading_crate(dropped).into_iter().chain(["core"]).collect();
    }
    let Some(inner) = name.strip_prefix('<').and_then(up_to_closing_bracket) else {
        return leading_crate(name).into_iter().collect();
    };
    match split_at_as(inner) {
        Some((implementer, implemented)) => leading_crate(implementer)
            .into_iter()
            .chain(leading_crate(implemented))
            .chain(
                implemented
                    .split_once('<')
                    .and_then(|(_, parameters)| leading_crate(parameters)),
            )
            .collect(),
        None => leading_crate(inner).into_iter().collect(),
    }
}

/// The first part of the path that `text` begins with. A type parameter or a primitive type has
/// none.
fn leading_crate(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(['<', '&', '*', '[', '(', ' ']);
    for word in ["mut ", "const ", "dyn ", "impl "] {
        if let Some(rest) = text.strip_prefix(word) {
            return leading_crate(rest);
        }
    }
    let end = text.find(|character: char| !(character.is_alphanumeric() || character == '_'))?;
    let (first, rest) = text.split_at(end);
    // `__rustc` are names that the compiler connects, such as that of the panic handler.
    (rest.starts_with("::") && !first.is_empty() && first != "__rustc").then_some(first)
}

/// What is before the `>` that belongs to a `<` just before `text`.
fn up_to_closing_bracket(text: &str) -> Option<&str> {
    let end = outside_brackets(text)
        .find(|(_, rest)| rest.starts_with('>'))?
        .0;
    Some(&text[..end])
}

/// `Type as Trait` as its two halves.
fn split_at_as(text: &str) -> Option<(&str, &str)> {
    let at = outside_brackets(text)
        .find(|(_, rest)| rest.starts_with(" as "))?
        .0;
    Some((&text[..at], &text[at + " as ".len()..]))
}

/// Each place in `text` that no bracket is open at, with what follows there.
fn outside_brackets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut depth = 0;
    let mut previous = ' ';
    text.char_indices().filter_map(move |(at, character)| {
        let outside = depth == 0;
        match character {
            '<' => depth += 1,
            // Not the arrow of a function's type.
            '>' if previous != '-' => depth -= 1,
            _ => {}
        }
        previous = character;
        outside.then_some((at, &text[at..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of_name(name: &str) -> Option<String> {
        crate_of(name, &["ours".to_owned(), "ours_too".to_owned()])
    }

    #[track_caller]
    fn assert_crate(name: &str, expected: &str) {
        assert_eq!(crate_of_name(name).as_deref(), Some(expected), "{name}");
    }

    #[test]
    fn names_are_those_of_the_source() {
        assert_eq!(
            readable("_ZN17nvme_mi_responder7message4seal17hca908606a220f6b1E"),
            "nvme_mi_responder::message::seal"
        );
        assert_eq!(
            readable("_RNvNtCs7NhdfSRABLd_17compiler_builtins3mem7memmove"),
            "compiler_builtins::mem::memmove"
        );
        assert_eq!(readable("memcpy"), "memcpy");
    }

    #[test]
    fn both_manglings_tell_the_crate() {
        assert_crate(
            "_ZN17nvme_mi_responder7message4seal17hca908606a220f6b1E",
            "nvme_mi_responder",
        );
        assert_crate(
            "_RNvXs8_NtNtNtCs7ldSeZOOJos_4core3fmt3num3impmNtB9_7Display3fmt",
            "core",
        );
        assert_crate(
            "_ZN86_$LT$embassy_stm32..usb.._version..Bus$LT$T$GT$$u20$as$u20$embassy_usb_driver..Bus$GT$4poll28_$u7b$$u7b$closure$u7d$$u7d$17h789d183a6cbc35b4E",
            "embassy_stm32",
        );
    }

    #[test]
    fn tables_of_a_match_belong_to_its_function() {
        assert_crate(
            ".Lswitch.table._ZN17nvme_mi_responder7message4seal17hca908606a220f6b1E",
            "nvme_mi_responder",
        );
    }

    #[test]
    fn functions_and_their_closures_belong_to_the_first_word_of_their_path() {
        assert_crate("driver::usb::Bus<T>::poll", "driver");
        assert_crate("driver::usb::Bus<T>::poll::{{closure}}", "driver");
        assert_crate(
            "driver::usb::<impl core::fmt::Debug for other::T>::fmt",
            "driver",
        );
        assert_crate(
            "<driver::usb::Bus<ours::Port>>::poll::{closure#0}",
            "driver",
        );
    }

    #[test]
    fn implementations_belong_to_us_if_type_or_trait_is_ours() {
        assert_crate("<ours::Port as driver::Bus>::poll", "ours");
        assert_crate(
            "<driver::Bus as ours::Transport<driver::Bus>>::send",
            "ours",
        );
        assert_crate("<ours_too::Port as ours::Transport>::send", "ours_too");
    }

    #[test]
    fn implementations_of_others_belong_to_the_type_unless_it_is_a_standard_one() {
        assert_crate("<hal::usb::Bus<T> as driver::Bus>::poll", "hal");
        assert_crate(
            "<core::option::Option<T> as defmt::Format>::format",
            "defmt",
        );
        assert_crate("<T as defmt::Format>::format", "defmt");
        assert_crate("<u8 as core::convert::From<hal::Level>>::from", "hal");
        assert_crate("<&mut W as core::fmt::Write>::write_str", "core");
        assert_crate("<[hal::Level] as core::slice::Iter>::next", "hal");
    }

    #[test]
    fn brackets_and_arrows_within_a_type_end_nothing() {
        assert_crate(
            "<hal::Call<fn(u8) -> <ours::A as ours::B>::C> as driver::Bus>::poll",
            "hal",
        );
    }

    #[test]
    fn dropping_a_value_belongs_to_its_type() {
        assert_crate(
            "core::ptr::drop_in_place<driver::Bus<ours::Port>>",
            "driver",
        );
        assert_crate("core::ptr::drop_in_place<[u8]>", "core");
    }

    #[test]
    fn plain_names_tell_no_crate() {
        for name in [
            "memcpy",
            "OTG_HS",
            "OUTLINED_FUNCTION_7",
            "anon.8",
            "",
            "__rustc::rust_begin_unwind",
        ] {
            assert_eq!(crate_of_name(name), None, "{name}");
        }
    }
}
