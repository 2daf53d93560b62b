//! Generators that have not drawn yet, in little memory.

use longhaul_experiment::random::Generator;
use rand::SeedableRng;

/// What a generator begins with: a generator itself takes 300 bytes more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    seed: [u8; 32],
    stream: u64,
    word: u128,
}

impl Draws {
    /// Returns the draws that a generator has yet to make.
    pub(crate) fn of(generator: &Generator) -> Draws {
        Draws {
            seed: generator.get_seed(),
            stream: generator.get_stream(),
            word: generator.get_word_pos(),
        }
    }

    /// Returns a generator that makes them.
    pub(crate) fn generator(self) -> Generator {
        let mut generator = Generator::from_seed(self.seed);
        generator.set_stream(self.stream);
        generator.set_word_pos(self.word);
        generator
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{Seed, Stream};
    use rand::Rng;

    use super::*;

    #[test]
    fn the_draws_are_those_of_the_generator() {
        let mut generator = Seed(4).stream(Stream::Link, 9);
        generator.set_stream(3);
        for drawn in 0..40 {
            let draws = Draws::of(&generator);
            assert_eq!(
                draws.generator().next_u64(),
                generator.next_u64(),
                "after {drawn}"
            );
        }
    }
}
