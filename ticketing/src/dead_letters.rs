//! `ticketing dead-letters`: what listeners rejected, to be looked at, delivered again, or forgotten.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use common::bus::sqlite::SqliteBus;
use common::bus::{Bus, DeadLetter};

use crate::data::EVENTS;

/// Dead letters that are read at once.
const PAGE: usize = 1000;

/// What to do with dead letters, and where they are.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ticketing dead-letters list
  ticketing dead-letters show 17/tickets_order-created
  ticketing dead-letters replay 17/tickets_order-created 18/tickets_order-created
  ticketing dead-letters replay --all --data-dir /var/lib/ticketing
  ticketing dead-letters drop 17/tickets_order-created

A system that runs on the data directory need not be stopped: it delivers what is replayed within two seconds.")]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    action: Action,

    #[cfg(feature = "spread")]
    #[command(flatten)]
    spread: Spread,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Lists them, the oldest first: who rejected what, and why.
    List,
    /// Shows one with all there is to it, the event's payload included.
    Show {
        /// As `list` has it.
        id: String,
    },
    /// Delivers them again, each to the listener that rejected it and to no other.
    Replay {
        /// As `list` has them.
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<String>,
        /// All that are there now.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Forgets them for good.
    Drop {
        /// As `list` has them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// The bus of services that run each by itself.
#[cfg(feature = "spread")]
#[derive(Args, Clone, Debug)]
struct Spread {
    /// The bus of services that run each by itself, instead of a data directory: nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", hide_env_values = true, global = true, value_parser = common::config::secret)]
    #[arg(conflicts_with = "data_dir")]
    nats_url: Option<secrecy::SecretString>,

    /// Their stream.
    #[arg(long, env = "NATS_STREAM", default_value = "ticketing", global = true, value_name = "NAME")]
    nats_stream: String,
}

impl DeadLetters {
    /// Does it. A letter that is not there makes it fail, once everything else is done.
    pub(crate) async fn run(self, data: &Path) -> anyhow::Result<ExitCode> {
        let bus = self.bus(data).await?;
        let mut text = String::new();
        let mut missing = false;
        let mut note = |id: &str, found: bool, done: &str| {
            let outcome = if found { done } else { "there is no such dead letter" };
            missing |= !found;
            write(&format!("{}: {outcome}\n", plain(id)))
        };
        match self.action {
            Action::List => text = table(&read(&*bus).await?),
            Action::Show { id } => match read(&*bus).await?.iter().find(|letter| letter.id == id) {
                Some(letter) => text = whole(letter),
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

    async fn bus(&self, data: &Path) -> anyhow::Result<Box<dyn Bus>> {
        #[cfg(feature = "spread")]
        if let Some(url) = &self.spread.nats_url {
            let config = common::bus::nats::NatsConfig {
                url: url.clone(),
                client: "ticketing dead-letters".into(),
                stream: self.spread.nats_stream.clone(),
                replicas: None,
                owner: None,
            };
            return Ok(Box::new(common::bus::nats::NatsBus::connect_to_existing(&config).await?));
        }
        #[cfg(not(feature = "spread"))]
        if std::env::var_os("NATS_URL").is_some() {
            bail!(
                "NATS_URL is set, and this program was built without NATS; build it with --features spread, or unset it"
            );
        }
        let file = data.join(EVENTS);
        if !file.try_exists().with_context(|| format!("could not look for {}", file.display()))? {
            bail!("there is no {}; name the directory of the system's data with --data-dir (DATA_DIR)", file.display());
        }
        Ok(Box::new(SqliteBus::open(&file)?))
    }
}

/// All dead letters.
async fn read(bus: &dyn Bus) -> anyhow::Result<Vec<DeadLetter>> {
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

fn whole(letter: &DeadLetter) -> String {
    let DeadLetter { id, listener, reason, attempts, message } = letter;
    let trace = message.traceparent.as_ref().map_or("", |trace| trace.as_str());
    let lines = [
        ("id", id.as_str()),
        ("listener", listener),
        ("attempts", &attempts.to_string()),
        ("reason", reason),
        ("message", &message.id),
        ("subject", message.subject.as_str()),
        ("trace", trace),
        ("payload", &message.payload),
    ];
    lines.map(|(name, value)| format!("{name:9} {}\n", plain(value))).concat()
}

/// On one line, and without what a terminal would obey.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn write(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
