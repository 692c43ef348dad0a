//! A program of this repository, as its `--help` describes it.

use std::collections::BTreeMap;

use testing::system::Binaries;

/// Its settings, by the names of their environment variables.
pub(crate) struct Program {
    usage: String,
    settings: BTreeMap<String, Setting>,
    flags: Vec<String>,
}

/// A setting.
pub(crate) struct Setting {
    flag: String,
    /// Its documentation.
    pub(crate) text: String,
    /// Its default, if it is a plain value.
    pub(crate) default: Option<String>,
}

impl Program {
    /// Runs the program with `--help`.
    pub(crate) fn new(name: &str) -> Self {
        let mut command = Binaries::beside(env!("CARGO_BIN_EXE_ticketing")).command(name);
        let output = command.arg("--help").output().unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
        Self::parse(&String::from_utf8(output.stdout).unwrap())
    }

    fn parse(help: &str) -> Self {
        let usage = help.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap().to_owned();
        let mut program = Self { usage, settings: BTreeMap::new(), flags: Vec::new() };
        let mut lines = help.lines().map(str::trim).peekable();
        while let Some(line) = lines.next() {
            let Some(flag) = flag_of(line) else { continue };
            let mut paragraphs = Vec::new();
            while let Some(line) = lines.next_if(|line| flag_of(line).is_none()) {
                paragraphs.push(line);
            }
            program.add(flag, &paragraphs);
        }
        program
    }

    fn add(&mut self, flag: &str, paragraphs: &[&str]) {
        let note = |name: &str| paragraphs.iter().find_map(|line| line.strip_prefix(name)?.strip_suffix(']'));
        self.flags.push(flag.to_owned());
        if let Some(variable) = note("[env: ") {
            let setting = Setting {
                flag: flag.to_owned(),
                text: paragraphs.join(" "),
                default: note("[default: ").map(str::to_owned),
            };
            self.settings.insert(variable.trim_end_matches('=').to_owned(), setting);
        }
    }

    /// The variables without which it does not start.
    pub(crate) fn required(&self) -> impl Iterator<Item = &str> {
        // Those are in the usage line, all others are under `[OPTIONS]`.
        let required =
            self.settings.iter().filter(|(_, setting)| self.usage.split(' ').any(|word| word == setting.flag));
        required.map(|(name, _)| name.as_str())
    }

    /// Whether it reads a variable.
    pub(crate) fn reads(&self, variable: &str) -> bool {
        self.settings.contains_key(variable)
    }

    /// Whether it accepts a flag.
    pub(crate) fn accepts(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    /// The setting in a variable.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn setting(&self, variable: &str) -> &Setting {
        self.settings.get(variable).unwrap_or_else(|| panic!("{} does not read {variable}", self.usage))
    }
}

/// The flag that a line describes: `--port <PORT>` or `-h, --help`.
fn flag_of(line: &str) -> Option<&str> {
    line.split(' ').take_while(|word| word.starts_with('-')).find(|word| word.starts_with("--"))
}
