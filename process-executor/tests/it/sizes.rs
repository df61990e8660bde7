//! Arguments and results at all sizes where the way they travel changes: in the slot, in a block, in memory of their own.

use crate::bytes::{Bytes, KIB, MIB};
use crate::support::{assert_works, outcome, pool};
use crate::watchdog::{step, watched};
use executor_core::{ExecutorExt, MapOptions};

/// What is carried along with the bytes: their length, and what kind of reply it is.
const HEADS: usize = 8;

fn sizes() -> impl Iterator<Item = usize> {
    let inline = (0..=2).chain(28..=66).chain(126..=130);
    let around = |size: usize| size - HEADS..=size + HEADS;
    inline.chain(around(16 * KIB)).chain(around(256 * KIB)).chain([MIB - 1, MIB, MIB + 1])
}

fn echo(bytes: Bytes) -> Bytes {
    bytes
}

fn length(bytes: Bytes) -> (usize, bool) {
    (bytes.0.len(), bytes.is_pattern())
}

fn give(length: usize) -> Bytes {
    Bytes::pattern(length)
}

#[test]
fn there_and_back() {
    watched(|| {
        let pool = pool(1);
        for size in sizes() {
            let back = outcome(&format!("{size} bytes"), pool.submit(echo, Bytes::pattern(size)).unwrap()).unwrap();
            assert!(back.0.len() == size && back.is_pattern(), "{size}");
        }
    });
}

/// Many at once, so that slots, blocks and buffers are in use at the same time, and run out.
#[test]
fn many_at_once() {
    watched(|| {
        let pool = pool(2);
        let there: Vec<_> = sizes().map(|size| (size, pool.submit(length, Bytes::pattern(size)).unwrap())).collect();
        let back: Vec<_> = sizes().map(|size| (size, pool.submit(give, size).unwrap())).collect();
        for (size, task) in there {
            assert_eq!(outcome(&format!("an argument of {size} bytes"), task).unwrap(), (size, true));
        }
        for (size, task) in back {
            let bytes = outcome(&format!("a result of {size} bytes"), task).unwrap();
            assert!(bytes.0.len() == size && bytes.is_pattern(), "{size}");
        }
        assert_works(&pool);
    });
}

/// All blocks are full, again and again, and nobody looks meanwhile.
#[test]
fn more_than_there_are_blocks() {
    watched(|| {
        let pool = pool(1);
        let back: Vec<_> = (0..200).map(|number| pool.submit(give, 200 * KIB + number).unwrap()).collect();
        let last = pool.submit(give, 1).unwrap();
        step("the last of many");
        last.wait();
        for (number, task) in back.into_iter().enumerate() {
            let bytes = outcome("a result in a block", task).unwrap();
            assert!(bytes.0.len() == 200 * KIB + number && bytes.is_pattern());
        }
    });
}

#[test]
fn sixty_four_mebibytes() {
    watched(|| {
        let pool = pool(1);
        let bytes = Bytes::pattern(64 * MIB);
        let back = outcome("64 MiB there and back", pool.submit(echo, bytes).unwrap()).unwrap();
        assert!(back.0.len() == 64 * MIB && back.is_pattern());
        assert_works(&pool);
    });
}

/// Chunks whose inputs or outcomes are larger than a block together, or one by one.
#[test]
fn in_chunks() {
    watched(|| {
        let pool = pool(2);
        for chunk in [1, 5, 64] {
            step(format!("a map in chunks of {chunk}"));
            let outcomes: Vec<_> =
                pool.map_with(MapOptions::new().chunk_size(chunk), echo, sizes().map(Bytes::pattern)).collect();
            assert_eq!(outcomes.len(), sizes().count());
            for (size, outcome) in sizes().zip(outcomes) {
                let bytes = outcome.unwrap();
                assert!(bytes.0.len() == size && bytes.is_pattern(), "{size} in chunks of {chunk}");
            }
        }
    });
}

/// A chunk whose outcomes outgrow their block in the middle is finished all the same, each item once.
#[test]
fn outcomes_that_outgrow_their_block() {
    watched(|| {
        let pool = pool(1);
        let lengths = (0..30).map(|number| if number % 7 == 3 { 300 * KIB } else { 100 * KIB + number });
        step("a chunk of thirty");
        let outcomes: Vec<_> = pool.map_with(MapOptions::new().chunk_size(30), give, lengths.clone()).collect();
        assert_eq!(outcomes.len(), 30);
        for (size, outcome) in lengths.zip(outcomes) {
            let bytes = outcome.unwrap();
            assert!(bytes.0.len() == size && bytes.is_pattern(), "{size}");
        }
    });
}

/// Values without bytes, and values that are much longer encoded than in memory.
#[test]
fn odd_values() {
    watched(|| {
        let pool = pool(1);
        assert_eq!(outcome("nothing", pool.submit(|_: ()| (), ()).unwrap()).unwrap(), ());
        let empty = pool.submit(|lists: Vec<Vec<String>>| lists, vec![vec![]; 1000]).unwrap();
        assert_eq!(outcome("empty lists", empty).unwrap(), vec![Vec::<String>::new(); 1000]);
        let wide = pool.submit(|numbers: Vec<i64>| numbers, vec![i64::MIN; 50_000]).unwrap();
        assert_eq!(outcome("long numbers", wide).unwrap(), vec![i64::MIN; 50_000]);
        let text = pool.submit(|text: String| text, "ä€🦀".repeat(40_000)).unwrap();
        assert_eq!(outcome("text", text).unwrap(), "ä€🦀".repeat(40_000));
    });
}
