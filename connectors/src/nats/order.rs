//! Which messages of a stream come next, whatever its consumers hand out.

/// Tells the message that comes next from those that came before and from gaps. No I/O.
///
/// **Contract** what is [`Came::Next`] leaves nothing out but what the stream has lost. A gap is no
/// proof of that: the messages may be lost on their way, those of a new consumer, too. So the stream
/// is asked then, and a new consumer begins where it says ([`Order::renew`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The sequence to hand on next.
    next: u64,
    /// Whether a gap was seen, and the stream has not been asked since.
    torn: bool,
    /// Messages that the stream had lost when they were wanted.
    holes: u64,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The next one.
    Next,
    /// One that has been handed on before.
    Again,
    /// One that comes too early.
    Gap,
}

impl Order {
    /// Begins at that sequence.
    pub fn from(next: u64) -> Self {
        Self { next, torn: false, holes: 0 }
    }

    /// The sequence that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether the stream is to be asked what it still has.
    pub fn torn(&self) -> bool {
        self.torn
    }

    /// How many messages the stream had lost when they were wanted.
    pub fn holes(&self) -> u64 {
        self.holes
    }

    /// The stream does not end where its messages did: it is to be asked what it still has.
    pub fn tear(&mut self) {
        self.torn = true;
    }

    /// A new consumer begins at `first`. That is [`Order::next`], or, where the stream was asked, the
    /// first message that it has from there on; how many are lost before it.
    pub fn renew(&mut self, first: u64) -> u64 {
        let lost = first - self.next;
        (self.next, self.torn) = (first, false);
        self.holes += lost;
        lost
    }

    /// A message of that sequence has come.
    pub fn came(&mut self, sequence: u64) -> Came {
        if sequence < self.next {
            return Came::Again;
        }
        self.torn = sequence > self.next;
        if self.torn {
            return Came::Gap;
        }
        self.next += 1;
        Came::Next
    }
}
