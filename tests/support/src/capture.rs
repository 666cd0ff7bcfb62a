use std::io::{ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a program writes to a pipe or terminal, read by a thread beside the test: a program that fills a pipe which
/// nobody reads would stand still.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<(Mutex<Captured>, Condvar)>);

#[derive(Default)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    /// Nobody has the other end open any more.
    pub(crate) closed: bool,
}

impl Capture {
    pub(crate) fn of(reader: impl Read + Send + 'static) -> Self {
        let capture = Self::default();
        thread::spawn({
            let capture = capture.clone();
            move || capture.follow(reader)
        });
        capture
    }

    /// Waits until `found` finds something, there is nothing more to come, or the time is up.
    pub(crate) fn wait_until<T>(
        &self,
        deadline: &Deadline,
        mut found: impl FnMut(&Captured) -> Option<T>,
    ) -> Option<T> {
        let mut captured = self.lock();
        loop {
            let result = found(&captured);
            if result.is_some() || captured.closed || deadline.left().is_zero() {
                return result;
            }
            captured =
                self.0.1.wait_timeout(captured, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until there is nothing more to come. False when the time is up.
    pub(crate) fn wait_closed(&self, deadline: &Deadline) -> bool {
        self.wait_until(deadline, |captured| captured.closed.then_some(())).is_some()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    fn follow(&self, mut reader: impl Read) {
        let mut buffer = [0; 8192];
        loop {
            match reader.read(&mut buffer) {
                Ok(count) if count > 0 => self.lock().bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The end. A terminal whose programs are gone reports it as an error on Linux.
                _ => break,
            }
            self.0.1.notify_all();
        }
        self.lock().closed = true;
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Captured> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment by which something has to be done.
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn new(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    pub(crate) fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
