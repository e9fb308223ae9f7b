//! What the window has to say: short messages that appear as toasts and stay in a list behind them. A bad file is one
//! line here, never a dialog in the way of the rest.

use std::collections::VecDeque;

/// Messages kept in the list.
const KEPT: usize = 200;
/// Seconds a toast stays on the screen; errors stay twice as long.
const SHOWN_SECS: f64 = 6.0;
/// Toasts on the screen at once; older ones are in the list.
pub const AT_ONCE: usize = 4;

/// How serious a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Done,
    Warning,
    Error,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub level: Level,
    /// One or two sentences: what, and what to do next.
    pub text: String,
    /// Times the same message came in a row.
    pub times: usize,
    /// When it came, in seconds since the window opened.
    pub at: f64,
    /// Taken off the screen by hand.
    pub dismissed: bool,
}

impl Notice {
    fn on_screen(&self, now: f64) -> bool {
        let stay = if self.level >= Level::Warning { 2.0 * SHOWN_SECS } else { SHOWN_SECS };
        !self.dismissed && now - self.at < stay
    }
}

/// All messages, newest last.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    list: VecDeque<Notice>,
    /// Warnings and errors that came since the list was last open.
    pub unseen: usize,
    /// Seconds since the window opened, as of this frame.
    pub now: f64,
}

impl Notices {
    pub fn push(&mut self, level: Level, text: impl Into<String>) {
        let text = text.into();
        if level >= Level::Warning {
            self.unseen += 1;
        }
        if let Some(last) = self.list.back_mut().filter(|last| last.text == text && last.level == level) {
            last.times += 1;
            last.at = self.now;
            last.dismissed = false;
            return;
        }
        if self.list.len() == KEPT {
            self.list.pop_front();
        }
        self.list.push_back(Notice { level, text, times: 1, at: self.now, dismissed: false });
    }

    pub fn info(&mut self, text: impl Into<String>) {
        self.push(Level::Info, text);
    }

    pub fn done(&mut self, text: impl Into<String>) {
        self.push(Level::Done, text);
    }

    pub fn warning(&mut self, text: impl Into<String>) {
        self.push(Level::Warning, text);
    }

    pub fn error(&mut self, text: impl Into<String>) {
        self.push(Level::Error, text);
    }

    /// Every message, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Notice> {
        self.list.iter().rev()
    }

    /// The toasts to show now, newest first, with their place for [`Self::dismiss`].
    pub fn toasts(&self) -> impl Iterator<Item = (usize, &Notice)> {
        let now = self.now;
        self.list.iter().enumerate().rev().filter(move |(_, notice)| notice.on_screen(now)).take(AT_ONCE)
    }

    pub fn dismiss(&mut self, place: usize) {
        if let Some(notice) = self.list.get_mut(place) {
            notice.dismissed = true;
        }
    }

    pub fn clear(&mut self) {
        self.list.clear();
        self.unseen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toasts_go_and_the_list_stays() {
        let mut notices = Notices::default();
        notices.info("Opened 3 photos.");
        notices.error("The photo is empty.");
        assert_eq!(notices.toasts().count(), 2);
        notices.now = SHOWN_SECS + 0.1;
        assert_eq!(notices.toasts().map(|(_, notice)| notice.level).collect::<Vec<_>>(), [Level::Error]);
        notices.now = 3.0 * SHOWN_SECS;
        assert_eq!(notices.toasts().count(), 0);
        assert_eq!(notices.iter().count(), 2);
        assert_eq!(notices.unseen, 1);
    }

    #[test]
    fn the_same_message_is_counted_not_repeated() {
        let mut notices = Notices::default();
        for _ in 0..5 {
            notices.warning("Slow disk.");
        }
        assert_eq!(notices.iter().count(), 1);
        assert_eq!(notices.iter().next().map(|notice| notice.times), Some(5));
    }

    #[test]
    fn thousands_of_messages_stay_bounded() {
        let mut notices = Notices::default();
        for n in 0..5000 {
            notices.info(format!("{n}"));
        }
        assert_eq!(notices.iter().count(), KEPT);
    }
}
