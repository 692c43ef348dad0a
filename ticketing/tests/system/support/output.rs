//! What a process writes.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What a process writes, gathered while it runs so that it never waits for a reader.
#[derive(Default)]
pub(crate) struct Output {
    text: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Output {
    pub(crate) fn read(&mut self, from: impl Read + Send + 'static, on_line: impl Fn(&str) + Send + 'static) {
        let text = self.text.clone();
        self.readers.push(std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                on_line(&line);
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        }));
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the last of it; only once the process has ended.
    pub(crate) fn complete(&mut self) {
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
    }

    /// Shows the end of it without the requests that went well.
    #[expect(clippy::print_stderr, reason = "the test fails, and this may say why")]
    pub(crate) fn print_remarkable(&self) {
        let text = self.text();
        let remarkable: Vec<&str> = text.lines().filter(|line| !line.contains("INFO")).collect();
        let last = &remarkable[remarkable.len().saturating_sub(40)..];
        eprintln!("last words:\n{}", last.join("\n"));
    }
}
