//! The output of a process.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The output of a process. Threads read it, so that the process never blocks on a full pipe.
#[derive(Default)]
pub(super) struct Output {
    text: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Output {
    /// Starts to read one of the process's streams.
    pub(super) fn capture(&mut self, stream: impl Read + Send + 'static) {
        let text = self.text.clone();
        self.readers.push(std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
            }
        }));
    }

    /// All lines so far.
    pub(super) fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until everything is read. The process must have exited.
    pub(super) fn finish(&mut self) {
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
    }

    /// Prints the last lines, without those of level `INFO`: access logs would bury the rest.
    #[expect(clippy::print_stderr, reason = "a failed test should show why")]
    pub(super) fn print_tail(&self) {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("INFO")).collect();
        let tail = &lines[lines.len().saturating_sub(40)..];
        eprintln!("end of the process's output:\n{}", tail.join("\n"));
    }
}
