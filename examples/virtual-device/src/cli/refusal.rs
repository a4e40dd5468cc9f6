//! What is said instead of doing something.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, CommandFactory};

use super::arguments::Arguments;
use super::values::shown;

/// How similar a name must be to be suggested, in the measure of Jaro and Winkler: two letters
/// exchanged, missing or added in a name of eight.
const SIMILAR: f64 = 0.88;

/// Why there is nothing to do.
#[derive(Debug)]
pub enum Refusal {
    /// Help or version was asked for: the text.
    Information(clap::Error),
    /// The command line is wrong.
    BadInput(BadInput),
}

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadInput {
    /// One sentence.
    pub sentence: String,
    /// The command that it is about.
    pub(super) command: Option<String>,
}

impl BadInput {
    pub(super) fn new(sentence: String, arguments: &[OsString]) -> Self {
        let command = command_in(arguments).map(str::to_owned);
        Self { sentence, command }
    }
}

/// The sentence, and a line that says where the options are explained.
impl Display for BadInput {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let command = self.command.as_deref().unwrap_or_default();
        let space = if command.is_empty() { "" } else { " " };
        let name = env!("CARGO_PKG_NAME");
        write!(
            f,
            "{name}: {}\nFor the options: {name}{space}{command} --help",
            self.sentence
        )
    }
}

impl Refusal {
    pub(super) fn from_clap(error: clap::Error, arguments: &[OsString]) -> Self {
        if !error.use_stderr() {
            return Self::Information(error);
        }
        let wrong = Wrong {
            error: &error,
            command: command_in(arguments),
        };
        Self::BadInput(BadInput::new(wrong.sentence(), arguments))
    }
}

/// An error of clap's, and the command that it is about.
struct Wrong<'a> {
    error: &'a clap::Error,
    command: Option<&'a str>,
}

impl Wrong<'_> {
    fn sentence(&self) -> String {
        let argument = self.context(ContextKind::InvalidArg).unwrap_or_default();
        let option = name_of(&argument);
        match self.error.kind() {
            ErrorKind::UnknownArgument => self.unknown(option),
            ErrorKind::InvalidSubcommand => self.unknown_command(),
            ErrorKind::MissingRequiredArgument => self.missing_connection(),
            ErrorKind::ArgumentConflict => self.conflict(option),
            // No option has a list of values, so this is one without a value.
            ErrorKind::InvalidValue => format!("{option} needs a value behind it"),
            ErrorKind::TooManyValues => {
                let value = self.context(ContextKind::InvalidValue).unwrap_or_default();
                format!("{option} takes no value, and has {}", shown(&value))
            }
            ErrorKind::InvalidUtf8 => {
                "an argument is not UTF-8, which only the path of a file need not be".into()
            }
            _ => self.first_sentence(),
        }
    }

    fn context(&self, kind: ContextKind) -> Option<String> {
        match self.error.get(kind)? {
            ContextValue::String(text) => Some(text.clone()),
            ContextValue::Strings(texts) => texts.first().cloned(),
            _ => None,
        }
    }

    fn unknown(&self, option: &str) -> String {
        if !option.starts_with('-') || option == "-" {
            return self.stands_alone(option);
        }
        let owners = commands_with(option);
        let of_demo = Arguments::command();
        let is_of_demo = of_demo.get_arguments().any(|argument| is(argument, option));
        let option = shown(option);
        if let Some(command) = self.command.filter(|_| is_of_demo) {
            return format!(
                "{option} is an option of the demo, which runs without a command, and {command} has no use for it"
            );
        }
        if owners.is_empty() {
            return match similar(&option) {
                Some(other) => format!("there is no option {option}; is {other} meant?"),
                None => format!("there is no option {option}"),
            };
        }
        let list = and(&owners);
        match self.command {
            Some(command) if owners.iter().any(|owner| owner == command) => {
                format!(
                    "{option} belongs behind {command}, because it is an option of that command"
                )
            }
            Some(command) => {
                format!("{option} is an option of {list}, and {command} has no use for it")
            }
            None => format!("{option} is an option of {list}, and no command is given"),
        }
    }

    fn stands_alone(&self, argument: &str) -> String {
        let commands = commands();
        match self.command {
            Some(command) if commands.iter().any(|other| other == argument) => format!(
                "{command} and {argument} are two commands, and a device is attached in one way"
            ),
            _ => format!(
                "{} has no option before it: every value stands behind its option",
                shown(argument)
            ),
        }
    }

    fn unknown_command(&self) -> String {
        let name = self.context(ContextKind::InvalidSubcommand);
        let name = shown(&name.unwrap_or_default());
        let suggestion = self.context(ContextKind::SuggestedSubcommand);
        match suggestion {
            Some(other) => format!("there is no command {name}; is {other} meant?"),
            None => {
                let commands = and(&commands());
                format!("there is no command {name}; the commands are {commands}")
            }
        }
    }

    fn missing_connection(&self) -> String {
        let command = self.command.unwrap_or_default();
        let has_port = commands_with("--tty").iter().any(|owner| owner == command);
        let (between, port) = if has_port {
            (",", " and --tty PATH")
        } else {
            (" and", "")
        };
        format!(
            "{command} needs one of --listen ADDRESS, --connect ADDRESS{between} --pty PATH{port}"
        )
    }

    fn conflict(&self, option: &str) -> String {
        let other = self.context(ContextKind::PriorArg).unwrap_or_default();
        let other = name_of(&other);
        if option == other || other.is_empty() {
            return format!("{option} is given twice, and has one value");
        }
        format!("{option} and {other} are two ways to attach the device, and it is attached in one")
    }

    /// That of clap, without the usage lines behind it.
    fn first_sentence(&self) -> String {
        let text = self.error.to_string();
        let lines = text.lines().map(str::trim);
        let sentence: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let sentence = sentence.join(" ");
        sentence.trim_start_matches("error: ").to_owned()
    }
}

/// An option without the name of its value.
fn name_of(argument: &str) -> &str {
    let end = argument
        .find([' ', '='])
        .filter(|_| argument.starts_with('-'));
    end.map_or(argument, |end| &argument[..end])
}

fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// The commands of the program, `help` among them.
fn commands() -> Vec<String> {
    let mut command = Arguments::command();
    command.build();
    let names = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned());
    names.collect()
}

/// The commands that have this option for themselves.
fn commands_with(option: &str) -> Vec<String> {
    let command = Arguments::command();
    let commands = command.get_subcommands();
    let with =
        commands.filter(|command| command.get_arguments().any(|argument| is(argument, option)));
    with.map(|command| command.get_name().to_owned()).collect()
}

fn is(argument: &Arg, option: &str) -> bool {
    let name = option.strip_prefix("--");
    name.is_some_and(|name| argument.get_long() == Some(name))
}

/// The command in a command line, the program's name first.
fn command_in(arguments: &[OsString]) -> Option<&str> {
    let commands = commands();
    let mut arguments = arguments.iter().skip(1);
    while let Some(argument) = arguments.next() {
        let argument = argument.to_str()?;
        if !argument.starts_with('-') {
            let is_command = argument != "help" && commands.iter().any(|name| name == argument);
            return is_command.then_some(argument);
        }
        if takes_value(argument) {
            arguments.next();
        }
    }
    None
}

/// Whether the next argument is the value of this one.
fn takes_value(option: &str) -> bool {
    let arguments = all_arguments();
    let found = arguments.iter().find(|argument| is(argument, option));
    found.is_some_and(|argument| argument.get_action().takes_values())
}

/// The option of any command that is written like this one.
fn similar(option: &str) -> Option<String> {
    let names = all_arguments().into_iter().filter_map(|argument| {
        let name = format!("--{}", argument.get_long()?);
        Some((strsim::jaro_winkler(&name, option), name))
    });
    let close = names.filter(|(similarity, _)| *similarity > SIMILAR);
    let closest = close.max_by(|(one, _), (other, _)| one.total_cmp(other));
    closest.map(|(_, name)| name)
}

/// The options of the program and of its commands.
fn all_arguments() -> Vec<Arg> {
    let command = Arguments::command();
    let of_commands = command
        .get_subcommands()
        .flat_map(|command| command.get_arguments());
    of_commands
        .chain(command.get_arguments())
        .cloned()
        .collect()
}
