//! Where inputs come from: those that are kept, changed a little.

use super::INPUT_MOST;

/// Numbers at which things go wrong.
const EDGES: [u32; 12] = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, u32::MAX];

/// A source of inputs.
pub(super) struct Mutator {
    /// xorshift64; never 0.
    state: u64,
    words: &'static [&'static str],
    /// What is changed.
    pub(super) corpus: Vec<Vec<u8>>,
}

impl Mutator {
    pub(super) fn new(seed: u64, words: &'static [&'static str], corpus: Vec<Vec<u8>>) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, words, corpus }
    }

    pub(super) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick();
        for _ in 0..=self.below(5) {
            self.change(&mut input);
        }
        input.truncate(INPUT_MOST);
        input
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    fn pick(&mut self) -> Vec<u8> {
        if self.corpus.is_empty() || self.below(64) == 0 {
            let length = self.below(128);
            return (0..length).map(|_| self.next() as u8).collect();
        }
        let number = self.below(self.corpus.len());
        self.corpus[number].clone()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(8)).min(input.len()).max(at.min(input.len()));
        match self.below(if self.words.is_empty() { 8 } else { 11 }) {
            0 => self.flip(input),
            1 => self.put_edge(input, at),
            2 => {
                let value = self.next() as u8;
                input[at.min(end)..end].fill(value);
            }
            3 => drop(input.drain(at.min(end)..end)),
            4 => {
                let piece: Vec<u8> = input[at.min(end)..end].to_vec();
                input.splice(at..at, piece);
            }
            5 => input.truncate(at),
            6 => {
                let more: Vec<u8> = (0..=self.below(16)).map(|_| self.next() as u8).collect();
                input.splice(at..at, more);
            }
            7 => {
                let other = self.pick();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend(&other[from..]);
            }
            _ => {
                let word = self.words[self.below(self.words.len())];
                let end = if self.below(2) == 0 { at } else { end.max(at) };
                input.splice(at..end, word.bytes());
            }
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        if !input.is_empty() {
            let at = self.below(input.len());
            input[at] ^= 1 << self.below(8);
        }
    }

    /// Puts a number of one, two or four octets, in either order.
    fn put_edge(&mut self, input: &mut [u8], at: usize) {
        let number = EDGES[self.below(EDGES.len())];
        let octets = if self.below(2) == 0 { number.to_be_bytes() } else { number.to_le_bytes() };
        let width = [1, 2, 4][self.below(3)];
        let octets = if self.below(2) == 0 { &octets[4 - width..] } else { &octets[..width] };
        for (place, octet) in input.iter_mut().skip(at).zip(octets) {
            *place = *octet;
        }
    }
}
