//! Large values of every make, which are moved on bit by bit while they are encoded.

use crate::bytes::{Bytes, KIB, MIB};
use crate::support::{assert_works, outcome, pool};
use crate::watchdog::watched;
use executor_core::{CodecPhase, ExecutorExt, Portable, TaskError};
use process_executor::ProcessPoolExecutor;
use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt::Debug;

fn echo<T>(value: T) -> T {
    value
}

/// There and back, once as the value itself and once in the midst of others.
fn cross<T: Portable + Clone + PartialEq + Debug>(pool: &ProcessPoolExecutor, what: &str, value: &T) {
    let back = outcome(what, pool.submit(echo, value.clone()).unwrap()).unwrap();
    assert!(&back == value, "{what}");
    let among = (7_u32, value.clone(), "behind".to_owned());
    let back = outcome(what, pool.submit(echo, among.clone()).unwrap()).unwrap();
    assert!(back == among, "{what} among others");
}

/// Says nothing of its length, which thus is written last, to the front.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Unannounced(Vec<String>);

impl Serialize for Unannounced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        self.0.iter().try_for_each(|element| sequence.serialize_element(element))?;
        sequence.end()
    }
}

#[test]
fn every_make() {
    watched(|| {
        let pool = pool(1);
        for length in [100 * KIB, 256 * KIB - 5, 600 * KIB] {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            cross(&pool, "bytes", &bytes);
            cross(&pool, "several", &vec![bytes.clone(), vec![1], bytes.clone()]);
            cross(&pool, "a text", &"grüße ".repeat(length / 7));
            cross(&pool, "numbers", &(0..length as u64 / 4).map(|n| n * n).collect::<Vec<_>>());
            cross(&pool, "large numbers", &(0..length as u64 / 9).map(|n| u64::MAX - n).collect::<Vec<_>>());
            cross(&pool, "options", &(0..length as i16).map(|n| (n % 3 > 0).then_some(-n)).collect::<Vec<_>>());
            let words: Vec<String> = (0..length / 10).map(|n| format!("word {n}")).collect();
            cross(&pool, "without an announced length", &Unannounced(words.clone()));
            cross(&pool, "a map", &words.into_iter().zip(0..).collect::<BTreeMap<String, u32>>());
        }
        assert_works(&pool);
    });
}

/// Much that is good, then what is not.
#[derive(Clone, Debug, Deserialize)]
struct Broken(Vec<u64>);

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|element| sequence.serialize_element(element))?;
        Err(S::Error::custom("the ink is out"))
    }
}

fn broken(length: usize) -> Broken {
    Broken(vec![u64::MAX; length])
}

/// P5, P6: what was moved on already is given up with the rest.
#[test]
fn p5_p6_an_error_far_behind_the_beginning() {
    watched(|| {
        let pool = pool(1);
        for length in [10, 30_000, 100_000] {
            let there = outcome("a broken argument", pool.submit(drop, broken(length)).unwrap());
            let back = outcome("a broken result", pool.submit(broken, length).unwrap()).map(drop);
            for (phase, result) in [(CodecPhase::EncodeArgument, there), (CodecPhase::EncodeResult, back)] {
                match result {
                    Err(TaskError::Codec(error)) => {
                        assert_eq!(error.phase(), phase);
                        assert!(error.message().contains("the ink is out"), "{error}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_works(&pool);
    });
}

/// A worker keeps no memory of tasks that are over, however soon the next one follows.
#[test]
fn what_is_over_is_forgotten() {
    fn open_descriptors(bytes: Bytes) -> usize {
        assert!(bytes.is_pattern());
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }
    watched(|| {
        let pool = pool(1);
        let open = || outcome("a task", pool.submit(open_descriptors, Bytes::pattern(MIB)).unwrap()).unwrap();
        let first = open();
        for _ in 0..100 {
            let now = open();
            assert!(now <= first + 3, "{first} descriptors at first, {now} now");
        }
    });
}
