//! `ticketing dead-letters`: lists, shows, replays and drops events that listeners rejected.

mod embedded;
#[cfg(feature = "spread")]
mod with_nats;
#[cfg(not(feature = "spread"))]
mod without_nats;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use common::bus::{Bus, DeadLetter};

use crate::output::{plain, write};
#[cfg(feature = "spread")]
use with_nats::Source;
#[cfg(not(feature = "spread"))]
use without_nats::Source;

/// The number of dead letters per read.
const PAGE: usize = 1000;

/// What to do with dead letters, and where to find them.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ticketing dead-letters list
  ticketing dead-letters show 17/tickets_order-created
  ticketing dead-letters replay 17/tickets_order-created 18/tickets_order-created
  ticketing dead-letters replay --all --data-dir /var/lib/ticketing
  ticketing dead-letters drop 17/tickets_order-created

The system may keep running: it delivers what is replayed within two seconds.")]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Lists all dead letters, oldest first: listener, message and reason.
    List,
    /// Shows one dead letter with the payload of its event.
    Show {
        /// Id, as printed by `list`.
        id: String,
    },
    /// Delivers dead letters again, each only to the listener that rejected it.
    Replay {
        /// Ids, as printed by `list`.
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<String>,
        /// Replay all dead letters that exist now.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Deletes dead letters.
    Drop {
        /// Ids, as printed by `list`.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

impl DeadLetters {
    /// Runs the command. Ids that do not exist make it fail, after the others are done.
    pub(crate) async fn run(self, data: &Path) -> anyhow::Result<ExitCode> {
        let bus = self.source.open(data).await?;
        let mut text = String::new();
        let mut missing = false;
        let mut note = |id: &str, found: bool, done: &str| {
            let outcome = if found { done } else { "no such dead letter" };
            missing |= !found;
            write(&format!("{}: {outcome}\n", plain(id)))
        };
        match self.action {
            Action::List => text = table(&read(&*bus).await?),
            Action::Show { id } => match read(&*bus).await?.iter().find(|letter| letter.id == id) {
                Some(letter) => text = details(letter),
                None => note(&id, false, "")?,
            },
            Action::Replay { mut ids, all } => {
                if all {
                    ids = read(&*bus).await?.into_iter().map(|letter| letter.id).collect();
                }
                for id in ids {
                    note(&id, bus.replay_dead_letter(&id).await?, "will be delivered again")?;
                }
            }
            Action::Drop { ids } => {
                for id in ids {
                    note(&id, bus.drop_dead_letter(&id).await?, "dropped")?;
                }
            }
        }
        write(&text)?;
        Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Reads all dead letters.
pub(crate) async fn read(bus: &dyn Bus) -> anyhow::Result<Vec<DeadLetter>> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let page = bus.dead_letters(letters.last().map(|letter| &*letter.id), PAGE).await?;
        if page.is_empty() {
            return Ok(letters);
        }
        letters.extend(page);
    }
}

fn table(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "There are no dead letters.\n".into();
    }
    let head = ["ID", "LISTENER", "ATTEMPTS", "MESSAGE", "REASON"].map(String::from);
    let row = |letter: &DeadLetter| {
        let DeadLetter { id, listener, reason, attempts, message } = letter;
        [plain(id), plain(listener), attempts.to_string(), plain(&message.id), plain(reason)]
    };
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(letters.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let [id, listener, attempts, message] = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let [a, b, c, d, reason] = row;
        format!("{a:id$}  {b:listener$}  {c:>attempts$}  {d:message$}  {reason}\n")
    };
    rows.iter().map(line).collect()
}

fn details(letter: &DeadLetter) -> String {
    let DeadLetter { id, listener, reason, attempts, message } = letter;
    let trace = message.traceparent.as_ref().map_or_else(String::new, ToString::to_string);
    let lines = [
        ("id", id.as_str()),
        ("listener", listener),
        ("attempts", &attempts.to_string()),
        ("reason", reason),
        ("message", &message.id),
        ("subject", message.subject.as_str()),
        ("trace", &trace),
        ("payload", &message.payload),
    ];
    lines.map(|(name, value)| format!("{name:9} {}\n", plain(value))).concat()
}
